// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hw/intel/descriptors.hpp"
#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// One receive queue: its ring, and the code that writes frames to the ring's buffers.
class RxQueue {
 public:
  RxQueue(RegisterFile& registers, Dma& dma, std::uint32_t number)
      : registers_(registers), dma_(&dma), number_(number) {}

  void reset();
  /// Accesses memory as another function of the card does.
  void use(Dma& dma) noexcept { dma_ = &dma; }
  [[nodiscard]] bool has_memory() const noexcept { return dma_->active(); }
  [[nodiscard]] bool enabled() const noexcept { return enabled_; }
  /// Called when RXDCTL.ENABLE takes effect.
  void set_enabled(bool enabled);
  void write_head(std::uint32_t value);
  /// For tests: the queue takes no frame until it is enabled again.
  void hang() noexcept { hangs_ = true; }
  void write_tail(std::uint32_t value);

  enum class Outcome {
    stored,
    no_descriptors,  ///< nothing was written
    broken,          ///< the ring is unusable: not in memory, a tail outside it, or an unsupported format
  };
  /// Writes `bytes` to the buffers, and writes their descriptors back. `last` is the write-back of the last descriptor;
  /// its length is computed. Its header_length is where `split_point` found the headers' end; it is used if the queue
  /// splits frames.
  [[nodiscard]] Outcome deliver(std::span<const std::byte> bytes, intel::rx::WriteBack last);

  /// Writes the next armed descriptor back with the given content and moves the head, without writing its buffer. False
  /// if no descriptor is armed. For tests with a faulty card.
  bool write_back(const intel::Descriptor& descriptor);

  /// Performs all pending write-backs. False if there are none.
  bool flush_write_backs() { return waiting_.flush(*dma_, number_); }
  [[nodiscard]] std::size_t waiting_write_backs() const noexcept { return waiting_.size(); }
  /// RXDCTL.WTHRESH.
  [[nodiscard]] std::uint32_t threshold() const { return registers_.get<hw::RXDCTL>(number_).get(hw::RXDCTL::WTHRESH); }

  /// Buffer size in bytes, from SRRCTL or RCTL.
  [[nodiscard]] std::size_t buffer_bytes() const;
  /// The number of descriptors that the card may fill.
  [[nodiscard]] std::uint32_t armed() const;
  /// The number of armed descriptors that were left after the last frame.
  [[nodiscard]] std::uint32_t left() const noexcept { return left_; }
  /// The number of writes to RDT, of other values than 0, while the queue was not enabled. A driver that follows the
  /// 82575 manual, 14.3.59, makes none.
  [[nodiscard]] std::uint64_t early_tails() const noexcept { return early_tails_; }

 private:
  [[nodiscard]] std::uint32_t ring_size() const;
  [[nodiscard]] std::uint32_t head() const { return registers_.get<hw::RDH>(number_).get(hw::RDH::HEAD); }
  [[nodiscard]] std::uint32_t tail() const { return registers_.get<hw::RDT>(number_).get(hw::RDT::TAIL); }
  [[nodiscard]] std::uint64_t slot() const;  // address of the next descriptor
  [[nodiscard]] Outcome deliver_split(std::span<const std::byte> bytes, intel::rx::WriteBack last);
  [[nodiscard]] const std::byte* read_descriptor(std::uint64_t at);
  void complete(std::uint64_t slot, const intel::Descriptor& descriptor);
  void advance_head();

  RegisterFile& registers_;
  Dma* dma_;
  std::uint32_t number_;
  bool enabled_ = false;
  bool broken_ = false;  // true until the queue is enabled again
  bool hangs_ = false;
  std::uint32_t left_ = 0;
  std::uint64_t early_tails_ = 0;
  WriteBacks waiting_;
};

}  // namespace pollux::models::igb
