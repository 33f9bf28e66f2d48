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

struct MempoolOptions {
  std::uint32_t count = 8192;      ///< mbufs, at least 1
  std::uint32_t data_room = 2048;  ///< bytes for a frame behind the headroom, 64 to 65,280 with it; rings use whole KiB
  std::uint32_t headroom =
      128;                ///< bytes in front of a received frame, even (with ip_align a multiple of 4), at most 1,024
  bool ip_align = false;  ///< start frames 2 bytes later, so that the IP header is 4-byte aligned (NET_IP_ALIGN)
  int numa_node = -1;     ///< -1: wherever the kernel likes
  std::string name = "mempool";  ///< for messages
};

struct MempoolStats {
  std::uint32_t count = 0;                ///< mbufs in all
  std::uint32_t shared = 0;               ///< at home in the shared list
  std::uint32_t cached = 0;               ///< at home in a cache
  std::uint64_t allocation_failures = 0;  ///< requests for mbufs that were refused because the pool was dry
  std::uint64_t unnamed_drops = 0;        ///< mbufs that a Burst still owned when it went away
  /// Mbufs that an application, a burst or a ring holds.
  [[nodiscard]] std::uint32_t in_use() const noexcept { return count - shared - cached; }
};

/// A fixed number of mbufs of one size in DMA memory. When it runs dry an allocation fails and is counted; nothing
/// waits. Ownership: a handle; queues and caches keep the pool alive, and so do mbufs that are still out when the
/// handle goes away (a `leak` misuse in checked builds). Thread rule: every member may be called from any thread.
class POLLUX_API Mempool {
 public:
  /// One more handle on a pool.
  explicit Mempool(std::shared_ptr<MempoolCore> core) : core_(std::move(core)) {}
  /// Errors: invalid_argument (a value outside its range), no_memory, and those of Context::allocate.
  [[nodiscard]] static Result<Mempool> create(Context& context, MempoolOptions options = {});

  /// One mbuf from the shared list; empty if the pool is dry. Where a thread takes many, a MempoolCache is faster.
  [[nodiscard]] MbufPtr allocate(Site site = Site::here()) noexcept;
  /// Exact while nobody allocates or frees.
  [[nodiscard]] MempoolStats stats() const noexcept;
  [[nodiscard]] const MempoolOptions& options() const noexcept;
  [[nodiscard]] const std::shared_ptr<MempoolCore>& core() const noexcept { return core_; }

 private:
  std::shared_ptr<MempoolCore> core_;
};

/// What a MempoolCache holds: a stack that grows towards lower places, so that what is taken at once lies in order of
/// its use, the warmest first, and a group that comes back is copied in front as it lies. Open, since bursts of buffers
/// are taken and given back inline, and drivers work on it directly; nobody else should.
struct MempoolCacheObjects {
  static constexpr std::uint32_t kMaxCapacity = 1024;
  /// Free places above `capacity` that a group may be copied into before the stock is trimmed.
  static constexpr std::uint32_t kSlack = 64;
  static constexpr std::uint32_t kPlaces = kMaxCapacity + kSlack;

  [[nodiscard]] std::uint32_t count() const noexcept { return kPlaces - __atomic_load_n(&first, __ATOMIC_RELAXED); }
  /// The warmest mbuf; the rest of the stock lies behind it, and free places in front.
  [[nodiscard]] Mbuf** objects() noexcept { return mbufs.data() + first; }
  /// `first` is written by its owner and read by anyone who asks for statistics.
  void set_first(std::uint32_t now) noexcept { __atomic_store_n(&first, now, __ATOMIC_RELAXED); }
  /// Whether `mbuf` is a plain one of this stock's pool.
  [[nodiscard]] bool is_direct(const Mbuf& mbuf) const noexcept {
    return static_cast<std::uint16_t>(MbufAccess::word(mbuf) >> MbufAccess::kPoolShift) == direct_key;
  }

  std::uint32_t first = kPlaces;  ///< the warmest mbuf's place
  std::uint32_t capacity = 0;
  std::uint32_t reserved = 0;  ///< places in front that stay free for ever, since the capacity is below the maximal one
  std::uint32_t direct_key = 0;  ///< pool id and `special` of a plain mbuf of this pool, as in Mbuf's word; matches
                                 ///< nothing where the pool has no id
  std::uint64_t empty_word = 0;  ///< of a fresh mbuf from software
  std::uint64_t allocation_failures = 0;
  alignas(64) std::array<Mbuf*, kPlaces> mbufs;
};

/// A stock of a pool's mbufs that belongs to one thread: no lock and no atomic operation while it neither runs empty
/// nor full. Share one among all the queues that a thread polls, so that what one transmits another can receive into.
/// Ownership: a handle; queues that use the cache keep it alive. What it holds goes back to the pool with it.
/// Thread rule: one thread at a time, the same as the queues that use it.
class POLLUX_API MempoolCache {
 public:
  static constexpr std::uint32_t kMaxCapacity = MempoolCacheObjects::kMaxCapacity;

  /// `capacity` in mbufs, 64 to kMaxCapacity; 0 takes an eighth of the pool within those limits. Out-of-range values
  /// are brought to the nearest limit.
  explicit MempoolCache(const Mempool& pool, std::uint32_t capacity = 0);

  [[nodiscard]] MbufPtr allocate(Site site = Site::here()) noexcept;
  /// Fills all of `mbufs` with empty, plain mbufs that the caller owns from then on, or none of it (false, counted).
  /// `Burst::fill` is the safe form.
  [[nodiscard]] bool allocate_bulk(std::span<Mbuf*> mbufs, [[maybe_unused]] Site site = Site::here()) noexcept {
    MempoolCacheObjects& objects = *objects_;
    if (objects.count() < mbufs.size() && !refill(mbufs.size())) [[unlikely]]
      return false;
    Mbuf* const* const from = objects.objects();
    const std::uint64_t word = objects.empty_word;
    for (std::size_t i = 0; i < mbufs.size(); ++i) {
      Mbuf* const mbuf = from[i];
      mbufs[i] = mbuf;
      MbufAccess::set_word(*mbuf, word);
      MbufAccess::stamp(*mbuf, site);
    }
    objects.set_first(objects.first + static_cast<std::uint32_t>(mbufs.size()));
    return true;
  }
  void free(MbufPtr mbuf, Site site = Site::here()) noexcept;
  /// Takes over all of `mbufs`, of any pool and with all their segments.
  void free_bulk(std::span<Mbuf* const> mbufs, Site site = Site::here()) noexcept {
    std::size_t left = mbufs.size();
    MempoolCacheObjects& objects = *objects_;
    // Plain mbufs of this pool, the usual case, only change hands: from the last to the first, as they come to lie.
    if (POLLUX_CHECKED == 0 && left + objects.reserved <= objects.first) [[likely]] {
      Mbuf** const to = objects.objects() - left;
      for (; left != 0 && objects.is_direct(*mbufs[left - 1]); --left) to[left - 1] = mbufs[left - 1];
      objects.set_first(objects.first - static_cast<std::uint32_t>(mbufs.size() - left));
    }
    if (left != 0) [[unlikely]]
      free_slow(mbufs.first(left), site);
  }

  [[nodiscard]] const std::shared_ptr<MempoolCacheCore>& core() const noexcept { return core_; }

 private:
  [[nodiscard]] bool refill(std::size_t wanted) noexcept;
  void free_slow(std::span<Mbuf* const> mbufs, Site site) noexcept;

  std::shared_ptr<MempoolCacheCore> core_;
  MempoolCacheObjects* objects_;  // in core_
};

}  // namespace pollux
