// SPDX-License-Identifier: BSD-3-Clause
// The headers that pass beside the frames of a wire.
#include "models/virtio/net/passing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <functional>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace pollux::models::virtio {
namespace {

using Frame = std::array<std::byte, 64>;
constexpr std::size_t kKept = 4096;

std::size_t hash_of(const Frame& frame) {
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(frame.data()), frame.size()});
}

/// Different frames whose hashes have the same remainder.
std::vector<Frame> frames_that_share(std::size_t remainders) {
  std::vector<Frame> frames;
  Frame frame{};
  for (std::uint64_t number = 0; frames.size() < kKept; ++number) {
    std::memcpy(frame.data(), &number, sizeof number);
    if (hash_of(frame) % remainders == 0) frames.push_back(frame);
  }
  return frames;
}

/// Seconds of the processor that the headers of these frames take, at best.
double time_of(const std::vector<Frame>& frames) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const Core receiver{CardOptions{}};
    Incoming incoming(receiver);
    const double begin = now();
    for (const Frame& frame : frames) incoming.put(frame, {.flags = 1});
    for (const Frame& frame : frames) EXPECT_EQ(incoming.find(frame).flags, 1);
    best = std::min(best, now() - begin);
  }
  return best;
}

// A sender may choose its frames. With all in one bucket of a table, each would take as long as the table is full.
TEST(VirtioIncoming, FramesWhoseHashesShareARemainderTakeNoLonger) {
  std::unordered_set<std::size_t> table;
  for (std::size_t i = 0; i <= kKept; ++i) table.insert(i);
  EXPECT_LT(time_of(frames_that_share(table.bucket_count())), 8 * time_of(frames_that_share(1)));
}

}  // namespace
}  // namespace pollux::models::virtio
