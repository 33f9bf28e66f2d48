// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "net/wire_frame.hpp"
#include "observe/capture/frame_filter.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/queue_observer.hpp"
#include "pollux/observe/capture.hpp"

namespace pollux::observe {

/// A captured frame in a FrameRing. `captured` bytes follow it.
struct alignas(16) FrameRecord {
  // The first 16 bytes are all that a record with flag `skip` has.
  std::uint32_t size = 0;  ///< bytes in the ring, with the frame's, a multiple of 16
  std::uint16_t flags = 0;
  std::uint16_t reason = 0;    ///< for dropped frames: the index of the drop counter
  std::uint32_t captured = 0;  ///< bytes of the frame that were copied
  std::uint32_t length = 0;    ///< bytes of the frame
  std::uint32_t lost = 0;      ///< frames that found no room since the previous record
  std::uint32_t index = 0;     ///< of the frame in its burst
  std::int64_t time = 0;       ///< nanoseconds of the Context's clock
  std::uint64_t stamp = 0;     ///< the card's time stamp in nanoseconds; 0 if there is none

  enum Flag : std::uint16_t {
    skip = 1,          ///< no frame: the next record is at the start of the ring
    bad_frame = 2,     ///< the card reported an error
    card_stamped = 4,  ///< the card has stamped the frame, and keeps the stamp in a register (FrameStamps)
  };

  [[nodiscard]] std::uint8_t* data() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
  [[nodiscard]] const std::uint8_t* data() const noexcept { return reinterpret_cast<const std::uint8_t*>(this + 1); }
};
static_assert(sizeof(FrameRecord) == 48 && offsetof(FrameRecord, length) + 4 == alignof(FrameRecord));

/// A bounded FIFO of captured frames between two threads. Records are of different lengths and each is contiguous, so
/// that both sides work in the ring's own memory; SpscRing, which holds values of one size, would need two more copies.
/// Its positions work in the same way. The producer stages the frames of a burst and publishes them together, all or
/// the first ones. Thread rule: one producer and one consumer at a time.
class FrameRing {
 public:
  static constexpr std::size_t kMinBytes = std::size_t{1} << 12;
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 28;

  /// `bytes` is rounded up to a power of two and clamped to the limits. A record of at most half as many bytes fits
  /// once the ring is empty.
  explicit FrameRing(std::size_t bytes)
      : bytes_(std::bit_ceil(bytes < kMinBytes ? kMinBytes : (bytes > kMaxBytes ? kMaxBytes : bytes))),
        memory_(static_cast<std::byte*>(::operator new(bytes_, kAlign))) {}
  FrameRing(const FrameRing&) = delete;
  FrameRing& operator=(const FrameRing&) = delete;

  [[nodiscard]] std::size_t capacity() const noexcept { return bytes_; }

  /// For the producer: a record with room for `captured` bytes after those that are staged; nullptr if the ring is
  /// full. `size`, `captured` and `flags` are set, the caller sets the other members and the bytes.
  [[nodiscard]] FrameRecord* stage(std::uint32_t captured) noexcept {
    const std::size_t size = (sizeof(FrameRecord) + captured + alignof(FrameRecord) - 1) & ~(alignof(FrameRecord) - 1);
    const std::size_t to_end = bytes_ - (staged_ & (bytes_ - 1));
    const std::size_t skipped = size <= to_end ? 0 : to_end;
    if (!has_room(size + skipped)) return nullptr;
    if (skipped != 0) put(skipped)->flags = FrameRecord::skip;
    FrameRecord* const record = put(size);
    record->captured = captured;
    record->flags = 0;
    return record;
  }
  /// For the producer: shows the consumer the staged records whose `index` is below `count`. The others are forgotten.
  /// Calls `published(record)` for each of the first.
  template <class Published>
  void publish(std::uint32_t count, Published&& published) noexcept {
    std::uint64_t end = tail_.load(std::memory_order_relaxed);
    while (end != staged_) {
      const FrameRecord& record = *at(end);
      if ((record.flags & FrameRecord::skip) == 0) {
        if (record.index >= count) break;
        published(record);
      }
      end += record.size;
    }
    staged_ = end;
    tail_.store(end, std::memory_order_release);
  }

  /// For the producer: the same for all of them.
  void publish() noexcept { tail_.store(staged_, std::memory_order_release); }

  /// For the consumer: the oldest record, which stays valid until `release`; nullptr if there is none.
  [[nodiscard]] const FrameRecord* front() noexcept {
    while (true) {
      if (taken_ == known_tail_) {
        known_tail_ = tail_.load(std::memory_order_acquire);
        if (taken_ == known_tail_) return nullptr;
      }
      const FrameRecord* const record = at(taken_);
      if ((record->flags & FrameRecord::skip) == 0) return record;
      taken_ += record->size;
    }
  }
  /// For the consumer: takes the record that `front` returned. Its memory is not free before `release`.
  void pop() noexcept { taken_ += at(taken_)->size; }
  /// For the consumer: frees the memory of the records that it has taken.
  void release() noexcept { head_.store(taken_, std::memory_order_release); }

 private:
  static constexpr std::align_val_t kAlign{64};
  struct Free {
    void operator()(std::byte* memory) const noexcept { ::operator delete(memory, kAlign); }
  };

  [[nodiscard]] FrameRecord* at(std::uint64_t position) const noexcept {
    return reinterpret_cast<FrameRecord*>(memory_.get() + (position & (bytes_ - 1)));
  }
  [[nodiscard]] bool has_room(std::size_t size) noexcept {
    if (size <= bytes_ - (staged_ - known_head_)) return true;
    known_head_ = head_.load(std::memory_order_acquire);
    return size <= bytes_ - (staged_ - known_head_);
  }
  [[nodiscard]] FrameRecord* put(std::size_t size) noexcept {
    FrameRecord* const record = at(staged_);
    record->size = static_cast<std::uint32_t>(size);
    staged_ += size;
    return record;
  }

  const std::size_t bytes_;
  const std::unique_ptr<std::byte[], Free> memory_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the producer
  std::uint64_t staged_ = 0;                        // the producer's
  std::uint64_t known_head_ = 0;                    // the producer's copy
  alignas(64) std::atomic<std::uint64_t> head_{0};  // written by the consumer
  std::uint64_t taken_ = 0;                         // the consumer's
  std::uint64_t known_tail_ = 0;                    // the consumer's copy
};

/// What the taps of a capture have in common.
struct TapSettings {
  FrameFilter filter = {};
  std::uint32_t snaplen = 0;   ///< bytes that are copied of a frame
  std::size_t ring_bytes = 0;  ///< of each tap's ring
};

/// Copies the frames of bursts that match a filter into a ring. What finds no room there is counted as lost.
/// Thread rule: `stage` and `publish` are called by one thread at a time, and the ring's other side by another one.
class FrameTap {
 public:
  explicit FrameTap(const TapSettings& settings);

  /// Copies the frame with that index in its burst, with `tags`. `now` is the Context's time.
  void stage(const Mbuf& frame, std::uint32_t index, Time now, const WireTags& tags, std::uint16_t flags = 0,
             std::uint16_t reason = 0) noexcept;
  /// The same for a frame in one segment, which has no tags.
  void stage_contiguous(const Mbuf& frame, std::uint32_t index, Time now, std::uint16_t flags) noexcept;
  /// The first `count` frames of the burst were received or taken: shows them to the reader. Forgets the others.
  void publish(std::uint32_t count) noexcept;

  [[nodiscard]] FrameRing& ring() noexcept { return ring_; }
  /// Any thread.
  [[nodiscard]] CaptureCounts counts() const noexcept;
  /// Counts frames as lost that were not staged. The next record says so.
  void count_lost(std::uint32_t frames) noexcept;

 private:
  /// The frame's first bytes, contiguous and as on the wire.
  struct Bytes {
    const std::uint8_t* data;
    std::uint32_t held;
    std::uint32_t length;  ///< of the frame
  };
  [[nodiscard]] Bytes bytes_of(const Mbuf& frame, const WireTags& tags) noexcept;
  void stage(const Bytes& bytes, const Mbuf& frame, std::uint32_t index, Time now, std::uint16_t flags,
             std::uint16_t reason) noexcept;
  /// `publish` if a frame of the burst was lost, or a staged one was not taken.
  void publish_some(std::uint32_t count) noexcept;

  /// Written by the polling thread alone.
  class Count {
   public:
    void add(std::uint64_t more) noexcept {
      value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> value_{0};
  };

  const TapSettings& settings_;
  FrameRing ring_;
  std::vector<std::uint8_t> scratch_;  // a frame of several segments, or with a tag
  // Of this burst: the staged frames, the index of the last one, and those of the lost frames.
  std::uint32_t staged_ = 0;
  std::uint32_t last_ = 0;
  std::vector<std::uint32_t> lost_;
  // Lost frames that no record reports: of earlier bursts, and with those of this one. A record that is not published
  // has reported nothing.
  std::uint32_t unreported_ = 0;
  std::uint32_t to_report_ = 0;
  Count seen_;
  Count captured_;
  Count lost_count_;
};

/// Captures what a receive queue returns.
class RxTap final : public RxObserver {
 public:
  RxTap(const TapSettings& settings, const Clock& clock) : tap_(settings), clock_(clock) {}
  void received(const RxQueue& queue, std::span<Mbuf* const> frames) noexcept override;
  [[nodiscard]] FrameTap& tap() noexcept { return tap_; }

 private:
  FrameTap tap_;
  const Clock& clock_;
};

/// Captures what a transmit queue takes.
class TxTap final : public TxObserver {
 public:
  TxTap(const TapSettings& settings, const Clock& clock) : tap_(settings), clock_(clock) {}
  void sending(const TxQueue& queue, std::span<Mbuf* const> frames) noexcept override;
  void sent(const TxQueue& queue, std::uint32_t count) noexcept override;
  [[nodiscard]] FrameTap& tap() noexcept { return tap_; }

 private:
  FrameTap tap_;
  const Clock& clock_;
};

/// Captures the frames that a program drops, of those that one port has received. The counters may belong to several
/// threads. One that drops frames while another one does so does not wait: these frames are counted as lost.
class DropTap final : public DropObserver {
 public:
  /// A record's `reason` is an index of `counters`. They exist when `attach` is called, and may end before this.
  DropTap(const TapSettings& settings, const Clock& clock, std::vector<const DropCounter*> counters,
          std::uint16_t port);
  DropTap(const DropTap&) = delete;
  DropTap& operator=(const DropTap&) = delete;
  ~DropTap() override { detach(); }

  void attach();
  void detach() noexcept;
  void dropped(const DropCounter& reason, std::span<Mbuf* const> frames) noexcept override;

  [[nodiscard]] FrameTap& tap() noexcept { return tap_; }
  [[nodiscard]] const std::string& name_of(std::uint16_t reason) const noexcept { return names_[reason]; }

 private:
  [[nodiscard]] std::uint32_t count_ours(std::span<Mbuf* const> frames) const noexcept;

  FrameTap tap_;
  const Clock& clock_;
  const std::vector<const DropCounter*> counters_;
  std::vector<std::string> names_;
  std::vector<DropAttachment> attachments_;
  const std::uint16_t port_;
  std::mutex producer_;
  std::atomic<std::uint32_t> missed_{0};  // frames of threads that did not get the lock
};

}  // namespace pollux::observe
