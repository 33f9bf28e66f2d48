// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include "base/uri_options.hpp"

namespace pollux::qtest {
namespace {

constexpr unsigned kMaxTimeout = 600'000;
constexpr std::string_view kExample =
    "qtest:0, qtest:0?qemu=/path/to/qemu-system-x86_64 or qtest:0?timeout=MILLISECONDS";

std::optional<unsigned> parse_unsigned(std::string_view text) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

tl::unexpected<Error> refuse(const Target& target, std::string_view why, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("'{}': {}", target.uri, why), std::move(hint));
}

Result<void> apply(Target& target, const UriOptions& options) {
  if (const auto card = options.get("card")) {
    target.card =
        std::find_if(kCardModels.begin(), kCardModels.end(), [&](const CardModel& m) { return m.name == *card; });
    if (target.card == kCardModels.end()) {
      std::vector<std::string_view> names;
      for (const CardModel& model : kCardModels) names.push_back(model.name);
      return refuse(target, fmt::format("there is no card named '{}'", *card),
                    fmt::format("write card={}", fmt::join(names, " or card=")));
    }
  }
  if (const auto qemu = options.get("qemu")) {
    if (qemu->empty()) return refuse(target, "qemu needs a path", std::string(kExample));
    target.qemu = *qemu;
  }
  if (const auto timeout = options.get("timeout")) {
    const auto milliseconds = parse_unsigned(*timeout);
    if (!milliseconds || *milliseconds < 1 || *milliseconds > kMaxTimeout) {
      return refuse(target, fmt::format("'timeout={}' is not a valid timeout", *timeout),
                    fmt::format("use timeout=1 to timeout={}, in milliseconds", kMaxTimeout));
    }
    target.timeout = std::chrono::milliseconds(*milliseconds);
  }
  return {};
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  Target target;
  target.uri = fmt::format("qtest:{}", text);
  const std::size_t question = text.find('?');
  const auto number = parse_unsigned(text.substr(0, question));
  if (!number || *number >= Target::kCards) {
    return refuse(
        target, "no such card",
        fmt::format("use qtest:0 to qtest:{}; a wire connects an even number and the next one", Target::kCards - 1));
  }
  target.number = *number;
  if (question == std::string_view::npos) return target;
  constexpr std::array<std::string_view, 3> kKeys{"card", "qemu", "timeout"};
  auto options = UriOptions::parse(text.substr(question + 1), kKeys, target.uri, kExample);
  if (!options) return pass_on(std::move(options));
  if (auto applied = apply(target, *options); !applied) return pass_on(std::move(applied));
  return target;
}

}  // namespace pollux::qtest
