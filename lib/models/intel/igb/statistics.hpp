// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// The counters behind the registers of the group "statistics". They stick at all ones and clear when read; an octet
/// count clears, both halves, when its high half is read (8254x manual, 13.7.31, for GORC).
class Statistics {
 public:
  explicit Statistics(RegisterFile& registers);

  template <class R>
  void count(std::uint32_t index = 0) {
    const std::uint32_t value = registers_.get<R>(index).raw();
    if (value != ~std::uint32_t{0}) registers_.set<R>(index, typename R::Value(value + 1));
  }

  /// A frame that passed the filters, taken or missed: `bytes` with FCS.
  void arrived(std::size_t bytes);
  /// A frame of legal length that got into the packet buffer.
  void received(std::span<const std::byte> frame);
  /// Anything that left on the wire: `bytes` with FCS.
  void left(std::size_t bytes);
  /// A frame of software's that left on the wire.
  void sent(std::span<const std::byte> frame);

 private:
  template <class Low, class High>
  void add_octets(std::uint64_t octets);
  template <class Low, class High>
  void clear_together();

  RegisterFile& registers_;
};

}  // namespace pollux::models::igb
