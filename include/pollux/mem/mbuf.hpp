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

/// Returns an mbuf and all its segments to the shared list of their pool.
struct POLLUX_API MbufDeleter {
  /// Any thread; a null pointer is ignored.
  void operator()(Mbuf* mbuf) const noexcept;
};

/// Owns an mbuf that is in no Burst and no queue. If the thread has a MempoolCache, `cache.free()` is faster.
using MbufPtr = std::unique_ptr<Mbuf, MbufDeleter>;

/// A packet buffer: a header of three cache lines, followed by the buffer for the data. A direct, single-segment mbuf
/// (data in its own buffer, no clone, no offload request, no timestamp) needs the first line only. The second line
/// holds what other frames need, the third the fields of the application and of the port. The layout of the header is
/// fixed (ADR 0009).
///
///     head            data                    tail             end
///      |-- headroom --|------- length --------|--- tailroom ---|
///
/// A frame longer than one buffer is a chain of mbufs (segments); the first one owns the rest.
/// Ownership: exactly one owner, which is an MbufPtr, a Burst, a queue or a ring; hence not copyable, not movable, not
/// deletable.
/// Thread rule: an mbuf belongs to its owner's thread. Clones of one buffer may be on different threads; none of them
/// may write data that they share.
class POLLUX_API alignas(64) Mbuf {
 public:
  Mbuf(const Mbuf&) = delete;
  Mbuf& operator=(const Mbuf&) = delete;

  /// The marks in the drawing above, of this segment. None is ever null.
  ///@{
  [[nodiscard]] std::uint8_t* head() noexcept { return buffer_; }
  [[nodiscard]] std::uint8_t* data() noexcept { return buffer_ + data_offset_; }
  [[nodiscard]] const std::uint8_t* data() const noexcept { return buffer_ + data_offset_; }
  [[nodiscard]] std::uint8_t* tail() noexcept { return data() + data_length_; }
  [[nodiscard]] std::uint8_t* end() noexcept { return buffer_ + capacity(); }
  ///@}
  /// Bytes of data in this segment.
  [[nodiscard]] std::uint32_t length() const noexcept { return data_length_; }
  /// Bytes of the whole frame.
  [[nodiscard]] std::uint32_t packet_length() const noexcept {
    return (special_ & kMultiSegment) != 0 ? packet_length_ : data_length_;
  }
  /// The data of this segment. Valid until the mbuf is changed or changes its owner.
  ///@{
  [[nodiscard]] std::span<std::uint8_t> bytes() noexcept { return {data(), data_length_}; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return {data(), data_length_}; }
  ///@}

  /// Bytes of the buffer, headroom included.
  [[nodiscard]] std::uint32_t capacity() const noexcept;
  /// Bytes before the data that `prepend` can use; 0 while the buffer is shared.
  [[nodiscard]] std::uint32_t headroom() const noexcept { return is_shared() ? 0U : data_offset_; }
  /// Bytes after this segment's data that `append` can use; 0 while the buffer is shared.
  [[nodiscard]] std::uint32_t tailroom() const noexcept {
    return is_shared() ? 0U : capacity() - data_offset_ - data_length_;
  }

  /// Moves the start of the data of an empty mbuf back by `bytes`, which become headroom. False, with nothing changed,
  /// if the mbuf holds data, is shared, or its buffer is too small.
  [[nodiscard]] bool reserve(std::uint32_t bytes) noexcept;
  /// Grows the last segment by `bytes` at its end and returns the start of the new bytes. Returns nullptr, with nothing
  /// changed, if there is too little tailroom or the segment would exceed 65,535 bytes.
  [[nodiscard]] std::uint8_t* append(std::uint32_t bytes) noexcept {
    // One comparison covers most mbufs: bits of `special_` exceed every size. The pool's id, between it and the length,
    // is masked out.
    constexpr std::uint32_t kLengthAndSpecial = 0xFF00FFFF;
    std::uint32_t length = 0;
    std::memcpy(&length, &data_length_, sizeof length);
    const std::uint64_t end = std::uint64_t{length & kLengthAndSpecial} + data_offset_;
    if (end + bytes > whole_units_ * kUnit) [[unlikely]]
      return append_slow(bytes);
    data_length_ = static_cast<std::uint16_t>(data_length_ + bytes);
    std::uint8_t* const start = buffer_ + end;
    if (start == nullptr) __builtin_unreachable();  // so the caller's check for nullptr costs nothing here
    return start;
  }
  /// Grows the frame by `bytes` at its front and returns the new start. Returns nullptr, with nothing changed, if there
  /// is too little headroom, or if the segment's length or a header length of the offload request would exceed 16 bits.
  [[nodiscard]] std::uint8_t* prepend(std::uint32_t bytes) noexcept;
  /// Removes `bytes` from the front of the first segment and returns the new start. Returns nullptr, with nothing
  /// changed, if the segment has fewer.
  [[nodiscard]] std::uint8_t* strip(std::uint32_t bytes) noexcept;
  /// Removes `bytes` from the end of the last segment. False, with nothing changed, if the segment has fewer.
  [[nodiscard]] bool trim(std::uint32_t bytes) noexcept;

  /// The following segment, or nullptr. The first segment owns it.
  ///@{
  [[nodiscard]] Mbuf* next() noexcept { return (special_ & kMultiSegment) != 0 ? next_ : nullptr; }
  [[nodiscard]] const Mbuf* next() const noexcept { return (special_ & kMultiSegment) != 0 ? next_ : nullptr; }
  ///@}
  /// Number of segments of the frame, 1 to 255. Call it on the first one.
  [[nodiscard]] std::uint32_t segments() const noexcept { return (special_ & kMultiSegment) != 0 ? segment_count_ : 1; }
  /// Appends the segments of `more` and leaves `more` empty. False, with nothing changed, if `more` is empty or the
  /// chain would exceed 255 segments.
  [[nodiscard]] bool chain(MbufPtr& more) noexcept;
  /// Copies the frame's bytes from `offset` on into `out`. Returns the number of bytes copied, at most `out.size()`.
  [[nodiscard]] std::size_t copy_out(std::size_t offset, std::span<std::uint8_t> out) const noexcept;

  /// Returns a second mbuf chain that shares this frame's bytes. The headers are allocated from `cache`; the result is
  /// empty if there are too few, or if `cache` is of another Context. A buffer returns to its pool when the last mbuf
  /// that uses it is freed. Nobody may write shared data; this is not enforced.
  [[nodiscard]] MbufPtr clone(MempoolCache& cache, Site site = Site::here()) noexcept;
  /// Whether another mbuf uses this one's bytes, too.
  [[nodiscard]] bool is_shared() const noexcept {
    return (special_ & (kShared | kClone)) != 0 && buffer_owner().reference_count_.load(std::memory_order_acquire) > 1;
  }

  /// Called when the last user of an external buffer frees it; `opaque` and `data` are those of `attach_external`. It
  /// runs within the call that frees the frame, such as a burst or a drop. It may allocate and free other mbufs, also
  /// from the same cache, but must not call that queue or its port, nor destroy the pool, the cache or the burst.
  using ExternalFree = void (*)(void* opaque, std::uint8_t* data) noexcept;
  /// Sends the application's memory without a copy: replaces the buffer of an mbuf by `length` bytes at `offset` in
  /// `memory`. All of them become data, without headroom. The library never writes them: what would change the frame's
  /// bytes, such as an ECN mark, copies or drops the frame, as its documentation says. `free` runs on the thread that
  /// frees the last user. False, with nothing changed, unless the mbuf is empty, direct and single-segment (never
  /// cloned, no offload request, no timestamp), the range is inside `memory` and has 1 to 65,535 bytes, and `memory`
  /// belongs to the same Context.
  [[nodiscard]] bool attach_external(const DmaMemory& memory, std::size_t offset, std::size_t length, ExternalFree free,
                                     void* opaque) noexcept;

  /// Sets the offload request: what the port that sends the frame is asked to do. A request without flags asks for
  /// nothing. Call it on the first mbuf of a frame. `prepend` and `strip` keep the header lengths of the request up to
  /// date. `strip` cancels requests for a header that it removes.
  void set_tx_offload(const TxOffload& offload) noexcept {
    // Word by word, as queues compare it: a load of a word that several stores have written waits for them.
    const auto copy = [&](std::size_t from, std::size_t end) {
      std::memcpy(reinterpret_cast<std::byte*>(&tx_offload_) + from,
                  reinterpret_cast<const std::byte*>(&offload) + from, end - from);
    };
    copy(0, offsetof(TxOffload, l2));
    if (offload.has_lengths()) {
      copy(offsetof(TxOffload, l2), offsetof(TxOffload, l4));
      copy(offsetof(TxOffload, l4), sizeof offload);
    }
    special_ = static_cast<std::uint8_t>(offload.flags != 0 ? special_ | kOffload : special_ & ~kOffload);
  }
  /// The offload request; all zero if there is none. Lengths that it does not need are zero, too.
  [[nodiscard]] TxOffload tx_offload() const noexcept {
    if ((special_ & kOffload) == 0) return {};
    if (tx_offload_.has_lengths()) return tx_offload_;
    return {.flags = tx_offload_.flags, .vlan = tx_offload_.vlan, .outer_vlan = tx_offload_.outer_vlan};
  }
  /// Whether a checksum of the frame must still be computed, by the port that sends it or by `complete_checksums`.
  [[nodiscard]] bool has_partial_checksum() const noexcept {
    return (special_ & kOffload) != 0 && (tx_offload_.flags & TxOffload::kChecksums) != 0;
  }
  /// Nanoseconds of the card's clock; 0 if the card took no timestamp. Cards that keep stamps in registers have
  /// FrameStamps.
  [[nodiscard]] std::uint64_t timestamp() const noexcept { return (special_ & kTimestamped) != 0 ? timestamp_ : 0; }
  /// For a port or a program that stamps frames itself; 0 reads as no timestamp.
  void set_timestamp(std::uint64_t nanoseconds) noexcept {
    timestamp_ = nanoseconds;
    special_ |= kTimestamped;
  }

  /// A field for the application; the library never reads or changes it. It keeps its value while the mbuf is in a
  /// queue or a pool, so a new or received mbuf contains the value of an earlier use. A clone gets a copy.
  [[nodiscard]] std::uint64_t user() const noexcept { return user_; }
  void set_user(std::uint64_t value) noexcept { user_ = value; }  ///< see `user`

  /// Index, within its Context, of the port that received the frame; kNoPort if software made the frame.
  [[nodiscard]] std::uint16_t port() const noexcept { return origin_ & kNoPort; }
  static constexpr std::uint16_t kNoPort = 0x0FFF;  ///< `port` of a frame that software made
  /// How the two words of receive metadata are to be read; RxMetadata does it.
  [[nodiscard]] RxFormat rx_format() const noexcept { return static_cast<RxFormat>(origin_ >> 12); }
  /// Whether the frame has receive metadata: rx_format() is not RxFormat::none.
  [[nodiscard]] bool has_rx_words() const noexcept { return origin_ > kNoPort; }
  /// Whether rx_format() is RxFormat::intel_inner_tag or intel_advanced. One comparison; GCC does not simplify two by
  /// itself.
  [[nodiscard]] bool has_intel_rx_words() const noexcept {
    static_assert(
        static_cast<unsigned>(RxFormat::intel_inner_tag) == 14 && static_cast<unsigned>(RxFormat::intel_advanced) == 15,
        "they are the highest formats");
    return origin_ >= (14U << 12);
  }
  /// The raw words of receive metadata, 0 the low one, 1 the high one. They mean what `rx_format` says.
  ///@{
  [[nodiscard]] std::uint64_t rx_word(int index) const noexcept { return index == 0 ? rx_low_ : rx_high_; }
  void set_rx_words(RxFormat format, std::uint64_t low, std::uint64_t high) noexcept {
    rx_low_ = low;
    rx_high_ = high;
    origin_ = static_cast<std::uint16_t>(static_cast<unsigned>(format) << 12 | (origin_ & kNoPort));
  }
  ///@}
  /// The IOVA of the data (the address that devices use); DmaMemory::kNoIova plus offset if no device can access it.
  [[nodiscard]] std::uint64_t data_iova() const noexcept { return iova_ + data_offset_; }

  static constexpr std::size_t kHeaderSize = 192;  ///< bytes from the mbuf's address to its own buffer

 private:
  friend class MempoolCore;
  friend class MempoolCache;
  friend struct MbufAccess;
  friend struct MbufDeleter;

  Mbuf() = default;
  ~Mbuf() = default;

  /// Bits of `special_`. Zero means a direct, single-segment mbuf; then every field that no bit marks as valid is
  /// ignored.
  enum Special : std::uint8_t {
    kShared = 1,        ///< clones of this buffer exist, and reference_count_ counts its users
    kMultiSegment = 2,  ///< next_, segment_count_ and packet_length_ are valid
    kOffload = 4,       ///< tx_offload_ is valid
    kExternal = 8,      ///< buffer_ is the application's memory
    kClone = 16,        ///< buffer_ belongs to another mbuf, root_
    kTimestamped = 32,  ///< timestamp_ is valid
  };

  /// The unit of whole_units_, in bytes.
  static constexpr std::uint32_t kUnit = 256;

  [[nodiscard]] Mbuf& last_segment() noexcept;
  /// `append` for mbufs that are special, and for the end of a buffer.
  [[nodiscard]] std::uint8_t* append_slow(std::uint32_t bytes) noexcept;
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

  // First line: what a direct, single-segment mbuf needs.
  std::uint64_t rx_low_ = 0;  // the two words of the receive write-back, as the card wrote them
  std::uint64_t rx_high_ = 0;
  std::uint64_t iova_ = 0;  // of buffer_
  // The next four fields are one 64-bit word for the fast path: MbufAccess::word().
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
  std::uint8_t whole_units_ = 0;  // bytes of the mbuf's own buffer in units of kUnit, rounded down; at most 255
  std::uint32_t packet_length_ = 0;

  // Second line: what the other mbufs need.
  TxOffload tx_offload_;
  std::uint32_t attached_capacity_ = 0;  // of buffer_ while kExternal or kClone
  std::uint64_t timestamp_ = 0;
  Mbuf* root_ = nullptr;
  ExternalFree external_free_ = nullptr;
  void* external_opaque_ = nullptr;
  std::atomic<std::uint32_t> free_link_{0};    // in the pool's shared list
  std::atomic<std::uint32_t> owner_state_{0};  // MbufAccess::OwnerState, in checked builds

  // Third line: the fields of the application and of the port, and in checked builds where the mbuf was allocated.
  std::uint64_t user_ = 0;
  std::array<std::uint64_t, 2> port_private_{};
  // Where the mbuf was last allocated or freed. Atomic, since a pool that is destroyed reads it for mbufs that other
  // threads still use.
  std::atomic<const char*> site_file_{nullptr};
  std::atomic<std::uint32_t> site_line_{0};
  std::array<std::uint32_t, 7> reserved_{};
};

static_assert(sizeof(Mbuf) == Mbuf::kHeaderSize);

/// Gives the library, drivers and benchmarks access to the private fields of an Mbuf. Applications do not need it.
struct POLLUX_API MbufAccess {
  /// Values of `owner_state`, which only builds with POLLUX_CHECKED write.
  enum OwnerState : std::uint32_t { kFree = 0, kAllocated = 1 };
  /// The bits of `special`; 0 means a direct, single-segment mbuf.
  ///@{
  static constexpr std::uint8_t kShared = Mbuf::kShared;
  static constexpr std::uint8_t kMultiSegment = Mbuf::kMultiSegment;
  static constexpr std::uint8_t kOffload = Mbuf::kOffload;
  static constexpr std::uint8_t kExternal = Mbuf::kExternal;
  static constexpr std::uint8_t kClone = Mbuf::kClone;
  static constexpr std::uint8_t kTimestamped = Mbuf::kTimestamped;
  ///@}

  /// Data length (16 bits), pool id (8), special (8), data offset (16) and origin (16) as one 64-bit word.
  [[nodiscard]] static std::uint64_t word(const Mbuf& mbuf) noexcept {
    std::uint64_t word;
    std::memcpy(&word, reinterpret_cast<const std::byte*>(&mbuf) + kWordOffset, sizeof word);
    return word;
  }
  /// Writes all fields of `word` at once.
  static void set_word(Mbuf& mbuf, std::uint64_t word) noexcept {
    std::memcpy(reinterpret_cast<std::byte*>(&mbuf) + kWordOffset, &word, sizeof word);
  }
  /// Where `word` lies in an mbuf, in bytes, and where its fields lie in it, in bits.
  ///@{
  static constexpr std::size_t kWordOffset = 24;
  static constexpr unsigned kPoolShift = 16;
  static constexpr unsigned kSpecialShift = 24;
  static constexpr unsigned kOffsetShift = 32;
  static constexpr unsigned kOriginShift = 48;
  ///@}

  /// The private fields of these names, unchecked; their declarations in Mbuf say what they mean.
  ///@{
  static std::uint64_t& rx_low(Mbuf& mbuf) noexcept { return mbuf.rx_low_; }
  static std::uint64_t& rx_high(Mbuf& mbuf) noexcept { return mbuf.rx_high_; }
  static std::uint64_t& iova(Mbuf& mbuf) noexcept { return mbuf.iova_; }
  /// Marks a frame as received by port `port`, without receive metadata.
  static void set_port(Mbuf& mbuf, std::uint16_t port) noexcept { mbuf.origin_ = port & Mbuf::kNoPort; }
  static std::uint8_t& special(Mbuf& mbuf) noexcept { return mbuf.special_; }
  static std::uint8_t& segment_count(Mbuf& mbuf) noexcept { return mbuf.segment_count_; }
  /// The offload request, even if it has been completed since.
  static TxOffload& tx_offload(Mbuf& mbuf) noexcept { return mbuf.tx_offload_; }
  /// Two words for the port that owns the mbuf between its rx_burst or tx_burst and the next owner. In an mbuf that is
  /// new to the port they contain what an earlier port left there. A clone gets a copy.
  static std::array<std::uint64_t, 2>& port_private(Mbuf& mbuf) noexcept { return mbuf.port_private_; }
  static std::uint64_t& user(Mbuf& mbuf) noexcept { return mbuf.user_; }
  static std::uint16_t& data_length(Mbuf& mbuf) noexcept { return mbuf.data_length_; }
  static std::uint16_t& data_offset(Mbuf& mbuf) noexcept { return mbuf.data_offset_; }
  static std::uint8_t pool_id(const Mbuf& mbuf) noexcept { return mbuf.pool_id_; }
  static std::uint32_t& packet_length(Mbuf& mbuf) noexcept { return mbuf.packet_length_; }
  static Mbuf*& next(Mbuf& mbuf) noexcept { return mbuf.next_; }
  static std::uint8_t*& buffer(Mbuf& mbuf) noexcept { return mbuf.buffer_; }
  static std::uint8_t whole_units(const Mbuf& mbuf) noexcept { return mbuf.whole_units_; }
  /// Copies what belongs to a frame besides its bytes and receive metadata: offload request, timestamp, the
  /// application's field and the port's words.
  static void copy_metadata(const Mbuf& from, Mbuf& to) noexcept { from.copy_metadata_to(to); }
  static MempoolCore& pool(const Mbuf& mbuf) noexcept { return *mbuf.pool_; }

  /// In builds with POLLUX_CHECKED: marks an mbuf as allocated, from a pool or a queue, at `site`. Otherwise empty.
  static void stamp([[maybe_unused]] Mbuf& mbuf, [[maybe_unused]] Site site) noexcept {
#if POLLUX_CHECKED
    set_site(mbuf, site);
    mbuf.owner_state_.store(kAllocated, std::memory_order_relaxed);
#endif
  }
  /// The site that `stamp` stored; its file name is empty without POLLUX_CHECKED.
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
  ///@}
  /// Constructs an mbuf of a new pool in `memory`.
  static Mbuf* construct(void* memory, MempoolCore& pool, std::uint8_t pool_id) noexcept;
  /// Unlinks a segment from its chain. Returns false, with nothing changed, if anything but the chain is special about
  /// the segment: it is then not a direct mbuf, or has a request or timestamp.
  [[nodiscard]] static bool unlink(Mbuf& segment) noexcept {
    if ((segment.special_ & ~Mbuf::kMultiSegment) != 0) return false;
    segment.special_ = 0;
    segment.next_ = nullptr;
    segment.segment_count_ = 1;
    return true;
  }
  /// Resets one segment to a direct, single-segment mbuf. Returns true if this was the last user of the segment's own
  /// buffer: the segment is then free and the caller returns it to its pool.
  [[nodiscard]] static bool detach(Mbuf& segment) noexcept { return segment.detach(); }
  /// Drops a clone's reference to `root`, the mbuf that owns the buffer. Returns true if it was the last reference:
  /// `root` is then free and the caller returns it to its pool.
  [[nodiscard]] static bool unref_root(Mbuf& root) noexcept { return root.unref_root(); }
  /// Whether the library may write the segment's bytes: nobody else uses them, and they are not the application's.
  [[nodiscard]] static bool owns_bytes(const Mbuf& segment) noexcept {
    return !segment.is_shared() && (segment.buffer_owner().special_ & Mbuf::kExternal) == 0;
  }
  /// The mbuf whose buffer a clone uses; nullptr if the segment is no clone.
  [[nodiscard]] static Mbuf* root(const Mbuf& segment) noexcept {
    return (segment.special_ & Mbuf::kClone) != 0 ? segment.root_ : nullptr;
  }
};

}  // namespace pollux
