// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "pollux/base/api.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {

/// Returns mbufs to their pools without a named drop reason. Each pool counts its own (MempoolStats::unnamed_drops).
POLLUX_API void drop_unnamed(std::span<Mbuf* const> mbufs) noexcept;

template <class Ring>
class BasicMbufRing;

/// The most mbufs that a burst moves.
inline constexpr std::uint32_t kMaxBurst = 4096;

/// An array of up to `Capacity` mbufs that owns them: rx_burst fills it and tx_burst empties it. Move-only; meant for
/// the stack. The destructor returns the mbufs that are left to their pools, which count them as unnamed drops.
/// Thread rule: one thread.
template <std::uint32_t Capacity>
class Burst {
  static_assert(Capacity >= 1 && Capacity <= kMaxBurst);

 public:
  Burst() noexcept = default;
  /// Takes all mbufs of `other`, which is then empty. What this burst held is dropped without a name.
  ///@{
  Burst(Burst&& other) noexcept : size_(std::exchange(other.size_, 0)) {
    std::memcpy(mbufs_, other.mbufs_, size_ * sizeof(Mbuf*));
  }
  Burst& operator=(Burst&& other) noexcept {
    if (this != &other) {
      discard_unnamed();
      size_ = std::exchange(other.size_, 0);
      std::memcpy(mbufs_, other.mbufs_, size_ * sizeof(Mbuf*));
    }
    return *this;
  }
  ///@}
  ~Burst() { discard_unnamed(); }

  /// In mbufs.
  ///@{
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool full() const noexcept { return size_ == Capacity; }
  [[nodiscard]] static constexpr std::uint32_t capacity() noexcept { return Capacity; }
  ///@}
  /// The mbuf at `index`, which is below `size()` and not checked. The burst still owns it.
  [[nodiscard]] Mbuf& operator[](std::uint32_t index) noexcept { return *mbufs_[index]; }

  /// Goes through the mbufs in their order. It is invalid once the burst has changed.
  class Iterator {
   public:
    /// What range-based `for` needs; nothing is checked.
    ///@{
    explicit Iterator(Mbuf* const* at) noexcept : at_(at) {}
    [[nodiscard]] Mbuf& operator*() const noexcept { return **at_; }
    Iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    ///@}
    [[nodiscard]] bool operator==(const Iterator&) const noexcept = default;

   private:
    Mbuf* const* at_;
  };
  /// The mbufs in the order in which they were received or appended.
  ///@{
  [[nodiscard]] Iterator begin() noexcept { return Iterator(mbufs_); }
  [[nodiscard]] Iterator end() noexcept { return Iterator(mbufs_ + size_); }
  ///@}

  /// Takes ownership of `mbuf` and appends it. Returns false and leaves `mbuf` unchanged if the burst is full or `mbuf`
  /// is empty.
  [[nodiscard]] bool push(MbufPtr& mbuf) noexcept {
    if (size_ == Capacity || mbuf == nullptr) return false;
    mbufs_[size_++] = mbuf.release();
    return true;
  }
  /// Removes the last mbuf and returns it; empty if the burst is empty.
  [[nodiscard]] MbufPtr pop() noexcept { return size_ == 0 ? MbufPtr() : MbufPtr(mbufs_[--size_]); }
  /// Empties the burst, and gives each mbuf that was in it to `take(MbufPtr)`, in order. What `take` pushes back into
  /// the burst stays there. If it throws, the mbufs that it has not got are unnamed drops of their pools.
  template <std::invocable<MbufPtr> Take>
  void take_each(Take&& take) noexcept(std::is_nothrow_invocable_v<Take&, MbufPtr>) {
    struct Rest {
      Burst burst;
      std::uint32_t taken = 0;
      ~Rest() { burst.forget_front(taken); }
    } rest{std::move(*this)};
    while (rest.taken < rest.burst.size_) take(MbufPtr(rest.burst.mbufs_[rest.taken++]));
  }

  /// Allocates `count` empty mbufs from `cache` and appends them. False, with nothing allocated, if `cache` and its
  /// pool have too few or the burst has no room for all of them.
  [[nodiscard]] bool fill(MempoolCache& cache, std::uint32_t count, Site site = Site::here()) noexcept {
    if (count > Capacity - size_ || !cache.allocate_bulk({mbufs_ + size_, count}, site)) return false;
    size_ += count;
    return true;
  }
  /// The same with `bytes` of data in each mbuf, whose content is that of an earlier use: as `append` on each of them,
  /// at no cost for each. False, with nothing allocated, also if an mbuf has less room.
  [[nodiscard]] bool fill(MempoolCache& cache, std::uint32_t count, std::uint32_t bytes,
                          Site site = Site::here()) noexcept {
    if (count > Capacity - size_ || !cache.allocate_bulk({mbufs_ + size_, count}, bytes, site)) return false;
    size_ += count;
    return true;
  }

  /// Frees all mbufs and counts them under `reason`, whose observers see them first. The overload with a cache takes
  /// about a tenth of the time.
  void drop(DropCounter& reason) noexcept {
    reason.add(std::span<Mbuf* const>(mbufs_, size_));
    for (std::uint32_t i = 0; i < size_; ++i) MbufDeleter{}(mbufs_[i]);
    size_ = 0;
  }
  /// The same through `cache`, the one of this thread.
  void drop(DropCounter& reason, MempoolCache& cache, Site site = Site::here()) noexcept {
    reason.add(std::span<Mbuf* const>(mbufs_, size_));
    cache.free_bulk({mbufs_, size_}, site);
    size_ = 0;
  }
  /// Frees each mbuf for which `predicate(mbuf)` is true and counts it under `reason`. The others keep their order.
  /// Returns the number of freed mbufs.
  template <std::predicate<Mbuf&> Predicate>
  std::uint32_t drop_if(DropCounter& reason, Predicate predicate) noexcept {
    const bool observed = reason.is_observed();
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < size_; ++i) {
      if (predicate(*mbufs_[i])) {
        if (observed) [[unlikely]]
          reason.show({&mbufs_[i], 1});
        MbufDeleter{}(mbufs_[i]);
      } else {
        mbufs_[kept++] = mbufs_[i];
      }
    }
    const std::uint32_t dropped = size_ - kept;
    reason.add(dropped);
    size_ = kept;
    return dropped;
  }

 private:
  friend class RxQueue;
  friend class TxQueue;
  template <class Ring>
  friend class BasicMbufRing;

  void discard_unnamed() noexcept {
    if (size_ != 0) [[unlikely]]
      drop_unnamed({mbufs_, size_});
    size_ = 0;
  }
  // Free slots. The hint that size_ never exceeds Capacity saves a comparison in every burst.
  [[nodiscard]] std::uint32_t room() const noexcept {
    if (size_ > Capacity) __builtin_unreachable();
    return Capacity - size_;
  }
  // Removes the first `taken` mbufs, which have a new owner.
  void forget_front(std::uint32_t taken) noexcept {
    size_ -= taken;
    if (size_ != 0) [[unlikely]]
      std::memmove(mbufs_, mbufs_ + taken, size_ * sizeof(Mbuf*));
  }

  std::uint32_t size_ = 0;
  Mbuf* mbufs_[Capacity];
};

}  // namespace pollux
