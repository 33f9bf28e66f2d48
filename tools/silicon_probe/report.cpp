// SPDX-License-Identifier: BSD-3-Clause
#include "silicon_probe/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pollux::silicon {

nlohmann::json to_json(const Outcome& outcome) {
  nlohmann::json facts = nlohmann::json::array();
  for (const Fact& fact : outcome.answer.facts()) {
    nlohmann::json one{
        {"tag", fact.tag}, {"what", fact.what}, {"said", fact.said}, {"expected", nullptr}, {"agrees", fact.agrees}};
    if (!fact.expected.empty()) one["expected"] = fact.expected;
    facts.push_back(std::move(one));
  }
  return {{"probe", outcome.probe->name},
          {"question", outcome.probe->question},
          {"tags", outcome.probe->tags},
          {"state", to_string(outcome.state)},
          {"agrees", outcome.answer.agrees()},
          {"reason", outcome.reason},
          {"seconds", std::chrono::duration<double>(outcome.took).count()},
          {"facts", std::move(facts)}};
}

nlohmann::json unasked_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const Unasked& one : unasked()) list.push_back({{"tag", one.tag}, {"kind", one.kind}, {"why", one.why}});
  return list;
}

std::string to_text(const Outcome& outcome) {
  std::string text = fmt::format("{:<22} {}", outcome.probe->name, outcome.probe->question);
  if (outcome.state != State::answered) text += fmt::format("\n  {}: {}", to_string(outcome.state), outcome.reason);
  for (const Fact& fact : outcome.answer.facts()) {
    const std::string expected = fact.agrees ? "" : fmt::format("  DIFFERS, expected {}", fact.expected);
    text += fmt::format("\n  {:<12} {}: {}{}", fact.tag, fact.what, fact.said, expected);
  }
  return text + '\n';
}

std::string list_text() {
  std::string text;
  for (const Probe& probe : probes()) {
    text += fmt::format("{:<22} {}{}\n  {}\n", probe.name, fmt::join(probe.tags, ", "),
                        probe.needs_partner ? " (needs two ports)" : "", probe.question);
  }
  text += "\nnot asked:\n";
  for (const Unasked& one : unasked()) text += fmt::format("{:<16} {}: {}\n", one.tag, one.kind, one.why);
  return text;
}

}  // namespace pollux::silicon
