// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/target.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace pollux::qtest {
namespace {

constexpr unsigned kMaxTimeout = 600'000;

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

/// Removes the part up to the next comma from `rest` and returns it.
std::string_view take_word(std::string_view& rest) {
  const std::size_t comma = rest.find(',');
  const std::string_view word = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  return word;
}

Result<void> apply(Target& target, std::string_view option) {
  const std::size_t equals = option.find('=');
  const std::string_view key = option.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
  if (key == "qemu" && !value.empty()) {
    target.qemu = value;
    return {};
  }
  if (key == "timeout") {
    const auto milliseconds = parse_unsigned(value);
    if (milliseconds && *milliseconds >= 1 && *milliseconds <= kMaxTimeout) {
      target.timeout = std::chrono::milliseconds(*milliseconds);
      return {};
    }
    return refuse(target, fmt::format("'{}' is not a valid timeout", option),
                  fmt::format("use timeout=1 to timeout={}, in milliseconds", kMaxTimeout));
  }
  return refuse(target, fmt::format("unknown option '{}'", option),
                "use qtest:0, qtest:0?qemu=/path/to/qemu-system-x86_64 or qtest:0?timeout=MILLISECONDS");
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
  std::string_view rest = text.substr(question + 1);
  for (bool more = true; more;) {
    more = rest.find(',') != std::string_view::npos;
    if (auto applied = apply(target, take_word(rest)); !applied) return pass_on(std::move(applied));
  }
  return target;
}

}  // namespace pollux::qtest
