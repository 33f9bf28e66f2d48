// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// The counters of the register group "statistics". They saturate at all ones and clear on read. A read of the high
/// half of an octet counter clears both halves (8254x manual, 13.7.31, for GORC).
class Statistics {
 public:
  explicit Statistics(RegisterFile& registers);

  template <class R>
  void count(std::uint32_t index = 0) {
    const std::uint32_t value = registers_.get<R>(index).raw();
    if (value != ~std::uint32_t{0}) registers_.set<R>(index, typename R::Value(value + 1));
  }

  /// Counts a frame that passed the filters, received or missed. `bytes` includes the FCS.
  void arrived(std::size_t bytes);
  /// Counts a frame of legal length that was stored in the packet buffer.
  void received(std::span<const std::byte> frame);
  /// Counts a frame for a pool. `inside`: another pool has sent it.
  void received_by_pool(std::uint32_t pool, std::span<const std::byte> frame, bool inside);
  /// Counts a frame that a pool has sent. `inside`: other pools have got it.
  void sent_by_pool(std::uint32_t pool, std::span<const std::byte> frame, bool inside);
  /// Counts any frame sent to the wire. `bytes` includes the FCS.
  void left(std::size_t bytes);
  /// Counts a frame that software sent to the wire.
  void sent(std::span<const std::byte> frame);

 private:
  template <class Low, class High>
  void add_octets(std::uint64_t octets);
  template <class Low, class High>
  void install_clear_hooks();
  template <class R>
  void add_to_pool(std::uint32_t pool, std::size_t amount);

  RegisterFile& registers_;
};

}  // namespace pollux::models::igb
