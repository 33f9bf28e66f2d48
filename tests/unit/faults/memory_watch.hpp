// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "device/fault_memory.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::test {

/// Injects a memory fault, and counts writes by the card to frames that the program owns.
class MemoryWatch final : public FaultyMemory {
 public:
  explicit MemoryWatch(MemoryFault fault) : FaultyMemory(std::move(fault)) {}

  void write(ModelDma& memory, const ModelWrite& write) noexcept override {
    if (is_held(write.iova, write.bytes.size())) ++writes_to_held_;
    FaultyMemory::write(memory, write);
  }

  /// The program owns `frame`, with all its segments, until `release_all`.
  void hold(const Mbuf& frame) {
    for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
      held_.emplace_back(segment->data_iova(), segment->length());
    }
  }
  void release_all() { held_.clear(); }
  [[nodiscard]] std::uint64_t writes_to_held() const noexcept { return writes_to_held_; }

 private:
  [[nodiscard]] bool is_held(std::uint64_t iova, std::size_t length) const {
    return std::any_of(held_.begin(), held_.end(), [=](const auto& piece) {
      return iova < piece.first + piece.second && piece.first < iova + length;
    });
  }

  std::vector<std::pair<std::uint64_t, std::size_t>> held_;
  std::uint64_t writes_to_held_ = 0;
};

}  // namespace pollux::test
