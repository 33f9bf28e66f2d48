// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"

namespace pollux {

/// The options in a URI: "key=value,key,...". Values point into the parsed text.
class UriOptions {
 public:
  /// None.
  UriOptions() = default;
  /// `text` has at least one option. Error: invalid_argument if a key is not in `known` or is given twice. `uri` and
  /// `example` are for messages.
  [[nodiscard]] static Result<UriOptions> parse(std::string_view text, std::span<const std::string_view> known,
                                                std::string_view uri, std::string_view example);

  [[nodiscard]] bool has(std::string_view key) const noexcept { return get(key).has_value(); }
  /// The value of `key`; an empty text if it has no value, nullopt if the key is absent.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const noexcept;
  /// Whether a key that needs no value is on: it is given, and has no value or one that means so. Error:
  /// invalid_argument for other values than those that mean on or off.
  [[nodiscard]] Result<bool> flag(std::string_view key) const;

 private:
  struct Option {
    std::string_view key;
    std::string_view value;
    bool has_value;
  };
  std::vector<Option> options_;
  std::string uri_;
};

/// Error invalid_argument, for `what`, if the kernel takes no network interface of that name.
[[nodiscard]] Result<void> check_interface_name(std::string_view name, std::string_view what);

/// `text` is the name of a network interface, and may go on with options behind a '?'. Error invalid_argument, for
/// `uri`, if it begins with the name of an interface that has a '?' itself.
[[nodiscard]] Result<void> check_end_of_name(std::string_view text, std::string_view uri);

}  // namespace pollux
