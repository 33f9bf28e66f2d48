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

constexpr std::string_view kStuck = "stuck-register=";

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || text.empty()) return std::nullopt;
  return value;
}

/// A number of 32 bits, in hexadecimal digits after "0x".
std::optional<std::uint32_t> word(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x");
  const std::string_view digits = text.substr(hexadecimal ? 2 : 0);
  std::uint32_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, value, hexadecimal ? 16 : 10);
  if (error != std::errc() || stopped != end || digits.empty()) return std::nullopt;
  return value;
}

/// OFFSET, OFFSET+BITS or OFFSET-BITS.
std::optional<StuckRegister> stuck_register(std::string_view text) {
  const std::size_t sign = text.find_first_of("+-");
  const auto offset = word(text.substr(0, sign));
  if (!offset || *offset % sizeof(std::uint32_t) != 0) return std::nullopt;
  if (sign == std::string_view::npos) return StuckRegister{.offset = *offset, .ignores_writes = true};
  const auto bits = word(text.substr(sign + 1));
  if (!bits || *bits == 0) return std::nullopt;
  StuckRegister stuck{.offset = *offset};
  (text[sign] == '+' ? stuck.set : stuck.clear) = *bits;
  return stuck;
}

tl::unexpected<Error> reject(std::string_view text, std::string_view why) {
  std::vector<std::string_view> names;
  for (const Name& name : kNames) names.push_back(name.first);
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a valid fault: {}", text, why),
              fmt::format("write KIND@AT or KIND@ATxCOUNT; the kinds are {}, and {}REGISTER with +BITS or -BITS",
                          fmt::join(names, ", "), kStuck));
}

}  // namespace

Result<FaultPlan> parse_fault(std::string_view text) {
  const std::size_t at = text.find('@');
  const std::string_view kind = text.substr(0, at);
  FaultPlan plan;
  if (kind.starts_with(kStuck)) {
    const auto stuck = stuck_register(kind.substr(kStuck.size()));
    if (!stuck) return reject(text, "REGISTER is an offset such as 0xE018, BITS are those that always read as 1 or 0");
    plan = {.kind = FaultKind::stuck_register, .count = FaultPlan::kForEver, .stuck = *stuck};
  } else {
    const auto name =
        std::find_if(kNames.begin(), kNames.end(), [&](const Name& known) { return known.first == kind; });
    if (name == kNames.end()) return reject(text, "unknown kind");
    plan.kind = name->second;
  }
  if (at == std::string_view::npos) return plan;
  const std::string_view numbers = text.substr(at + 1);
  const std::size_t times = numbers.find('x');
  const auto first = number(numbers.substr(0, times));
  const auto count =
      times == std::string_view::npos ? std::optional<std::uint64_t>(plan.count) : number(numbers.substr(times + 1));
  if (!first || !count || *count == 0) return reject(text, "AT must be a number, and COUNT a number above 0");
  plan.at = *first;
  plan.count = *count;
  return plan;
}

}  // namespace pollux
