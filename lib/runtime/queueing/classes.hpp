// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "pollux/runtime/queueing/queue_discipline.hpp"

namespace pollux::queueing {

/// Finds the class of each frame: by the program's function, or by the frames' field for the application.
class Classes {
 public:
  static constexpr std::size_t kBatch = 64;

  explicit Classes(FrameClassifier classifier) : classifier_(std::move(classifier)) {}

  /// Calls `handle(frames, number)` for each run of consecutive frames of one class, in order.
  template <class Handler>
  void for_each_run(std::span<Mbuf* const> frames, Handler handle) const noexcept {
    std::array<std::uint32_t, kBatch> numbers;
    for (; !frames.empty(); frames = frames.subspan(std::min(frames.size(), kBatch))) {
      const auto batch = frames.first(std::min(frames.size(), kBatch));
      number(batch, numbers);
      for (std::size_t begin = 0, end = 0; begin < batch.size(); begin = end) {
        while (++end < batch.size() && numbers[end] == numbers[begin]) {
        }
        handle(batch.subspan(begin, end - begin), numbers[begin]);
      }
    }
  }

 private:
  void number(std::span<Mbuf* const> batch, std::array<std::uint32_t, kBatch>& numbers) const noexcept {
    if (classifier_) {
      // What the function does not write is no class.
      std::fill_n(numbers.begin(), batch.size(), kNone);
      classifier_(batch, std::span(numbers).first(batch.size()));
      return;
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      numbers[i] = static_cast<std::uint32_t>(std::min<std::uint64_t>(batch[i]->user(), kNone));
    }
  }

  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  FrameClassifier classifier_;
};

}  // namespace pollux::queueing
