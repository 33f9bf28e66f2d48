// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "observe/methods.hpp"
#include "observe/port_meters.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port.hpp"
#include "pollux/observe/telemetry.hpp"

namespace pollux::observe {

/// The telemetry's methods for the program itself, without a socket or names of ports. Captures are not among them.
/// Thread rule: any thread, also in a port's event handler: nothing is locked, and no other port held, while a method
/// calls its port.
class LocalRequests {
 public:
  explicit LocalRequests(Context& context);

  /// The result of a method as JSON. `port`: for methods of a port; null for those of the program. `params`: a JSON
  /// object, or empty. Errors: invalid_argument (no JSON), not_found (no such method), and those of the method.
  [[nodiscard]] Result<std::string> request(Port* port, std::string_view method, std::string_view params);
  /// Merges `patch`, a JSON object, into the settings of `port`. Errors: invalid_argument, and those of Port::change.
  [[nodiscard]] Result<void> change(Port& port, std::string_view patch);

 private:
  [[nodiscard]] Result<Json> call(Port* port, std::string_view method, Json params);

  Context& context_;
  TelemetryOptions options_;
  PortMeters meters_;
};

}  // namespace pollux::observe
