// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/write_backs.hpp"

namespace pollux::models::igb {

namespace intel = pollux::hw::intel;

/// A frame that a transmit queue has assembled from descriptors.
struct TxFrame {
  std::vector<std::byte> bytes;
  std::uint64_t flags = 0;    ///< high word of the first data descriptor: the requested offloads
  intel::Descriptor context;  ///< the context that the first data descriptor selects
  bool too_long = false;
  bool unreadable = false;   ///< some of its bytes could not be read from memory
  bool unsupported = false;  ///< a descriptor format that this model does not support
};

/// [I-M-TXWB] How completed transmit descriptors are written back. The default is what drivers ask for.
struct TxWriteBackStyle {
  bool whole = false;  ///< all 16 bytes, instead of the word with the done bit
  std::uint32_t unrequested =
      0;  ///< of 1,000 descriptors without report-status, how many are written back all the same
  std::uint64_t seed = 1;
};

/// Gets the frames of the transmit queues.
class TxSink {
 public:
  /// True if another frame may be started.
  [[nodiscard]] virtual bool ready() const = 0;
  /// May take the frame's bytes.
  virtual void send(std::uint32_t queue, TxFrame& frame) = 0;

 protected:
  ~TxSink() = default;
};

/// One transmit queue: its ring, its two context descriptors, and the frame that is being assembled.
class TxQueue {
 public:
  TxQueue(RegisterFile& registers, Dma& dma, std::uint32_t number)
      : registers_(registers), dma_(&dma), number_(number) {}

  void reset();
  /// Accesses memory as another function of the card does.
  void use(Dma& dma) noexcept { dma_ = &dma; }
  [[nodiscard]] bool enabled() const noexcept { return enabled_; }
  /// Called when TXDCTL.ENABLE takes effect.
  void set_enabled(bool enabled);
  void write_head(std::uint32_t value);

  /// For tests: the queue fetches no descriptor until it is reset.
  void hang() noexcept { broken_ = true; }
  /// Fetches descriptors up to the tail while `sink` is ready, and passes each whole frame to it. True if a write-back
  /// was made or is pending.
  bool process(TxSink& sink);

  void set_write_back_style(const TxWriteBackStyle& style) noexcept {
    style_ = style;
    random_ = style.seed + number_;
  }

  /// Performs all pending write-backs. False if there are none.
  bool flush_write_backs() { return waiting_.flush(*dma_, number_); }
  [[nodiscard]] std::size_t waiting_write_backs() const noexcept { return waiting_.size(); }
  /// TXDCTL.WTHRESH.
  [[nodiscard]] std::uint32_t threshold() const;

  /// The most recent context descriptors, by index.
  [[nodiscard]] const std::array<intel::Descriptor, 2>& contexts() const noexcept { return contexts_; }

 private:
  [[nodiscard]] std::uint32_t ring_size() const;
  [[nodiscard]] std::uint32_t head() const { return registers_.get<hw::TDH>(number_).get(hw::TDH::HEAD); }
  [[nodiscard]] std::uint32_t tail() const { return registers_.get<hw::TDT>(number_).get(hw::TDT::TAIL); }
  [[nodiscard]] bool has_work() const;
  void process_descriptor(const intel::Descriptor& descriptor, TxSink& sink);
  void append_data(const intel::Descriptor& descriptor);
  void write_back(std::uint64_t slot, const intel::Descriptor& descriptor);
  [[nodiscard]] bool reports_unasked();

  RegisterFile& registers_;
  Dma* dma_;
  std::uint32_t number_;
  bool enabled_ = false;
  bool broken_ = false;  // true until the queue is enabled again
  bool in_frame_ = false;
  TxFrame frame_;
  std::array<intel::Descriptor, 2> contexts_{};
  WriteBacks waiting_;
  TxWriteBackStyle style_;
  std::uint64_t random_ = 1;
};

}  // namespace pollux::models::igb
