// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hw/intel/descriptors.hpp"
#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/write_backs.hpp"

namespace pollux::models::igb {

namespace intel = pollux::hw::intel;

/// One receive queue: its ring, and how a frame gets into the buffers behind it.
class RxQueue {
 public:
  RxQueue(RegisterFile& registers, Dma& dma, std::uint32_t number)
      : registers_(registers), dma_(dma), number_(number) {}

  void reset();
  [[nodiscard]] bool enabled() const noexcept { return enabled_; }
  /// RXDCTL.ENABLE has taken effect.
  void set_enabled(bool enabled);
  void write_head(std::uint32_t value);
  void write_tail(std::uint32_t value);

  enum class Outcome {
    stored,
    no_descriptors,  ///< nothing was touched
    broken,          ///< the ring cannot be used: not in memory, a tail outside it, a format that this card lacks
  };
  /// Writes `bytes` (what the buffers are to hold) and the write-backs; `last` is the last descriptor's, less its
  /// length.
  [[nodiscard]] Outcome deliver(std::span<const std::byte> bytes, intel::rx::WriteBack last);

  /// Writes back the next armed descriptor as told and moves the head; touches no buffer. False without one. For tests
  /// of what a driver makes of a card that lies.
  bool write_back(const intel::Descriptor& descriptor);

  /// Makes the write-backs that wait for others. False if there are none.
  bool flush_write_backs() { return waiting_.flush(dma_, number_); }
  [[nodiscard]] std::size_t waiting_write_backs() const noexcept { return waiting_.size(); }
  /// RXDCTL.WTHRESH.
  [[nodiscard]] std::uint32_t threshold() const { return registers_.get<hw::RXDCTL>(number_).get(hw::RXDCTL::WTHRESH); }

  /// Bytes that one buffer takes, from SRRCTL or RCTL.
  [[nodiscard]] std::size_t buffer_bytes() const;
  /// Descriptors that the card may fill.
  [[nodiscard]] std::uint32_t armed() const;
  /// Of these, what the last frame left.
  [[nodiscard]] std::uint32_t left() const noexcept { return left_; }
  /// Writes of RDT that were ignored because the queue was not enabled.
  [[nodiscard]] std::uint64_t ignored_tails() const noexcept { return ignored_tails_; }

 private:
  [[nodiscard]] std::uint32_t ring_size() const;
  [[nodiscard]] std::uint32_t head() const { return registers_.get<hw::RDH>(number_).get(hw::RDH::HEAD); }
  [[nodiscard]] std::uint32_t tail() const { return registers_.get<hw::RDT>(number_).get(hw::RDT::TAIL); }
  [[nodiscard]] std::uint64_t slot() const;  // the next descriptor's address
  void complete(std::uint64_t slot, const intel::Descriptor& descriptor);
  void step();

  RegisterFile& registers_;
  Dma& dma_;
  std::uint32_t number_;
  bool enabled_ = false;
  bool broken_ = false;  // until it is enabled anew
  std::uint32_t left_ = 0;
  std::uint64_t ignored_tails_ = 0;
  WriteBacks waiting_;
};

}  // namespace pollux::models::igb
