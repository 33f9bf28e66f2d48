// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "doctor/caller.hpp"
#include "environment.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::tool::doctor {

enum class State { ok, warning, error, unknown };

[[nodiscard]] const char* to_string(State state);

/// A command of the shell that mends what a check found.
struct Remedy {
  std::string command;
  bool needs_root = true;
  /// Whether --fix may run it: it takes nothing from the host that the host uses, and a restart undoes it.
  bool safe = false;
};

/// The result of a check.
struct Finding {
  State state = State::unknown;
  std::string found;
  std::optional<Remedy> remedy = {};
  std::string advice = {};  ///< what a command cannot do, such as a setting of the firmware; or how to keep the change
};

/// What is checked.
struct Subject {
  const Environment& environment;
  Caller caller;
  std::optional<pci::DeviceInfo> device = {};  ///< the port; absent: only the machine is checked
  std::string uri = {};                        ///< the port as the user named it
  bool start = false;                          ///< the port may be opened and started
  std::string interface = {};                  ///< of the kernel, instead of a device; see interface_checks
  std::vector<pci::Address> others = {};       ///< ports that will be bound together with it

  /// The ports that leave the kernel's drivers together.
  [[nodiscard]] std::vector<pci::Address> leaving() const {
    std::vector<pci::Address> all{device->address};
    all.insert(all.end(), others.begin(), others.end());
    return all;
  }
  [[nodiscard]] const pci::SystemPaths& paths() const { return environment.paths; }
};

/// Which of the subjects a check is for.
enum class Scope { machine, port };

struct Check {
  const char* name;
  Scope scope;
  const char* why;  ///< why a port needs this
  Finding (*run)(const Subject& subject);
};

/// All checks, in the order in which their faults have to be mended.
[[nodiscard]] std::span<const Check> all_checks();

}  // namespace pollux::tool::doctor
