// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "settings/card_port.hpp"
#include "settings/random.hpp"

namespace pollux::test::settings {

/// A call of the control API with its arguments. `make` notes what was asked if the port accepted it.
struct Call {
  std::string text;
  std::function<Result<void>(CardPort&)> make;
};

/// What the ports of a test can do.
struct Abilities {
  bool functions = true;  ///< VirtualFunctions
  /// LinkControl with forced modes, a PHY that can be stopped and that loops. Tests of it take seconds.
  bool whole_phy = true;
  unsigned most_queues = 16;
};

/// Random calls, which depend on `random` alone. Some of them are refused in the state that the port has then.
[[nodiscard]] std::vector<Call> random_calls(Random& random, const Pools& pools, const Abilities& abilities = {});

/// Whether an error says that a call was refused: it then has changed nothing.
[[nodiscard]] bool is_refusal(const Error& error);

}  // namespace pollux::test::settings
