// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"

namespace pollux::ports {

/// The options in a port's URI: "key=value,key,...". Keys and values point into the parsed text.
class UriOptions {
 public:
  /// Error: invalid_argument if a key is not in `known` or is given twice. `uri` and `example` are for messages.
  [[nodiscard]] static Result<UriOptions> parse(std::string_view text, std::span<const std::string_view> known,
                                                std::string_view uri, std::string_view example);

  [[nodiscard]] bool has(std::string_view key) const noexcept { return get(key).has_value(); }
  /// The value of `key`; an empty text if it has no value, nullopt if the key is absent.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const noexcept;
  [[nodiscard]] bool empty() const noexcept { return options_.empty(); }

 private:
  struct Option {
    std::string_view key;
    std::string_view value;
  };
  std::vector<Option> options_;
};

}  // namespace pollux::ports
