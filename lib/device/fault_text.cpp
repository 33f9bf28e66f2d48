// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "pollux/device/fault.hpp"

namespace pollux {
namespace {

using Name = std::pair<std::string_view, FaultKind>;

constexpr std::array<Name, 11> kNames{{{"removal", FaultKind::removal},
                                       {"removal-event", FaultKind::removal_event},
                                       {"error-event", FaultKind::error_event},
                                       {"ones", FaultKind::ones},
                                       {"zeros", FaultKind::zeros},
                                       {"lost-write", FaultKind::lost_write},
                                       {"call-fails", FaultKind::call_fails},
                                       {"map-fails", FaultKind::map_fails},
                                       {"unmap-fails", FaultKind::unmap_fails},
                                       {"lost-interrupts", FaultKind::lost_interrupts},
                                       {"spurious-interrupt", FaultKind::spurious_interrupt}}};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || text.empty()) return std::nullopt;
  return value;
}

tl::unexpected<Error> reject(std::string_view text, std::string_view why) {
  std::vector<std::string_view> names;
  for (const Name& name : kNames) names.push_back(name.first);
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a valid fault: {}", text, why),
              fmt::format("write KIND@AT or KIND@ATxCOUNT; the kinds are {}", fmt::join(names, ", ")));
}

}  // namespace

Result<FaultPlan> parse_fault(std::string_view text) {
  const std::size_t at = text.find('@');
  const auto name =
      std::find_if(kNames.begin(), kNames.end(), [&](const Name& known) { return known.first == text.substr(0, at); });
  if (name == kNames.end()) return reject(text, "unknown kind");
  FaultPlan plan{.kind = name->second};
  if (at == std::string_view::npos) return plan;
  const std::string_view numbers = text.substr(at + 1);
  const std::size_t times = numbers.find('x');
  const auto first = number(numbers.substr(0, times));
  const auto count =
      times == std::string_view::npos ? std::optional<std::uint64_t>(1) : number(numbers.substr(times + 1));
  if (!first || !count || *count == 0) return reject(text, "AT must be a number, and COUNT a number above 0");
  plan.at = *first;
  plan.count = *count;
  return plan;
}

}  // namespace pollux
