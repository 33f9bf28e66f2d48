// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "pollux/device/bar.hpp"

namespace pollux::test {

/// A queue's tail register, mapped or reached by functions. Behind functions a write is posted: the card sees it when
/// it has been flushed and not before.
class TailRegister final : private RemoteRegisters {
 public:
  explicit TailRegister(bool remote) : remote_(remote) {}

  [[nodiscard]] Doorbell doorbell() {
    if (remote_) return {Bar(*this, kSize), kOffset};
    return {Bar(reinterpret_cast<volatile std::uint8_t*>(memory_), kSize), kOffset};
  }
  /// What the card sees, oldest first, since it last looked; a mapped register shows its last value alone.
  [[nodiscard]] std::vector<std::uint32_t> look() {
    if (!remote_) return {memory_[kOffset / 4]};
    std::vector<std::uint32_t> seen;
    seen.swap(arrived_);
    return seen;
  }
  [[nodiscard]] bool wrong_offset() const { return wrong_offset_; }
  [[nodiscard]] bool anything_posted() const { return !posted_.empty(); }
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
