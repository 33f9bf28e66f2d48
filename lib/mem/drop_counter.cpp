// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/drop_counter.hpp"

#include <algorithm>
#include <vector>

namespace pollux {

/// The observers of a counter. It lives as long as the counter or an attachment.
class DropObservers {
 public:
  explicit DropObservers(const DropCounter& counter) noexcept : counter_(&counter) {}

  void attach(DropObserver& observer) {
    const std::lock_guard lock(mutex_);
    list_.push_back(&observer);
    if (counter_ != nullptr) counter_->observed_.store(this, std::memory_order_release);
  }
  void detach(DropObserver& observer) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(list_, &observer);
    if (found != list_.end()) {
      // An observer may detach itself and others: then `show` goes over the list.
      if (is_showing_) {
        *found = nullptr;
      } else {
        list_.erase(found);
      }
    }
    forget_if_unused();
  }
  /// The counter ends.
  void forget_counter() noexcept {
    const std::lock_guard lock(mutex_);
    counter_ = nullptr;
  }
  // The thread that drops frames never waits: while the list is being changed, the frames are not shown. Nor are those
  // that an observer drops itself.
  void show(const DropCounter& reason, std::span<Mbuf* const> frames) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || is_showing_) return;
    is_showing_ = true;
    for (std::size_t i = 0, count = list_.size(); i < count; ++i) {
      if (list_[i] != nullptr) list_[i]->dropped(reason, frames);
    }
    is_showing_ = false;
    std::erase(list_, nullptr);
    forget_if_unused();
  }

 private:
  void forget_if_unused() noexcept {
    if (counter_ != nullptr && list_.empty()) counter_->observed_.store(nullptr, std::memory_order_release);
  }

  std::recursive_mutex mutex_;  // observers may attach and detach others
  const DropCounter* counter_;
  std::vector<DropObserver*> list_;
  bool is_showing_ = false;
};

DropAttachment::DropAttachment(std::shared_ptr<DropObservers> observers, DropObserver& observer) noexcept
    : observers_(std::move(observers)), observer_(&observer) {}

DropAttachment::DropAttachment(DropAttachment&& other) noexcept
    : observers_(std::move(other.observers_)), observer_(other.observer_) {}

DropAttachment::~DropAttachment() {
  if (observers_ != nullptr) observers_->detach(*observer_);
}

DropCounter::~DropCounter() {
  if (observers_ != nullptr) observers_->forget_counter();
}

void DropCounter::show(std::span<Mbuf* const> frames) const noexcept {
  DropObservers* const all = observed_.load(std::memory_order_acquire);
  if (all != nullptr && !frames.empty()) all->show(*this, frames);
}

DropAttachment DropCounter::attach(DropObserver& observer) const {
  std::call_once(has_observers_, [this] { observers_ = std::make_shared<DropObservers>(*this); });
  observers_->attach(observer);
  return DropAttachment(observers_, observer);
}

}  // namespace pollux
