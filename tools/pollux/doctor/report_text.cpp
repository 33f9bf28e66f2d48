// SPDX-License-Identifier: BSD-3-Clause
// A diagnosis as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "base/printable.hpp"
#include "doctor/diagnosis.hpp"
#include "pci_facts.hpp"

namespace pollux::tool::doctor {
namespace {

/// Escape sequences of ECMA-48 (SGR): green, yellow, red, cyan.
const char* colour_of(State state) {
  switch (state) {
    case State::ok: return "\033[32m";
    case State::warning: return "\033[33m";
    case State::error: return "\033[31m";
    case State::unknown: return "\033[36m";
  }
  return "";
}

std::string state_text(const Environment& environment, State state) {
  const std::string padded = fmt::format("{:<8}", to_string(state));
  return environment.colours ? colour_of(state) + padded + "\033[0m" : padded;
}

/// A command as it is typed: after "#" by root, after "$" by any user.
std::string prompt(const Remedy& remedy) { return (remedy.needs_root ? "# " : "$ ") + remedy.command; }

std::string counted(std::size_t number, const char* one, const char* several) {
  return fmt::format("{} {}", number, number == 1 ? one : several);
}

}  // namespace

std::size_t count(const Diagnosis& diagnosis, State state) {
  return static_cast<std::size_t>(std::count_if(
      diagnosis.begin(), diagnosis.end(), [&](const CheckResult& result) { return result.finding.state == state; }));
}

void print_diagnosis(const Subject& subject, const Diagnosis& diagnosis) {
  const Environment& environment = subject.environment;
  constexpr const char* kIndent = "                          ";
  bool has_root_commands = false;
  for (const auto& [check, finding] : diagnosis) {
    environment.out << fmt::format("{}  {:<16}{}\n", state_text(environment, finding.state), check->name,
                                   printable(finding.found));
    if (finding.state != State::ok) environment.out << kIndent << check->why << '\n';
    if (finding.remedy) environment.out << kIndent << prompt(*finding.remedy) << '\n';
    if (!finding.advice.empty()) environment.out << kIndent << printable(finding.advice) << '\n';
    has_root_commands = has_root_commands || (finding.remedy && finding.remedy->needs_root);
  }
  environment.out << fmt::format("{}, {}, {} unknown{}\n", counted(count(diagnosis, State::error), "error", "errors"),
                                 counted(count(diagnosis, State::warning), "warning", "warnings"),
                                 count(diagnosis, State::unknown),
                                 has_root_commands ? "; commands after # need root" : "");
}

nlohmann::json to_json(const Subject& subject, const Diagnosis& diagnosis, const std::vector<Attempt>& attempts) {
  nlohmann::json checks = nlohmann::json::array();
  for (const auto& [check, finding] : diagnosis) {
    nlohmann::json entry{{"check", check->name},
                         {"state", to_string(finding.state)},
                         {"found", printable(finding.found)},
                         {"why", check->why},
                         {"advice", nullptr},
                         {"command", nullptr}};
    if (!finding.advice.empty()) entry["advice"] = printable(finding.advice);
    if (finding.remedy) {
      entry["command"] = finding.remedy->command;
      entry["needs_root"] = finding.remedy->needs_root;
      entry["safe"] = !finding.remedy->steps.empty();
    }
    checks.push_back(std::move(entry));
  }
  nlohmann::json done = nlohmann::json::array();
  for (const Attempt& attempt : attempts) {
    done.push_back({{"check", attempt.check}, {"command", attempt.command}, {"outcome", attempt.outcome}});
  }
  nlohmann::json json{{"port", nullptr},
                      {"device", nullptr},
                      {"user", subject.caller.name},
                      {"checks", std::move(checks)},
                      {"fixes", std::move(done)},
                      {"errors", count(diagnosis, State::error)},
                      {"warnings", count(diagnosis, State::warning)},
                      {"unknown", count(diagnosis, State::unknown)}};
  if (!subject.interface.empty()) json["port"] = subject.uri;
  if (subject.device) {
    json["port"] = subject.device->address.to_string();
    json["device"] = tool::to_json(*subject.device, subject.environment.driver_of);
  }
  return json;
}

}  // namespace pollux::tool::doctor
