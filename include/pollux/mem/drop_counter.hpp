// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "pollux/base/api.hpp"

namespace pollux {

class DropCounter;
class Mbuf;

/// Observes the frames that are dropped under DropCounters, for example to capture them: `DropCounter::attach`.
/// Ownership: the program's. It must live until it is detached from each counter, or these are destroyed.
class POLLUX_API DropObserver {
 public:
  DropObserver() = default;
  DropObserver(const DropObserver&) = delete;
  DropObserver& operator=(const DropObserver&) = delete;
  virtual ~DropObserver() = default;

  /// `frames` are about to be freed. They may be read and copied, but not changed or freed. Called by the thread that
  /// drops them: an observer of the counters of several threads is called by all of these threads, and must not wait.
  virtual void dropped(const DropCounter& reason, std::span<Mbuf* const> frames) noexcept = 0;
};

/// A named reason for which an application drops frames, and the number of frames dropped for it.
/// Thread rule: one thread at a time counts; any thread may read it, and attach and detach observers.
class POLLUX_API DropCounter {
 public:
  explicit DropCounter(std::string name) : name_(std::move(name)) {}
  DropCounter(const DropCounter&) = delete;
  DropCounter& operator=(const DropCounter&) = delete;
  ~DropCounter();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
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
  void show(std::span<Mbuf* const> frames) const noexcept;

  /// Calls `observer` with all frames that are dropped from now on. A second call with the same observer does nothing.
  void attach(DropObserver& observer) const;
  /// When this returns, `observer` is not called any more. Waits while it is being called. Does nothing if it is not
  /// attached.
  void detach(DropObserver& observer) const noexcept;

 private:
  struct Observers;

  std::string name_;
  std::atomic<std::uint64_t> value_{0};
  mutable std::atomic<Observers*> observed_{nullptr};  // observers_ while one is attached
  mutable std::atomic<Observers*> observers_{nullptr};
};

}  // namespace pollux
