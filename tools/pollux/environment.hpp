// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "confine/confinement.hpp"
#include "host/network_state.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/log.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port.hpp"
#include "pollux/pci/paths.hpp"
#include "run_command.hpp"

namespace pollux::tool {

namespace doctor {
struct Caller;
}

enum ExitCode : int { kSuccess = 0, kFailure = 1, kUsage = 2 };

/// The name of Pollux's driver for a card with these PCI ids; empty if there is none.
using DriverOf = std::function<std::string(std::uint16_t vendor, std::uint16_t device)>;

/// Opens a port of `Environment::context` by its URI; empty if a command may only read the machine's files.
using OpenPort = std::function<Result<Port>(const std::string& uri)>;

/// Asks the user whether to go on.
using Confirm = std::function<bool(const std::string& question)>;

/// Runs a command to its end, with the user's terminal (run_command.hpp). Returns its exit status.
using RunCommand = std::function<int(const Invocation& command)>;

/// Gives up what a server does not need (confine/confine.hpp).
using Confine = std::function<Result<void>(const Confinement& needed)>;

/// Everything that a command uses. It refers to objects of the caller, which outlive it.
struct Environment {
  pci::SystemPaths paths;
  Clock& clock;
  const host::HostNetwork& network;
  LogCallback log;
  DriverOf driver_of;
  std::ostream& out;  ///< results
  std::ostream& err;  ///< failures and how to fix them
  Context& context;   ///< for ports and the buffers of started ports
  OpenPort open_port = {};
  Confirm confirm = {};  ///< empty: nobody can be asked
  bool colours = false;  ///< `out` is a terminal that shows colours
  RunCommand run_command = {};
  Confine confine = [](const Confinement&) { return Result<void>(); };
  int terminal = -1;                       ///< where the user types; -1: nowhere
  const doctor::Caller* caller = nullptr;  ///< the user for whom `pollux doctor` checks; null: that of this process
};

}  // namespace pollux::tool
