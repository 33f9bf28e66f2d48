// SPDX-License-Identifier: BSD-3-Clause
#include "gated_cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace pollux::bench {
namespace {

/// Cases that are compared with `forward` and have no counts of their own in each mode.
constexpr std::array<std::string_view, 7> kOtherForwards{
    "forward_queues",    "forward_arrivals", "virtio_split_arrivals", "virtio_packed_arrivals", "forward_observed",
    "forward_unmatched", "forward_raw"};

/// Cases that receive as gated cases do, and send as others do.
constexpr std::array<std::string_view, 2> kCombined{"virtio_split_forward_mergeable",
                                                    "virtio_packed_forward_mergeable"};

/// Cases that are also gated at burst 1, besides those of the 82574, virtio-net, vmxnet3 and AF_XDP.
constexpr std::array<std::string_view, 4> kAlone{"forward", "forward_c", "forward_checksums", "fused"};

/// Cases that are also gated with several queues, whose rings are so small that every slot is used.
constexpr std::array<std::string_view, 3> kOnQueues{"forward_poller", "forward_run_loop", "forward_task"};
constexpr std::uint16_t kQueues = 16;

constexpr std::uint32_t kRingOfOne = 64;  // for bursts of one frame
/// Frames of several buffers, and those of a burst: with these, few rounds lead to the same slot again.
constexpr std::uint32_t kLongFrame = 8000;
constexpr std::uint32_t kLongBurst = 8;

bool is_one_of(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

Setup on_queues(std::uint16_t queues) { return {.ring = kRing, .pool = 16384, .queues = queues}; }

}  // namespace

std::string GatedCase::name() const {
  std::string text = fmt::format("{}/{}/burst:{}", what->name, pollux::name(setup.mode), setup.burst);
  if (setup.frame != Setup{}.frame) text += fmt::format("/frame:{}", setup.frame);
  if (setup.queues != Setup{}.queues) text += fmt::format("/queues:{}", setup.queues);
  if (setup.marked) text += "/marked";
  return text;
}

std::vector<GatedCase> gated_cases(BurstMode mode) {
  std::vector<GatedCase> gated;
  for (const Case& one : cases()) {
    if (one.who != kPollux || is_one_of(kOtherForwards, one.name) || is_one_of(kCombined, one.name)) continue;
    if (!one.has_modes && mode != BurstMode::scalar) continue;
    if (one.name == "forward_poller_one") {
      gated.push_back({&one, on_queues(kQueues)});
      continue;
    }
    gated.push_back({&one, {.mode = mode, .ring = kRing}});
    const bool alone = is_one_of(kAlone, one.name) || one.name.starts_with("e1000e") || one.name.starts_with("v") ||
                       one.name.starts_with("xdp");
    if (alone) gated.push_back({&one, {.mode = mode, .burst = 1, .ring = kRingOfOne}});
    if (one.name == "forward_offload") gated.push_back({&one, {.mode = mode, .ring = kRing, .marked = true}});
    if (one.name == "forward" && mode == BurstMode::scalar)
      gated.push_back({&one, {.mode = mode, .burst = kLongBurst, .frame = kLongFrame, .ring = kRing}});
    if (is_one_of(kOnQueues, one.name)) gated.push_back({&one, on_queues(kQueues)});
  }
  return gated;
}

GatedCase forward_on_queues(std::uint16_t queues) { return {&find_case("forward_queues", kPollux), on_queues(queues)}; }

}  // namespace pollux::bench
