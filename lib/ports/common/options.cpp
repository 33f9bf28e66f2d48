// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pollux::ports {

Result<UriOptions> UriOptions::parse(std::string_view text, std::span<const std::string_view> known,
                                     std::string_view uri, std::string_view example) {
  UriOptions options;
  const auto reject = [&](std::string what) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': {}", uri, what), fmt::format("write {}", example));
  };
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view option = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const auto equals = option.find('=');
    const std::string_view key = option.substr(0, equals);
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return reject(fmt::format("unknown option '{}'; the options are {} (file names must not contain commas)", key,
                                fmt::join(known.begin(), known.end(), ", ")));
    }
    if (options.has(key)) return reject(fmt::format("option '{}' is given twice", key));
    options.options_.push_back(
        {key, equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1)});
  }
  return options;
}

std::optional<std::string_view> UriOptions::get(std::string_view key) const noexcept {
  const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.key == key; });
  if (found == options_.end()) return std::nullopt;
  return found->value;
}

}  // namespace pollux::ports
