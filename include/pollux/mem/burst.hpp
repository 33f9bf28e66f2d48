// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "pollux/base/api.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {

/// Gives mbufs back that nobody named a reason for; each pool counts its own (MempoolStats::unnamed_drops).
POLLUX_API void drop_unnamed(std::span<Mbuf* const> mbufs) noexcept;

template <class Ring>
class BasicMbufRing;

/// Up to `Capacity` mbufs in order, owned. What rx_burst fills and tx_burst empties. Lives on the stack; move-only.
/// What it still owns when it goes away returns to its pool and is counted there as an unnamed drop.
/// Thread rule: one thread.
template <std::uint32_t Capacity>
class Burst {
  static_assert(Capacity >= 1 && Capacity <= 4096);

 public:
  Burst() noexcept = default;
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
  ~Burst() { discard_unnamed(); }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool full() const noexcept { return size_ == Capacity; }
  [[nodiscard]] static constexpr std::uint32_t capacity() noexcept { return Capacity; }
  [[nodiscard]] Mbuf& operator[](std::uint32_t index) noexcept { return *mbufs_[index]; }

  class Iterator {
   public:
    explicit Iterator(Mbuf* const* at) noexcept : at_(at) {}
    [[nodiscard]] Mbuf& operator*() const noexcept { return **at_; }
    Iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    [[nodiscard]] bool operator==(const Iterator&) const noexcept = default;

   private:
    Mbuf* const* at_;
  };
  [[nodiscard]] Iterator begin() noexcept { return Iterator(mbufs_); }
  [[nodiscard]] Iterator end() noexcept { return Iterator(mbufs_ + size_); }

  /// Takes `mbuf` over. False, with `mbuf` kept by the caller, if the burst is full; an empty pointer is refused, too.
  [[nodiscard]] bool push(MbufPtr& mbuf) noexcept {
    if (size_ == Capacity || mbuf == nullptr) return false;
    mbufs_[size_++] = mbuf.release();
    return true;
  }
  /// The last mbuf, now the caller's; empty if there is none.
  [[nodiscard]] MbufPtr pop() noexcept { return size_ == 0 ? MbufPtr() : MbufPtr(mbufs_[--size_]); }

  /// Adds `count` empty mbufs from `cache`, all or none (false).
  [[nodiscard]] bool fill(MempoolCache& cache, std::uint32_t count, Site site = Site::here()) noexcept {
    if (count > Capacity - size_ || !cache.allocate_bulk({mbufs_ + size_, count}, site)) return false;
    size_ += count;
    return true;
  }

  /// Gives all mbufs back and counts them under `reason`. With a cache it costs about a tenth.
  void drop(DropCounter& reason) noexcept {
    reason.add(size_);
    for (std::uint32_t i = 0; i < size_; ++i) MbufDeleter{}(mbufs_[i]);
    size_ = 0;
  }
  void drop(DropCounter& reason, MempoolCache& cache, Site site = Site::here()) noexcept {
    reason.add(size_);
    cache.free_bulk({mbufs_, size_}, site);
    size_ = 0;
  }
  /// Gives back, and counts under `reason`, each mbuf for which `predicate(mbuf)` holds; the others keep their order.
  template <std::predicate<Mbuf&> Predicate>
  std::uint32_t drop_if(DropCounter& reason, Predicate predicate) noexcept {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < size_; ++i) {
      if (predicate(*mbufs_[i])) {
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
  // Places that are left. That there are no more than Capacity spares every burst a comparison.
  [[nodiscard]] std::uint32_t room() const noexcept {
    if (size_ > Capacity) __builtin_unreachable();
    return Capacity - size_;
  }
  // Called when `taken` mbufs from the front have a new owner.
  void forget_front(std::uint32_t taken) noexcept {
    size_ -= taken;
    if (size_ != 0) [[unlikely]]
      std::memmove(mbufs_, mbufs_ + taken, size_ * sizeof(Mbuf*));
  }

  std::uint32_t size_ = 0;
  Mbuf* mbufs_[Capacity];
};

}  // namespace pollux
