// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/compiler.hpp"
#include "pollux/mem/dma_memory.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {

class ContextState;

/// The id of a pool, 1 to 255, by which queues and caches recognise the direct mbufs of their own pool. It is unique in
/// the process, so an mbuf of another Context is never taken for one of theirs. 0 if all are taken: the mbufs of a pool
/// without an id take the slow path. It takes no lock, since a forked child may make pools.
class PoolId {
 public:
  PoolId() noexcept;
  PoolId(const PoolId&) = delete;
  PoolId& operator=(const PoolId&) = delete;
  ~PoolId();
  [[nodiscard]] std::uint8_t value() const noexcept { return value_; }

 private:
  std::uint8_t value_ = 0;
};

/// The buffers of a pool and their shared free list, a lock-free stack (Treiber's). A link is a 32-bit distance from
/// the first mbuf in cache lines. The upper half of the head is a tag that counts changes, which avoids the ABA
/// problem.
class MempoolCore {
 public:
  /// Who owns the pool, which decides when allocated mbufs are reported as a leak.
  enum class Owner : bool {
    application,  ///< when the pool has no users any more
    port,         ///< when the Context is destroyed: until then, received frames may be in another port's ring
  };

  MempoolCore(std::shared_ptr<ContextState> context, MempoolOptions options, DmaMemory memory,
              Owner owner = Owner::application);
  MempoolCore(const MempoolCore&) = delete;
  MempoolCore& operator=(const MempoolCore&) = delete;

  /// Creates a pool in memory of `context`.
  /// Errors: see Mempool::create.
  [[nodiscard]] static Result<std::shared_ptr<MempoolCore>> create(const std::shared_ptr<ContextState>& context,
                                                                   MempoolOptions options, Owner owner);

  /// Bytes from one mbuf to the next: an odd number of cache lines, since a power of two would put all headers into a
  /// few sets of the first-level cache.
  [[nodiscard]] static std::uint32_t stride(const MempoolOptions& options) noexcept;

  /// Bytes that the pool needs in pages of `page` bytes, with no buffer across two of them.
  [[nodiscard]] static std::size_t bytes_for(const MempoolOptions& options, std::size_t page) noexcept;

  /// Takes up to `mbufs.size()` mbufs from the shared list, in no order. Returns the number taken.
  [[nodiscard]] std::uint32_t take(std::span<Mbuf*> mbufs) noexcept;
  /// Fills all of `mbufs`. On error no_memory it takes none, leaves them nullptr and counts the failure; `user` is who
  /// needs them, such as "a receive ring".
  [[nodiscard]] Result<void> take_all(std::span<Mbuf*> mbufs, std::string_view user);
  /// Returns direct, single-segment mbufs of this pool to the shared list.
  void put(std::span<Mbuf* const> mbufs) noexcept;
  void count_failures(std::uint64_t failures) noexcept {
    allocation_failures_.fetch_add(failures, std::memory_order_relaxed);
  }
  void count_failure() noexcept { count_failures(1); }
  void count_unnamed_drop() noexcept { unnamed_drops_.fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] const MempoolOptions& options() const noexcept { return options_; }
  [[nodiscard]] ContextState& context() const noexcept { return *context_; }
  [[nodiscard]] std::uint8_t id() const noexcept { return id_.value(); }
  /// Offset of the frame in the buffer of an empty mbuf.
  [[nodiscard]] std::uint32_t data_offset() const noexcept { return options_.headroom + (options_.ip_align ? 2 : 0); }
  /// Bytes of a buffer, headroom included.
  [[nodiscard]] std::uint32_t buffer_size() const noexcept { return buffer_size_; }
  /// Whether IOVA minus address is the same for all mbufs, and that difference.
  [[nodiscard]] bool has_one_segment() const noexcept { return memory_.segments().size() == 1; }
  [[nodiscard]] std::uint64_t iova_delta() const noexcept;
  /// Mbuf's word of an empty mbuf of this pool with that origin.
  [[nodiscard]] std::uint64_t empty_word(RxFormat format, std::uint16_t port) const noexcept;

  void add_cache(MempoolCacheCore& cache);
  void remove_cache(MempoolCacheCore& cache);
  [[nodiscard]] MempoolStats stats() const noexcept;
  /// Whether every mbuf is in the shared list.
  [[nodiscard]] bool all_free() const noexcept {
    return shared_count_.load(std::memory_order_acquire) == options_.count;
  }
  /// Deleter of the shared pool. If mbufs are still allocated, passes the pool to the Context and reports a leak
  /// (checked builds) now or when the Context is destroyed.
  static void retire(MempoolCore* core) noexcept;
  /// Bytes of one page of the pool's memory.
  [[nodiscard]] std::size_t page_size() const noexcept { return memory_.page_size(); }
  /// The IOVA of an mbuf's own buffer.
  [[nodiscard]] std::uint64_t buffer_iova(const Mbuf& mbuf) const noexcept;
  [[nodiscard]] Mbuf& at(std::uint32_t index) const noexcept { return *mbufs_[index]; }
  [[nodiscard]] Owner owner() const noexcept { return owner_; }
  /// A leak misuse that says where the allocated mbufs were allocated.
  [[nodiscard]] Misuse describe_leak() const;

 private:
  static constexpr std::uint64_t kOrphaned = std::uint64_t{1} << 32;

  void lay_out();
  void fill(const DmaSegment& segment, std::size_t block);
  [[nodiscard]] std::string describe_missing() const;
  [[nodiscard]] std::uint32_t link_to(const Mbuf& mbuf) const noexcept;
  [[nodiscard]] Mbuf* mbuf_at(std::uint32_t link) const noexcept;

  std::shared_ptr<ContextState> context_;
  MempoolOptions options_;
  DmaMemory memory_;
  std::vector<Mbuf*> mbufs_;
  std::byte* lowest_ = nullptr;  // the lowest segment address, from which links count
  std::uint32_t buffer_size_ = 0;
  PoolId id_;
  Owner owner_;
  mutable std::mutex caches_mutex_;
  std::vector<MempoolCacheCore*> caches_;
  std::atomic<std::uint64_t> allocation_failures_{0};
  std::atomic<std::uint64_t> unnamed_drops_{0};
  alignas(64) std::atomic<std::uint64_t> head_{0};
  // Number of mbufs in the shared list, plus kOrphaned once the pool has no user. Both are in one word, since the
  // thread that returns the last mbuf must learn in the same step whether it has to destroy the pool: after that step,
  // another thread may have destroyed it.
  std::atomic<std::uint64_t> shared_count_{0};
};

/// The state of a MempoolCache, shared by all that use the cache.
class alignas(kApart) MempoolCacheCore : public MempoolCacheObjects {
 public:
  MempoolCacheCore(std::shared_ptr<MempoolCore> pool, std::uint32_t capacity);
  MempoolCacheCore(const MempoolCacheCore&) = delete;
  MempoolCacheCore& operator=(const MempoolCacheCore&) = delete;
  ~MempoolCacheCore();

  /// Takes mbufs from the shared list until the cache has at least `wanted` (at most kMaxCapacity), or the list is
  /// empty.
  void refill(std::uint32_t wanted) noexcept;
  /// Returns the least recently freed mbufs to the pool and keeps at most half of the capacity.
  void flush() noexcept;
  /// Makes room for `more` (at most kSlack) mbufs.
  void make_room(std::uint32_t more) noexcept {
    if (first < more + reserved) [[unlikely]]
      flush();
  }
  /// Frees one segment of any pool and in any state, if this is its last user.
  void free_segment(Mbuf& segment) noexcept;
  /// A whole frame.
  void free(Mbuf& frame) noexcept;
  /// At most kSlack frames.
  void free_group(std::span<Mbuf* const> group, Site site = {}) noexcept;
  void count_failure() noexcept { __atomic_store_n(&allocation_failures, allocation_failures + 1, __ATOMIC_RELAXED); }
  /// Whether `pop` has an mbuf, if need be from the pool. Counts the failure otherwise.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool has_one() noexcept {
    if (count() == 0) [[unlikely]] {
      refill(1);
      if (count() == 0) {
        count_failure();
        return false;
      }
    }
    return true;
  }
  /// An mbuf of the cache, which has one.
  [[nodiscard]] POLLUX_ALWAYS_INLINE Mbuf& pop() noexcept {
    Mbuf& mbuf = **objects();
    set_first(first + 1);
    return mbuf;
  }
  [[nodiscard]] MempoolCore& pool() const noexcept { return *pool_owner_; }

 private:
  /// Adds a free mbuf. The caller has made room for it.
  void push(Mbuf& mbuf) noexcept {
    mbufs[first - 1] = &mbuf;
    set_first(first - 1);
  }
  [[nodiscard]] std::size_t take_direct(std::span<Mbuf* const> group, Site site) noexcept;

  std::shared_ptr<MempoolCore> pool_owner_;
};

/// Frees one segment, in any state, to its pool's shared list, if this is its last user.
void free_segment_shared(Mbuf& segment) noexcept;

/// The lower half of MbufAccess::word (length, pool and `special`) of a direct, single-segment mbuf of the cache's pool
/// that holds `length` bytes. Subtracted from that of another mbuf, it leaves the excess length; a mismatch in pool or
/// `special` leaves more than any length. Without a cache, or if the pool has no id, no mbuf matches.
[[nodiscard]] inline std::uint32_t direct_word(const MempoolCacheCore* cache, std::uint32_t length) noexcept {
  constexpr std::uint32_t kMatchesNothing = 0xFFFF0000;
  const bool has_key = cache != nullptr && cache->direct_key <= 0xFFFF;
  return has_key ? cache->direct_key << MbufAccess::kPoolShift | length : kMatchesNothing;
}

}  // namespace pollux
