// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/drop_counter.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

namespace pollux {

/// Exists from the first `attach` to the end of the counter, so that a thread that drops frames may always use it.
struct DropCounter::Observers {
  std::mutex lock;
  std::vector<DropObserver*> list;
};

DropCounter::~DropCounter() { delete observers_.load(std::memory_order_acquire); }

// The thread that drops frames never waits: while the list is being changed, the frames are not shown.
void DropCounter::show(std::span<Mbuf* const> frames) const noexcept {
  Observers* const all = observed_.load(std::memory_order_acquire);
  if (all == nullptr || frames.empty()) return;
  const std::unique_lock lock(all->lock, std::try_to_lock);
  if (!lock) return;
  for (DropObserver* const observer : all->list) observer->dropped(*this, frames);
}

void DropCounter::attach(DropObserver& observer) const {
  Observers* all = observers_.load(std::memory_order_acquire);
  if (all == nullptr) {
    auto made = std::make_unique<Observers>();
    if (observers_.compare_exchange_strong(all, made.get(), std::memory_order_acq_rel)) all = made.release();
  }
  const std::lock_guard lock(all->lock);
  if (std::ranges::find(all->list, &observer) == all->list.end()) all->list.push_back(&observer);
  observed_.store(all, std::memory_order_release);
}

void DropCounter::detach(DropObserver& observer) const noexcept {
  Observers* const all = observers_.load(std::memory_order_acquire);
  if (all == nullptr) return;
  const std::lock_guard lock(all->lock);
  std::erase(all->list, &observer);
  if (all->list.empty()) observed_.store(nullptr, std::memory_order_release);
}

}  // namespace pollux
