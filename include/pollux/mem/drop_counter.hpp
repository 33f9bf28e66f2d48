// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

namespace pollux {

/// A named reason for which an application drops frames, and the number of frames dropped for it.
class DropCounter {
 public:
  explicit DropCounter(std::string name) : name_(std::move(name)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }
  void add(std::uint64_t frames) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + frames, std::memory_order_relaxed);
  }

 private:
  std::string name_;
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace pollux
