// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/offload.hpp"

#ifndef POLLUX_CHECKED
#define POLLUX_CHECKED 0
#endif

namespace pollux {

class Mbuf;
class MempoolCore;
class MempoolCache;
class DmaMemory;

/// Gives an mbuf, with all its segments, back to its pool's shared list.
struct POLLUX_API MbufDeleter {
  void operator()(Mbuf* mbuf) const noexcept;
};

/// The one owner of an mbuf outside a Burst and a queue. Where a MempoolCache is at hand, `cache.free()` is faster.
using MbufPtr = std::unique_ptr<Mbuf, MbufDeleter>;

/// A packet buffer: a header of three cache lines in front of the data it describes. A frame that fits one buffer and
/// asks for nothing special touches the first line only. The second has what a special frame needs, the third what
/// belongs to the application and to the port; nothing but these two touch it. Where each field lies is settled (ADR
/// 0009).
///
///     head            data                    tail             end
///      |-- headroom --|------- length --------|--- tailroom ---|
///
/// A frame longer than a buffer is a chain of mbufs; the first one owns the rest.
/// Ownership: exactly one owner, an MbufPtr, a Burst or a queue; hence not copyable, not movable, not deletable.
/// Thread rule: an mbuf belongs to its owner's thread; clones of one buffer may live on different threads, and whoever
/// holds one must not write data that others share.
class POLLUX_API alignas(64) Mbuf {
 public:
  Mbuf(const Mbuf&) = delete;
  Mbuf& operator=(const Mbuf&) = delete;

  [[nodiscard]] std::uint8_t* head() noexcept { return buffer_; }
  [[nodiscard]] std::uint8_t* data() noexcept { return buffer_ + data_offset_; }
  [[nodiscard]] const std::uint8_t* data() const noexcept { return buffer_ + data_offset_; }
  [[nodiscard]] std::uint8_t* tail() noexcept { return data() + data_length_; }
  [[nodiscard]] std::uint8_t* end() noexcept { return buffer_ + capacity(); }
  /// Bytes of data in this segment.
  [[nodiscard]] std::uint32_t length() const noexcept { return data_length_; }
  /// Bytes of the whole frame.
  [[nodiscard]] std::uint32_t packet_length() const noexcept {
    return (special_ & kMultiSegment) != 0 ? packet_length_ : data_length_;
  }
  [[nodiscard]] std::span<std::uint8_t> bytes() noexcept { return {data(), data_length_}; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return {data(), data_length_}; }

  /// Bytes of the buffer, headroom included.
  [[nodiscard]] std::uint32_t capacity() const noexcept;
  /// Bytes in front of the data that this mbuf may grow into; 0 while the buffer is shared.
  [[nodiscard]] std::uint32_t headroom() const noexcept { return is_shared() ? 0U : data_offset_; }
  /// Bytes behind the data of this segment that it may grow into; 0 while the buffer is shared.
  [[nodiscard]] std::uint32_t tailroom() const noexcept {
    return is_shared() ? 0U : capacity() - data_offset_ - data_length_;
  }

  /// Moves the start of the data of an empty mbuf by `bytes`. False, with nothing changed, if the mbuf holds data or
  /// the buffer is too small.
  [[nodiscard]] bool reserve(std::uint32_t bytes) noexcept;
  /// Grows the last segment by `bytes` at its end and returns where they start; nullptr, with nothing changed, if its
  /// tailroom or 65,535 bytes a segment do not allow it.
  [[nodiscard]] std::uint8_t* append(std::uint32_t bytes) noexcept;
  /// Grows the frame by `bytes` at its front and returns the new start; nullptr, with nothing changed, without
  /// headroom, and where 16 bits do not hold the segment's length or one of its request.
  [[nodiscard]] std::uint8_t* prepend(std::uint32_t bytes) noexcept;
  /// Takes `bytes` off the front of the first segment and returns the new start; nullptr, with nothing changed, if it
  /// has fewer.
  [[nodiscard]] std::uint8_t* strip(std::uint32_t bytes) noexcept;
  /// Takes `bytes` off the end of the last segment. False, with nothing changed, if it has fewer.
  [[nodiscard]] bool trim(std::uint32_t bytes) noexcept;

  /// The following segment, or nullptr. It belongs to the first one.
  [[nodiscard]] Mbuf* next() noexcept { return (special_ & kMultiSegment) != 0 ? next_ : nullptr; }
  [[nodiscard]] const Mbuf* next() const noexcept { return (special_ & kMultiSegment) != 0 ? next_ : nullptr; }
  [[nodiscard]] std::uint32_t segments() const noexcept { return (special_ & kMultiSegment) != 0 ? segment_count_ : 1; }
  /// Hangs `more` behind the last segment. On success `more` is empty; false, with nothing changed, beyond 255
  /// segments.
  [[nodiscard]] bool chain(MbufPtr& more) noexcept;
  /// Copies the frame's bytes from `offset` on into `out`; returns how many there were, at most `out.size()`.
  [[nodiscard]] std::size_t copy_out(std::size_t offset, std::span<std::uint8_t> out) const noexcept;

  /// A second mbuf chain over the same bytes, its headers taken from `cache`; empty if that runs dry. The bytes go back
  /// to their pool when the last of all clones does. While shared, data is read-only by agreement.
  [[nodiscard]] MbufPtr clone(MempoolCache& cache, Site site = Site::here()) noexcept;
  /// Whether another mbuf uses this one's bytes, too.
  [[nodiscard]] bool is_shared() const noexcept {
    return (special_ & (kShared | kClone)) != 0 && buffer_owner().reference_count_.load(std::memory_order_acquire) > 1;
  }

  /// Called when the last user of an external buffer is done; `opaque` and `data` are those of `attach_external`.
  using ExternalFree = void (*)(void* opaque, std::uint8_t* data) noexcept;
  /// Replaces the buffer of an empty, plain mbuf (never cloned, one segment, no offload or timestamp yet) by `length`
  /// bytes of the application's memory at `offset` in `memory`, so that they are sent without a copy; the data is all
  /// of it, without headroom. False, with nothing changed, for any other mbuf, if the range is empty, outside `memory`
  /// or over 65,535 bytes, and if `memory` is of another Context. `free` runs on the thread that lets go last.
  [[nodiscard]] bool attach_external(const DmaMemory& memory, std::size_t offset, std::size_t length, ExternalFree free,
                                     void* opaque) noexcept;

  /// Asks the port that will send the frame for `offload`; without flags it asks for nothing. For the first mbuf of a
  /// frame. `prepend` and `strip` keep the request with the headers that it is about: lengths change with them, and
  /// what is asked of a header that is stripped off is not asked any more.
  void set_tx_offload(const TxOffload& offload) noexcept {
    tx_offload_ = offload;
    special_ = static_cast<std::uint8_t>(offload.flags != 0 ? special_ | kOffload : special_ & ~kOffload);
  }
  /// What is asked for; all zero where nothing is.
  [[nodiscard]] TxOffload tx_offload() const noexcept { return (special_ & kOffload) != 0 ? tx_offload_ : TxOffload{}; }
  /// Whether a checksum of the frame is still to be computed, by whoever sends it or by `complete_checksums`.
  [[nodiscard]] bool has_partial_checksum() const noexcept {
    return (special_ & kOffload) != 0 && (tx_offload_.flags & TxOffload::kChecksums) != 0;
  }
  /// Nanoseconds of the card's clock; 0 where none was taken. The igb driver takes none yet.
  [[nodiscard]] std::uint64_t timestamp() const noexcept { return (special_ & kTimestamped) != 0 ? timestamp_ : 0; }
  void set_timestamp(std::uint64_t nanoseconds) noexcept {
    timestamp_ = nanoseconds;
    special_ |= kTimestamped;
  }

  /// The application's own field. Nobody else reads or writes it: it keeps what was last set, also while the buffer is
  /// in a queue or a pool, so that of a fresh or received mbuf it is whatever an earlier frame left there. A clone gets
  /// a copy.
  [[nodiscard]] std::uint64_t user() const noexcept { return user_; }
  void set_user(std::uint64_t value) noexcept { user_ = value; }

  /// Index of the port that received the frame within its Context; kNoPort for one that software made.
  [[nodiscard]] std::uint16_t port() const noexcept { return origin_ & kNoPort; }
  static constexpr std::uint16_t kNoPort = 0x0FFF;
  [[nodiscard]] RxFormat rx_format() const noexcept { return static_cast<RxFormat>(origin_ >> 12); }
  /// Whether rx_format() is any but RxFormat::none.
  [[nodiscard]] bool has_rx_words() const noexcept { return origin_ > kNoPort; }
  /// rx_format() == RxFormat::intel_advanced, as one comparison, which GCC does not make of that by itself.
  [[nodiscard]] bool has_intel_rx_words() const noexcept {
    static_assert(static_cast<unsigned>(RxFormat::intel_advanced) == 15, "there is no higher format");
    return origin_ >= (15U << 12);
  }
  [[nodiscard]] std::uint64_t rx_word(int index) const noexcept { return index == 0 ? rx_low_ : rx_high_; }
  void set_rx_words(RxFormat format, std::uint64_t low, std::uint64_t high) noexcept {
    rx_low_ = low;
    rx_high_ = high;
    origin_ = static_cast<std::uint16_t>(static_cast<unsigned>(format) << 12 | (origin_ & kNoPort));
  }
  /// The device's address of the data; DmaMemory::kNoIova plus offset where no device can reach it.
  [[nodiscard]] std::uint64_t data_iova() const noexcept { return iova_ + data_offset_; }

  static constexpr std::size_t kHeaderSize = 192;

 private:
  friend class MempoolCore;
  friend class MempoolCache;
  friend struct MbufAccess;
  friend struct MbufDeleter;

  Mbuf() = default;
  ~Mbuf() = default;

  /// Bits of `special_`; zero is a plain mbuf, and then everything not written below is at its default.
  enum Special : std::uint8_t {
    kShared = 1,        ///< clones of this buffer exist: reference_count_ decides
    kMultiSegment = 2,  ///< next_, segment_count_ and packet_length_ are meaningful
    kOffload = 4,       ///< tx_offload_ is meaningful
    kExternal = 8,      ///< buffer_ is the application's memory
    kClone = 16,        ///< buffer_ is another mbuf's: root_
    kTimestamped = 32,  ///< timestamp_ is meaningful
  };

  [[nodiscard]] Mbuf& last_segment() noexcept;
  [[nodiscard]] Mbuf& buffer_owner() noexcept { return (special_ & kClone) != 0 ? *root_ : *this; }
  [[nodiscard]] const Mbuf& buffer_owner() const noexcept { return (special_ & kClone) != 0 ? *root_ : *this; }
  void share_with(Mbuf& clone) noexcept;
  void copy_metadata_to(Mbuf& copy) const noexcept;
  [[nodiscard]] bool grow_offload(std::uint32_t bytes) noexcept;
  void shrink_offload(std::uint32_t bytes) noexcept;
  [[nodiscard]] bool detach() noexcept;
  [[nodiscard]] bool unref_root() noexcept;
  void end_use() noexcept;
  void reset_to_direct() noexcept;

  // First line: what a plain frame needs.
  std::uint64_t rx_low_ = 0;  // the write-back's two words as the card wrote them
  std::uint64_t rx_high_ = 0;
  std::uint64_t iova_ = 0;  // of buffer_
  // These four are one 64-bit word for the hot path: MbufAccess::word().
  std::uint16_t data_length_ = 0;
  std::uint8_t pool_id_ = 0;
  std::uint8_t special_ = 0;
  std::uint16_t data_offset_ = 0;
  std::uint16_t origin_ = kNoPort;  // RxFormat in the upper 4 bits, port in the lower 12
  std::uint8_t* buffer_ = nullptr;
  Mbuf* next_ = nullptr;
  MempoolCore* pool_ = nullptr;
  std::atomic<std::uint16_t> reference_count_{1};
  std::uint8_t segment_count_ = 1;
  std::uint8_t unused_ = 0;
  std::uint32_t packet_length_ = 0;

  // Second line: what a special frame needs.
  TxOffload tx_offload_;
  std::uint32_t attached_capacity_ = 0;  // of buffer_ while kExternal or kClone
  std::uint64_t timestamp_ = 0;
  Mbuf* root_ = nullptr;
  ExternalFree external_free_ = nullptr;
  void* external_opaque_ = nullptr;
  std::atomic<std::uint32_t> free_link_{0};    // in the pool's shared list
  std::atomic<std::uint32_t> owner_state_{0};  // MbufAccess::OwnerState, in checked builds

  // Third line: the application's, the port's, and where the mbuf came from in checked builds.
  std::uint64_t user_ = 0;
  std::array<std::uint64_t, 2> port_private_{};
  // Who took it last, or gave it back. Atomic, since a pool that goes away reads the sites of mbufs that others still
  // use.
  std::atomic<const char*> site_file_{nullptr};
  std::atomic<std::uint32_t> site_line_{0};
  std::array<std::uint32_t, 7> reserved_{};
};

static_assert(sizeof(Mbuf) == Mbuf::kHeaderSize);

/// The door for the library's own code, drivers and benchmarks into an Mbuf's fields. Applications have no need of it.
struct POLLUX_API MbufAccess {
  enum OwnerState : std::uint32_t { kFree = 0, kAllocated = 1 };
  static constexpr std::uint8_t kShared = Mbuf::kShared;
  static constexpr std::uint8_t kMultiSegment = Mbuf::kMultiSegment;
  static constexpr std::uint8_t kOffload = Mbuf::kOffload;
  static constexpr std::uint8_t kExternal = Mbuf::kExternal;
  static constexpr std::uint8_t kClone = Mbuf::kClone;
  static constexpr std::uint8_t kTimestamped = Mbuf::kTimestamped;

  /// Data length (16 bits), pool id (8), special (8), data offset (16), origin (16): read or written at once.
  [[nodiscard]] static std::uint64_t word(const Mbuf& mbuf) noexcept {
    std::uint64_t word;
    std::memcpy(&word, reinterpret_cast<const std::byte*>(&mbuf) + kWordOffset, sizeof word);
    return word;
  }
  static void set_word(Mbuf& mbuf, std::uint64_t word) noexcept {
    std::memcpy(reinterpret_cast<std::byte*>(&mbuf) + kWordOffset, &word, sizeof word);
  }
  static constexpr std::size_t kWordOffset = 24;
  static constexpr unsigned kPoolShift = 16;
  static constexpr unsigned kSpecialShift = 24;
  static constexpr unsigned kOffsetShift = 32;
  static constexpr unsigned kOriginShift = 48;

  static std::uint64_t& rx_low(Mbuf& mbuf) noexcept { return mbuf.rx_low_; }
  static std::uint64_t& rx_high(Mbuf& mbuf) noexcept { return mbuf.rx_high_; }
  static std::uint64_t& iova(Mbuf& mbuf) noexcept { return mbuf.iova_; }
  /// Marks a frame without metadata as received by that port.
  static void set_port(Mbuf& mbuf, std::uint16_t port) noexcept { mbuf.origin_ = port & Mbuf::kNoPort; }
  static std::uint8_t& special(Mbuf& mbuf) noexcept { return mbuf.special_; }
  static std::uint8_t& segment_count(Mbuf& mbuf) noexcept { return mbuf.segment_count_; }
  /// What the request is, or was before it was met.
  static TxOffload& tx_offload(Mbuf& mbuf) noexcept { return mbuf.tx_offload_; }
  /// For the port that has the mbuf, from its rx_burst or tx_burst until the mbuf is another's. Of a mbuf that is new
  /// to the port it is whatever an earlier port left there. A clone gets a copy.
  static std::array<std::uint64_t, 2>& port_private(Mbuf& mbuf) noexcept { return mbuf.port_private_; }
  static std::uint64_t& user(Mbuf& mbuf) noexcept { return mbuf.user_; }
  static std::uint16_t& data_length(Mbuf& mbuf) noexcept { return mbuf.data_length_; }
  static std::uint16_t& data_offset(Mbuf& mbuf) noexcept { return mbuf.data_offset_; }
  static std::uint8_t pool_id(const Mbuf& mbuf) noexcept { return mbuf.pool_id_; }
  static std::uint32_t& packet_length(Mbuf& mbuf) noexcept { return mbuf.packet_length_; }
  static Mbuf*& next(Mbuf& mbuf) noexcept { return mbuf.next_; }
  static std::uint8_t*& buffer(Mbuf& mbuf) noexcept { return mbuf.buffer_; }
  /// Gives a copy of a frame's bytes what goes with them: request, timestamp, the application's field and the port's.
  static void copy_metadata(const Mbuf& from, Mbuf& to) noexcept { from.copy_metadata_to(to); }
  static MempoolCore& pool(const Mbuf& mbuf) noexcept { return *mbuf.pool_; }

  /// Marks an mbuf as taken from a queue or pool at `site`. Compiles to nothing without POLLUX_CHECKED.
  static void stamp([[maybe_unused]] Mbuf& mbuf, [[maybe_unused]] Site site) noexcept {
#if POLLUX_CHECKED
    set_site(mbuf, site);
    mbuf.owner_state_.store(kAllocated, std::memory_order_relaxed);
#endif
  }
  /// What `stamp` noted; an empty file name without POLLUX_CHECKED.
  [[nodiscard]] static Site site(const Mbuf& mbuf) noexcept {
    const char* const file = mbuf.site_file_.load(std::memory_order_relaxed);
    return {file != nullptr ? file : "", mbuf.site_line_.load(std::memory_order_relaxed)};
  }
  static void set_site(Mbuf& mbuf, Site site) noexcept {
    mbuf.site_file_.store(site.file, std::memory_order_relaxed);
    mbuf.site_line_.store(site.line, std::memory_order_relaxed);
  }
  static std::atomic<std::uint32_t>& owner_state(Mbuf& mbuf) noexcept { return mbuf.owner_state_; }
  static std::atomic<std::uint32_t>& free_link(Mbuf& mbuf) noexcept { return mbuf.free_link_; }
  /// Makes the mbuf of a new pool in the memory at `place`.
  static Mbuf* construct(void* place, MempoolCore& pool, std::uint8_t pool_id) noexcept;
  /// Makes a segment plain about which nothing is special but that it is part of a chain. False for any other.
  [[nodiscard]] static bool unlink(Mbuf& segment) noexcept {
    if ((segment.special_ & ~Mbuf::kMultiSegment) != 0) return false;
    segment.special_ = 0;
    segment.next_ = nullptr;
    segment.segment_count_ = 1;
    return true;
  }
  /// Undoes what is special about one segment. True if this was the last user of its bytes, and it may go home.
  [[nodiscard]] static bool detach(Mbuf& segment) noexcept { return segment.detach(); }
  /// The same for the root of a clone, which the clone's user does not own.
  [[nodiscard]] static bool unref_root(Mbuf& root) noexcept { return root.unref_root(); }
  [[nodiscard]] static Mbuf* root(const Mbuf& segment) noexcept {
    return (segment.special_ & Mbuf::kClone) != 0 ? segment.root_ : nullptr;
  }
};

}  // namespace pollux
