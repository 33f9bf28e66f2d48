// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// A URI of the form "SCHEME:ARGUMENT".
struct Uri {
  std::string_view scheme;
  std::string_view which;  ///< the text after the colon; may be empty or contain another URI

  /// Returns nullopt if the text does not begin with a scheme and a colon. RFC 3986, 3.1: a scheme is a letter, then
  /// letters, digits, "+", "-" and "."; only lower case is accepted here.
  [[nodiscard]] static std::optional<Uri> parse(std::string_view text);
};

/// "ARGUMENT,URI": the text after the colon of a scheme that wraps another device.
struct WrapUri {
  std::string_view argument;  ///< a file or a fault; never empty
  std::string_view inner;     ///< the URI of the wrapped device

  /// The argument ends at the first comma that is followed by a URI according to `is_uri`, so the argument may contain
  /// commas itself. Returns nullopt if there is no such comma.
  [[nodiscard]] static std::optional<WrapUri> parse(std::string_view text,
                                                    const std::function<bool(std::string_view text)>& is_uri);
};

/// Opens the port that `uri` names: a device with the driver that knows its card, or a software port.
/// Errors: those of open_device, of probe_driver and of the software port.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_port(Context& context, std::string_view uri);

}  // namespace pollux
