// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string_view>

namespace pollux {

/// "KIND:WHICH" in two.
struct Uri {
  std::string_view scheme;
  std::string_view which;  ///< may be empty, and may have a URI of its own in it

  /// Empty for a text that does not begin with a scheme and a colon. RFC 3986, 3.1: a letter, then letters, digits,
  /// "+", "-" and "."; only lower case is in use.
  [[nodiscard]] static std::optional<Uri> parse(std::string_view text);
};

/// "ARGUMENT,URI": what follows the colon of a kind that goes around another device.
struct Wrapping {
  std::string_view argument;  ///< a file, a plan; never empty
  std::string_view inner;     ///< the URI of the device inside

  /// The argument ends at the first comma behind which something begins for which `is_uri` holds, so that it may have
  /// commas itself. Empty if there is none.
  [[nodiscard]] static std::optional<Wrapping> parse(std::string_view text, bool (*is_uri)(std::string_view text));
};

}  // namespace pollux
