// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "doctor/caller.hpp"
#include "environment.hpp"
#include "pci/device_info.hpp"

namespace pollux::tool::doctor {

enum class State { ok, warning, error, unknown };

[[nodiscard]] const char* to_string(State state);

/// What mends what a check found.
struct Remedy {
  std::string command;  ///< as a user types it into a shell: names of others in it are quoted (`shell_quoted`)
  bool needs_root = true;
  /// The same as --fix runs it, without a shell. Empty: it may not, since the command takes something from the host
  /// that the host uses, or a restart does not undo it.
  std::vector<Invocation> steps = {};

  /// Steps for root, and the same as a line for a shell. `safe`: --fix may run them.
  [[nodiscard]] static Remedy of_steps(std::vector<Invocation> steps, bool safe = true);
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
