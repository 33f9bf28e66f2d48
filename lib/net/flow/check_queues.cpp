// SPDX-License-Identifier: BSD-3-Clause
#include "net/flow/check_queues.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pollux {

Result<void> check_queues(const FlowAction& action, std::uint32_t queues, std::string_view owner) {
  std::uint32_t highest = 0;
  if (action.fate == FlowAction::Fate::queue) highest = action.queue;
  if (action.fate == FlowAction::Fate::rss) {
    highest = *std::max_element(action.rss.table.begin(), action.rss.table.end());
  }
  if (highest < queues) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("flow rule: it uses queue {}, and {} has {}", highest, owner, queues),
              "use queues that exist, or configure more");
}

}  // namespace pollux
