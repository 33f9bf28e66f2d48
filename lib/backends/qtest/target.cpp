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

// "a:b+c:d" as ",a=b,c=d". Names and values have no character that separates options of QEMU's.
std::optional<std::string> device_properties(std::string_view text) {
  const auto is_word = [](std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
  };
  std::string properties;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('+', at), text.size());
    const std::string_view one = text.substr(at, end - at);
    const std::size_t colon = one.find(':');
    if (colon == std::string_view::npos || !is_word(one.substr(0, colon)) || !is_word(one.substr(colon + 1)))
      return std::nullopt;
    properties += fmt::format(",{}={}", one.substr(0, colon), one.substr(colon + 1));
    at = end + 1;
  }
  return properties;
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
  if (const auto properties = options.get("properties")) {
    auto text = device_properties(*properties);
    if (!text) {
      return refuse(target, fmt::format("'properties={}' are no properties", *properties),
                    "write properties=NAME:VALUE+NAME:VALUE, such as properties=packed:on");
    }
    target.properties = *std::move(text);
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
  constexpr std::array<std::string_view, 4> kKeys{"card", "properties", "qemu", "timeout"};
  auto options = UriOptions::parse(text.substr(question + 1), kKeys, target.uri, kExample);
  if (!options) return pass_on(std::move(options));
  if (auto applied = apply(target, *options); !applied) return pass_on(std::move(applied));
  return target;
}

}  // namespace pollux::qtest
