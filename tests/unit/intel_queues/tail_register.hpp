// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "pollux/device/bar.hpp"

namespace pollux::test {

/// A queue's tail register, mapped or accessed through functions. A write through functions is posted: the card sees it
/// only after a flush.
class TailRegister final : private RemoteRegisters {
 public:
  explicit TailRegister(bool remote) : remote_(remote) {}

  [[nodiscard]] Doorbell doorbell() {
    if (remote_) return {Bar(*this, kSize), kOffset};
    return {Bar(reinterpret_cast<volatile std::uint8_t*>(memory_), kSize), kOffset};
  }
  /// The values that have reached the card since the last call, oldest first. A mapped register has only its last
  /// value.
  [[nodiscard]] std::vector<std::uint32_t> look() {
    if (!remote_) return {memory_[kOffset / 4]};
    std::vector<std::uint32_t> seen;
    seen.swap(arrived_);
    return seen;
  }
  [[nodiscard]] bool wrong_offset() const { return wrong_offset_; }
  [[nodiscard]] bool has_posted_writes() const { return !posted_.empty(); }
  void reset() {
    memory_[kOffset / 4] = 0;
    posted_.clear();
    arrived_.clear();
  }

 private:
  static constexpr std::uint32_t kOffset = 8;
  static constexpr std::size_t kSize = 16;

  [[nodiscard]] std::uint32_t read32(std::uint32_t) noexcept override {
    flush();
    return 0;
  }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override {
    wrong_offset_ = wrong_offset_ || offset != kOffset;
    posted_.push_back(value);
  }
  void flush() noexcept override {
    arrived_.insert(arrived_.end(), posted_.begin(), posted_.end());
    posted_.clear();
  }

  bool remote_;
  bool wrong_offset_ = false;
  std::vector<std::uint32_t> posted_;
  std::vector<std::uint32_t> arrived_;
  alignas(4) volatile std::uint32_t memory_[kSize / 4] = {};
};

}  // namespace pollux::test
