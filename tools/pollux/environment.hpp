// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "pollux/base/clock.hpp"
#include "pollux/base/log.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port.hpp"
#include "pollux/pci/network_state.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::tool {

enum ExitCode : int { kSuccess = 0, kFailure = 1, kUsage = 2 };

/// Which driver of Pollux knows a card, by PCI ids; empty: none.
using DriverOf = std::function<std::string(std::uint16_t vendor, std::uint16_t device)>;

/// Opens a port of `Environment::context` by its URI; empty where only the machine's files are looked at.
using OpenPort = std::function<Result<Port>(const std::string& uri)>;

/// All that a command touches. It refers to objects of the caller's, which outlive it.
struct Environment {
  pci::SystemPaths paths;
  Clock& clock;
  const pci::HostNetwork& network;
  LogCallback log;
  DriverOf driver_of;
  std::ostream& out;  ///< results
  std::ostream& err;  ///< failures and how to mend them
  Context& context;   ///< for ports, and the buffers that a started one needs
  OpenPort open_port = {};
};

}  // namespace pollux::tool
