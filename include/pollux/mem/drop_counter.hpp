// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "pollux/base/api.hpp"

namespace pollux {

class DropCounter;
class Mbuf;

/// Observes the frames that are dropped under DropCounters, for example to capture them: `DropCounter::attach`.
/// Ownership: the program's. It must outlive its DropAttachments.
class POLLUX_API DropObserver {
 public:
  DropObserver() = default;
  DropObserver(const DropObserver&) = delete;
  DropObserver& operator=(const DropObserver&) = delete;
  virtual ~DropObserver() = default;

  /// `frames` are about to be freed. They may be read and copied, but not changed or freed. Called by the thread that
  /// drops them: an observer of the counters of several threads is called by all of these threads, and must not wait.
  /// It may attach and detach observers of the same counter, also itself; to detach one of another counter waits for
  /// the thread that calls it. Frames that it drops itself are counted, but not shown.
  virtual void dropped(const DropCounter& reason, std::span<Mbuf* const> frames) noexcept = 0;
};

class DropObservers;

/// The connection of an observer to a DropCounter; the destructor detaches it. When this returns, the observer is not
/// called any more; it waits while another thread calls it. It may outlive the counter. Thread rule: any thread.
class POLLUX_API DropAttachment {
 public:
  /// The source is then attached to nothing.
  DropAttachment(DropAttachment&& other) noexcept;
  DropAttachment& operator=(DropAttachment&&) = delete;
  ~DropAttachment();

 private:
  friend class DropCounter;
  DropAttachment(std::shared_ptr<DropObservers> observers, DropObserver& observer) noexcept;

  std::shared_ptr<DropObservers> observers_;
  DropObserver* observer_;
};

/// A named reason for which an application drops frames, and the number of frames dropped for it.
/// Thread rule: one thread at a time counts; any thread may read it, and attach and detach observers.
class POLLUX_API DropCounter {
 public:
  /// `name` is what captures and messages call the reason.
  explicit DropCounter(std::string name) : name_(std::move(name)) {}
  DropCounter(const DropCounter&) = delete;
  DropCounter& operator=(const DropCounter&) = delete;
  ~DropCounter();

  /// As given to the constructor.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Frames counted so far. It never decreases.
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }
  /// Counts frames that no observer is shown.
  void add(std::uint64_t frames) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + frames, std::memory_order_relaxed);
  }
  /// Counts `frames`, which the caller frees next, and shows them to the observers. `Burst::drop` and the library's
  /// other drops call it.
  void add(std::span<Mbuf* const> frames) noexcept {
    add(frames.size());
    if (is_observed()) [[unlikely]]
      show(frames);
  }

  /// Whether an observer is attached. `show` calls the observers with frames that `add` has counted or will count.
  [[nodiscard]] bool is_observed() const noexcept { return observed_.load(std::memory_order_acquire) != nullptr; }
  /// Calls the observers with `frames`, on this thread, and counts nothing.
  void show(std::span<Mbuf* const> frames) const noexcept;

  /// Calls `observer` with all frames that are dropped from now on, until the result is destroyed.
  [[nodiscard]] DropAttachment attach(DropObserver& observer) const;

 private:
  friend class DropObservers;

  std::string name_;
  std::atomic<std::uint64_t> value_{0};
  mutable std::atomic<DropObservers*> observed_{nullptr};  // observers_ while one is attached
  mutable std::once_flag has_observers_;                   // from the first attach on
  mutable std::shared_ptr<DropObservers> observers_;
};

}  // namespace pollux
