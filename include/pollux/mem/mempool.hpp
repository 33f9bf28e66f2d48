// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {

class MempoolCore;
class MempoolCacheCore;

/// How a pool is made. Nothing of it changes later.
struct MempoolOptions {
  std::uint32_t count = 8192;  ///< mbufs, at least 1
  /// Bytes for a frame after the headroom, at least 64. Headroom and data room together are at most 65,280 bytes. A
  /// receive ring uses the data room rounded down to a multiple of 1,024 bytes.
  std::uint32_t data_room = 2048;
  /// Bytes before a received frame: an even number, at most 1,024. With ip_align, it must be a multiple of 4.
  std::uint32_t headroom = 128;
  bool ip_align = false;         ///< start frames 2 bytes later, which aligns the IP header to 4 bytes (NET_IP_ALIGN)
  int numa_node = -1;            ///< -1: any node
  std::string name = "mempool";  ///< used in messages

  [[nodiscard]] bool operator==(const MempoolOptions&) const = default;
};

/// How many mbufs are where. `shared`, `cached` and the mbufs in use add up to `count`.
struct MempoolStats {
  std::uint32_t count = 0;                ///< all mbufs
  std::uint32_t shared = 0;               ///< free, in the shared list
  std::uint32_t cached = 0;               ///< free, in a cache
  std::uint64_t allocation_failures = 0;  ///< failed allocations: the pool was exhausted
  std::uint64_t unnamed_drops = 0;        ///< mbufs that a Burst or ring still owned when it was destroyed
  /// Mbufs that an application, a burst, a queue or a ring owns.
  [[nodiscard]] std::uint32_t in_use() const noexcept { return count - shared - cached; }
};

/// A fixed number of mbufs of one size in DMA memory. An allocation from an exhausted pool fails at once and is
/// counted.
/// Ownership: a handle; copies refer to the same pool. A default-constructed one is empty and refers to none: only
/// `core`, comparisons and the test for emptiness are allowed then. Queues and caches keep the pool alive, and so do
/// allocated mbufs (checked builds report them as a `leak` misuse when the last handle, queue and cache are gone).
/// Thread rule: every member may be called from any thread.
class POLLUX_API Mempool {
 public:
  Mempool() noexcept = default;
  /// Another handle to an existing pool.
  explicit Mempool(std::shared_ptr<MempoolCore> core) : core_(std::move(core)) {}
  /// Errors: invalid_argument (a value outside its range), no_memory, and those of Context::allocate.
  [[nodiscard]] static Result<Mempool> create(Context& context, MempoolOptions options = {});

  /// Allocates one mbuf from the shared list; empty if the pool is exhausted. For many allocations, a MempoolCache is
  /// faster.
  [[nodiscard]] MbufPtr allocate(Site site = Site::here()) noexcept;
  /// Exact while no thread allocates or frees.
  [[nodiscard]] MempoolStats stats() const noexcept;
  /// As given to `create`.
  [[nodiscard]] const MempoolOptions& options() const noexcept;
  /// The pool itself, for drivers. It keeps the pool alive.
  [[nodiscard]] const std::shared_ptr<MempoolCore>& core() const noexcept { return core_; }
  /// Whether it refers to a pool.
  [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }
  /// Whether both refer to the same pool.
  [[nodiscard]] bool operator==(const Mempool&) const noexcept = default;

 private:
  std::shared_ptr<MempoolCore> core_;
};

/// The free mbufs of a MempoolCache: a stack of pointers that grows towards lower indices. The most recently freed mbuf
/// is first. An allocation takes the first pointers. A freed group is copied as one block to the slots before them.
/// Public, since drivers use it directly on their fast path; applications use MempoolCache.
struct MempoolCacheObjects {
  /// Limits of the array: mbufs that a cache may keep, and slots that it has.
  ///@{
  static constexpr std::uint32_t kMaxCapacity = 1024;
  /// Slots beyond `capacity` into which a group may be freed before the cache is flushed.
  static constexpr std::uint32_t kSlack = 64;
  static constexpr std::uint32_t kSlots = kMaxCapacity + kSlack;
  ///@}

  /// Free mbufs now. Any thread may ask.
  [[nodiscard]] std::uint32_t count() const noexcept { return kSlots - __atomic_load_n(&first, __ATOMIC_RELAXED); }
  /// The most recently freed mbuf. The other free mbufs follow it; free slots precede it.
  [[nodiscard]] Mbuf** objects() noexcept { return mbufs.data() + first; }
  /// `first` is written by the owning thread and read by any thread that asks for statistics.
  void set_first(std::uint32_t now) noexcept { __atomic_store_n(&first, now, __ATOMIC_RELAXED); }
  /// Whether `mbuf` is a direct, single-segment mbuf of this cache's pool.
  [[nodiscard]] bool is_direct(const Mbuf& mbuf) const noexcept {
    return static_cast<std::uint16_t>(MbufAccess::word(mbuf) >> MbufAccess::kPoolShift) == direct_key;
  }

  std::uint32_t first = kSlots;  ///< index of the most recently freed mbuf
  std::uint32_t capacity = 0;    ///< mbufs that it may keep; with more, it is flushed to the pool
  std::uint32_t reserved = 0;    ///< unused slots at the start of `mbufs`, if the capacity is below kMaxCapacity
  /// The bits of MbufAccess::word that hold the pool id and `special`, for a direct, single-segment mbuf of this pool.
  /// Matches no mbuf if the pool has no id.
  std::uint32_t direct_key = 0;
  std::uint64_t empty_word = 0;                 ///< MbufAccess::word of an empty mbuf
  std::uint64_t allocation_failures = 0;        ///< counted by the owning thread; MempoolStats adds those of all caches
  std::uint32_t data_room = 0;                  ///< bytes that an empty mbuf has room for
  alignas(64) std::array<Mbuf*, kSlots> mbufs;  ///< slots from `first` on hold the free mbufs
};

/// A cache of a pool's free mbufs for one thread. It needs no lock and no atomic operation except when it is refilled
/// from the pool or flushed to it. Use one cache for all queues that a thread polls, so that the buffers of transmitted
/// frames are used for received ones.
/// Ownership: a handle; queues that use the cache keep it alive. Its mbufs return to the pool when the cache is
/// destroyed.
/// Thread rule: one thread at a time, the one that polls the queues which use the cache.
class POLLUX_API MempoolCache {
 public:
  static constexpr std::uint32_t kMaxCapacity = MempoolCacheObjects::kMaxCapacity;  ///< mbufs

  /// An empty handle, which refers to no cache: as an empty Mempool.
  MempoolCache() noexcept = default;
  /// `capacity` in mbufs, 64 to kMaxCapacity; 0 selects an eighth of the pool. Values outside these limits are clamped.
  explicit MempoolCache(const Mempool& pool, std::uint32_t capacity = 0);

  /// Allocates one empty mbuf; empty, and counted as a failure, if the cache and its pool have none left.
  [[nodiscard]] MbufPtr allocate(Site site = Site::here()) noexcept;
  /// Allocates `mbufs.size()` empty mbufs, which the caller owns, or none (false, and counted as a failure).
  /// `Burst::fill` is the safe form.
  [[nodiscard]] bool allocate_bulk(std::span<Mbuf*> mbufs, Site site = Site::here()) noexcept {
    return allocate_bulk(mbufs, 0, site);
  }
  /// The same with `bytes` of data in each mbuf, whose content is that of an earlier use. False, with nothing allocated
  /// and no failure counted, if an mbuf has less room.
  [[nodiscard]] bool allocate_bulk(std::span<Mbuf*> mbufs, std::uint32_t bytes,
                                   [[maybe_unused]] Site site = Site::here()) noexcept {
    MempoolCacheObjects& objects = *objects_;
    if (bytes > objects.data_room) return false;
    if (objects.count() < mbufs.size() && !refill(mbufs.size())) [[unlikely]]
      return false;
    Mbuf* const* const from = objects.objects();
    const std::uint64_t word = objects.empty_word + bytes;
    for (std::size_t i = 0; i < mbufs.size(); ++i) {
      Mbuf* const mbuf = from[i];
      mbufs[i] = mbuf;
      MbufAccess::set_word(*mbuf, word);
      MbufAccess::stamp(*mbuf, site);
    }
    objects.set_first(objects.first + static_cast<std::uint32_t>(mbufs.size()));
    return true;
  }
  /// Frees an mbuf with all its segments; it may belong to any pool. An empty pointer is ignored.
  void free(MbufPtr mbuf, Site site = Site::here()) noexcept;
  /// Frees all of `mbufs`, with all their segments. They may belong to any pool.
  void free_bulk(std::span<Mbuf* const> mbufs, Site site = Site::here()) noexcept {
    std::size_t left = mbufs.size();
    MempoolCacheObjects& objects = *objects_;
    // The usual case: direct, single-segment mbufs of this pool. Only their pointers are copied, from the last to the
    // first.
    if (POLLUX_CHECKED == 0 && left + objects.reserved <= objects.first) [[likely]] {
      Mbuf** const to = objects.objects() - left;
      for (; left != 0 && objects.is_direct(*mbufs[left - 1]); --left) to[left - 1] = mbufs[left - 1];
      objects.set_first(objects.first - static_cast<std::uint32_t>(mbufs.size() - left));
    }
    if (left != 0) [[unlikely]]
      free_slow(mbufs.first(left), site);
  }

  /// The cache itself, for drivers. It keeps the pool alive.
  [[nodiscard]] const std::shared_ptr<MempoolCacheCore>& core() const noexcept { return core_; }
  /// Whether it refers to a cache.
  [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }
  /// Whether both are the same cache.
  [[nodiscard]] bool operator==(const MempoolCache&) const noexcept = default;

 private:
  [[nodiscard]] bool refill(std::size_t wanted) noexcept;
  void free_slow(std::span<Mbuf* const> mbufs, Site site) noexcept;

  std::shared_ptr<MempoolCacheCore> core_;
  MempoolCacheObjects* objects_ = nullptr;  // part of core_
};

}  // namespace pollux
