// SPDX-License-Identifier: BSD-3-Clause
#include "gated_cases.hpp"

#include <fmt/format.h>

namespace pollux::bench {

std::string GatedCase::name() const {
  std::string text = fmt::format("{}/{}/burst:{}", what->name, pollux::name(setup.path), setup.burst);
  if (setup.frame != Setup{}.frame) text += fmt::format("/frame:{}", setup.frame);
  if (setup.queues != Setup{}.queues) text += fmt::format("/queues:{}", setup.queues);
  if (setup.marked) text += "/marked";
  return text;
}

std::vector<GatedCase> gated_cases(BurstMode path) {
  std::vector<GatedCase> gated;
  for (const Case& one : cases()) {
    if (one.who != kPollux || one.name == "forward_queues" || one.name == "forward_raw") continue;
    if (!one.has_paths && path != BurstMode::scalar) continue;
    gated.push_back({&one, {.path = path}});
    if (one.name == "forward" || one.name == "fused") gated.push_back({&one, {.path = path, .burst = 1}});
    if (one.name == "forward_offload") gated.push_back({&one, {.path = path, .marked = true}});
    if (one.name == "forward" && path == BurstMode::scalar) gated.push_back({&one, {.path = path, .frame = 9000}});
  }
  return gated;
}

GatedCase forward_on_queues(std::uint16_t queues) {
  return {&find_case("forward_queues", kPollux), {.ring = 128, .pool = 16384, .queues = queues}};
}

}  // namespace pollux::bench
