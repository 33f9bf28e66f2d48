// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// Something about a port that PortInfo has no member for, as text for people.
struct PortFact {
  std::string_view name;  ///< a literal, such as "mode"
  std::string value;      ///< such as "native, copies frames"
};

/// Capability (see capability.hpp): what a port found out when it was started, such as how it exchanges frames with the
/// kernel. `pollux info` and telemetry show it.
class POLLUX_API PortFacts {
 public:
  static constexpr CapabilityId kId{"facts"};

  virtual ~PortFacts() = default;
  /// In the order in which a reader wants them. Those of a port that was never started are fewer.
  [[nodiscard]] virtual std::vector<PortFact> facts() = 0;
};

}  // namespace pollux
