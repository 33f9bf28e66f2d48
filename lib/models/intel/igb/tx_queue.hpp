// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

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

/// The checksum and segmentation offloads of a transmit request. The frames are made one by one, so that they can wait
/// for the wire. Field updates of segments: 82575 manual, 5.8.7.1 to 5.8.7.3.
class TxOffload {
 public:
  /// PAYLEN has 18 bits; the headers have at most 127 + 511 + 255 bytes.
  static constexpr std::size_t kMaxRequestBytes = intel::tx::kPayloadMask + 127 + 511 + 255;
  /// The flags of a data descriptor that this class performs.
  static constexpr std::uint64_t kFlags =
      intel::tx::kSegment | intel::tx::kInsertIpChecksum | intel::tx::kInsertL4Checksum;

  /// Starts a request, and takes `bytes`. `flags` is the high word of the first data descriptor. False if the context
  /// does not match the bytes; there is then nothing to send. [I-M-BADCONTEXT]
  bool start(std::vector<std::byte>& bytes, std::uint64_t flags, const intel::Descriptor& context);
  [[nodiscard]] bool finished() const noexcept { return sent_ == count_; }
  /// The next frame, without inserted tag and padding. It is valid until the next call. Precondition: not finished.
  [[nodiscard]] std::span<const std::byte> next();
  [[nodiscard]] std::uint64_t flags() const noexcept { return flags_; }
  [[nodiscard]] std::uint16_t vlan() const noexcept { return context_.vlan; }
  void discard() noexcept { sent_ = count_ = 0; }

 private:
  [[nodiscard]] bool asks(std::uint64_t flag) const noexcept { return (flags_ & flag) != 0; }
  [[nodiscard]] bool is_ipv4() const noexcept { return (context_.kind & intel::tx::kContextIpv4) != 0; }
  [[nodiscard]] std::uint64_t layer4() const noexcept { return context_.kind & intel::tx::kL4TypeMask; }
  [[nodiscard]] std::size_t ip_at() const noexcept { return context_.mac_length; }
  [[nodiscard]] std::size_t layer4_at() const noexcept { return ip_at() + context_.ip_length; }
  [[nodiscard]] std::size_t header_bytes() const noexcept { return layer4_at() + context_.l4_length; }
  [[nodiscard]] bool fits() const noexcept;
  [[nodiscard]] bool can_segment() const noexcept;
  void update_headers(std::span<std::byte> segment) const;
  void insert_checksums(std::span<std::byte> frame) const;

  std::vector<std::byte> bytes_;
  std::vector<std::byte> segment_;
  std::uint64_t flags_ = 0;
  intel::tx::Context context_;
  std::size_t count_ = 0;  // frames of this request
  std::size_t sent_ = 0;
};

}  // namespace pollux::models::igb
