// SPDX-License-Identifier: BSD-3-Clause
// `pollux doctor --fix`: runs the commands that take nothing from the host.
#include <unistd.h>

#include <algorithm>
#include <ostream>
#include <set>

#include "base/printable.hpp"
#include "doctor/diagnosis.hpp"

namespace pollux::tool::doctor {
namespace {

/// The first fault with a safe command that was not tried.
const CheckResult* next_fault(const Diagnosis& diagnosis, const std::set<std::string>& tried) {
  const auto found = std::find_if(diagnosis.begin(), diagnosis.end(), [&](const CheckResult& result) {
    const Finding& finding = result.finding;
    const bool wrong = finding.state == State::error || finding.state == State::warning;
    return wrong && finding.remedy && !finding.remedy->steps.empty() && !tried.contains(finding.remedy->command);
  });
  return found == diagnosis.end() ? nullptr : &*found;
}

bool is_mended(const Diagnosis& diagnosis, const Check* check) {
  return std::any_of(diagnosis.begin(), diagnosis.end(), [&](const CheckResult& result) {
    return result.check == check && result.finding.state == State::ok;
  });
}

/// Runs the command if it may be run, and takes a new diagnosis. Returns the outcome.
std::string attempt(const Remedy& remedy, const Check* check, const Refresh& refresh, Diagnosis& diagnosis,
                    const Environment& environment, bool yes) {
  if (remedy.needs_root && ::geteuid() != 0) return "needs root";
  if (!yes && (!environment.confirm || !environment.confirm("Run it?"))) return "declined";
  for (const Invocation& step : remedy.steps) {
    if (const int status = environment.run_command(step); status != 0) {
      return "failed: status " + std::to_string(status);
    }
  }
  const auto subject = refresh();
  if (!subject) return "failed: " + subject.error().what;
  diagnosis = diagnose(*subject);
  return is_mended(diagnosis, check) ? "mended" : "done, but the fault is still there";
}

}  // namespace

std::vector<Attempt> fix(const Refresh& refresh, Diagnosis& diagnosis, const Environment& environment, bool yes) {
  std::vector<Attempt> attempts;
  std::set<std::string> tried;
  while (const CheckResult* fault = next_fault(diagnosis, tried)) {
    // A copy: a new diagnosis replaces `fault`.
    const CheckResult current = *fault;
    const Remedy& remedy = *current.finding.remedy;
    tried.insert(remedy.command);
    environment.err << current.check->name << ": " << printable(current.finding.found) << "\n  " << remedy.command
                    << '\n';
    const std::string outcome = attempt(remedy, current.check, refresh, diagnosis, environment, yes);
    environment.err << "  " << printable(outcome) << '\n';
    attempts.push_back({current.check->name, remedy.command, outcome});
  }
  return attempts;
}

}  // namespace pollux::tool::doctor
