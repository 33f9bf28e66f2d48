// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "doctor/check.hpp"

namespace pollux::tool::doctor {

struct CheckResult {
  const Check* check = nullptr;
  Finding finding;
};

/// What all checks of a subject found, in their order.
using Diagnosis = std::vector<CheckResult>;

[[nodiscard]] Diagnosis diagnose(const Subject& subject);

[[nodiscard]] std::size_t count(const Diagnosis& diagnosis, State state);

/// Prints a line for each check, and below it why it matters and what mends it, unless it is ok.
void print_diagnosis(const Subject& subject, const Diagnosis& diagnosis);

/// A command that --fix ran or left out.
struct Attempt {
  std::string check;
  std::string command;
  std::string outcome;  ///< "mended", "declined", "needs root", or how it failed
};

/// Takes the facts anew, for a diagnosis after a change.
using Refresh = std::function<Result<Subject>()>;

/// Shows each safe command, asks (unless `yes`), runs it, and checks again whether the fault is gone. The commands are
/// run in the order of the checks, each at most once. Returns what was done; `diagnosis` becomes the last one.
[[nodiscard]] std::vector<Attempt> fix(const Refresh& refresh, Diagnosis& diagnosis, const Environment& environment,
                                       bool yes);

[[nodiscard]] nlohmann::json to_json(const Subject& subject, const Diagnosis& diagnosis,
                                     const std::vector<Attempt>& attempts);

}  // namespace pollux::tool::doctor
