// SPDX-License-Identifier: BSD-3-Clause
#include "function_watch.hpp"

#include <fmt/format.h>

#include <chrono>
#include <ostream>
#include <utility>

#include "pci_facts.hpp"
#include "pollux/net/settings.hpp"
#include "report.hpp"
#include "vf_settings.hpp"

namespace pollux::tool {
namespace {

/// Lines of a kind for each function; what comes beyond that is one line.
constexpr unsigned kPrintedAMinute = 10;

nlohmann::json totals_json(unsigned number, const VirtualFunctionState& state) {
  nlohmann::json refused = nlohmann::json::object();
  for (std::size_t reason = 0; reason < state.refused.size(); ++reason) {
    const auto name = to_string(static_cast<VirtualFunctionRefusal>(reason));
    if (state.refused[reason] != 0) refused[std::string(name)] = state.refused[reason];
  }
  const VirtualFunctionCounters& counters = state.counters;
  return {{"function", number},
          {"mac", state.mac ? nlohmann::json(to_string(*state.mac)) : nlohmann::json(nullptr)},
          {"driver_up", state.driver_up},
          {"requests", state.requests},
          {"refused", refused},
          {"resets", state.resets},
          {"spoof_events", state.spoof_events},
          {"rx_packets", counters.rx_packets},
          {"rx_bytes", counters.rx_bytes},
          {"tx_packets", counters.tx_packets},
          {"tx_bytes", counters.tx_bytes}};
}

std::string totals_text(unsigned number, const VirtualFunctionState& state) {
  std::uint64_t refused = 0;
  for (const std::uint64_t count : state.refused) refused += count;
  return fmt::format("function {}: {} requests, {} refused; received {} frames, sent {}", number, state.requests,
                     refused, state.counters.rx_packets, state.counters.tx_packets);
}

}  // namespace

// Whoever waits for an event reads it at once.
void FunctionWatch::line(const std::string& text) { environment_.out << text << '\n' << std::flush; }

void FunctionWatch::print_now(unsigned number, const std::string& text, const nlohmann::json& json) {
  line(json_ ? json.dump() : fmt::format("function {}: {}", number, text));
}

void FunctionWatch::print(unsigned number, const char* event, const std::string& text, nlohmann::json json) {
  Seldom& seldom = seldom_[{number, json.contains("reason") ? json["reason"].get<std::string>() : event}];
  if (seldom.printed == 0) seldom.begin = environment_.clock.now();
  json["event"] = event;
  json["function"] = number;
  if (seldom.printed++ < kPrintedAMinute) return print_now(number, text, json);
  ++seldom.left_out;
  seldom.text = text;
  seldom.json = std::move(json);
}

void FunctionWatch::print_left_out() {
  for (auto& [of, seldom] : seldom_) {
    if (seldom.printed == 0 || environment_.clock.now() - seldom.begin < std::chrono::minutes(1)) continue;
    if (seldom.left_out != 0) {
      seldom.json["times"] = seldom.left_out;
      print_now(of.first, fmt::format("{}; {} times since the last line", seldom.text, seldom.left_out), seldom.json);
    }
    seldom = {};
  }
}

Result<std::vector<VirtualFunctionState>> FunctionWatch::states() {
  std::vector<VirtualFunctionState> all;
  const auto count = static_cast<unsigned>(port_.settings().functions.size());
  for (unsigned number = 0; number < count; ++number) {
    auto state = functions_->function(number);
    if (!state) return pass_on(std::move(state));
    all.push_back(*std::move(state));
  }
  return all;
}

Result<void> FunctionWatch::print_settings(const std::string& port) {
  auto now = states();
  if (!now) return pass_on(std::move(now));
  auto listed = nlohmann::json::array();
  if (!json_) line(fmt::format("{}: {} of {} virtual functions", port, now->size(), functions_->max_functions()));
  for (unsigned number = 0; number < now->size(); ++number) {
    const VirtualFunctionConfig& config = (*now)[number].config;
    if (!json_) line(fmt::format("function {}: {}", number, settings_text(config)));
    nlohmann::json entry = settings_json(config);
    entry["function"] = number;
    listed.push_back(std::move(entry));
  }
  if (json_) {
    const nlohmann::json json{{"event", "serving"}, {"port", port}, {"functions", std::move(listed)}};
    line(json.dump(-1, ' ', true, kReplaceBadText));
  } else {
    line("serving; Ctrl-C ends this");
  }
  seen_ = *std::move(now);
  return {};
}

Result<void> FunctionWatch::look() {
  auto now = states();
  if (!now) return pass_on(std::move(now));
  print_left_out();
  for (unsigned number = 0; number < now->size(); ++number) compare(number, seen_[number], (*now)[number]);
  environment_.out << std::flush;  // what was not taken earlier
  seen_ = *std::move(now);
  return {};
}

void FunctionWatch::compare(unsigned number, const VirtualFunctionState& before, const VirtualFunctionState& now) {
  if (now.resets != before.resets) print(number, "reset", "was reset");
  const bool started = now.announcements != before.announcements;
  if (started) print(number, "driver_up", "its driver has started");
  if ((before.driver_up || started) && !now.driver_up) print(number, "driver_down", "its driver has ended");
  if (now.mac && now.mac != before.mac) {
    print(number, "address", fmt::format("its address is {}", to_string(*now.mac)), {{"mac", to_string(*now.mac)}});
  }
  for (std::size_t reason = 0; reason < now.refused.size(); ++reason) {
    if (now.refused[reason] == before.refused[reason]) continue;
    const std::string name(to_string(static_cast<VirtualFunctionRefusal>(reason)));
    print(number, "refused", fmt::format("a request was refused: {}", name), {{"reason", name}});
  }
  if (now.spoof_events != before.spoof_events) print(number, "spoof", "it sent forged frames, which were dropped");
}

void FunctionWatch::on_event(const PortEvent& event) {
  const std::string text = to_string(event);
  line(json_ ? nlohmann::json{{"event", "port"}, {"text", text}}.dump(-1, ' ', true, kReplaceBadText)
             : fmt::format("port: {}", text));
}

Result<void> FunctionWatch::print_totals() {
  if (auto looked = look(); !looked) return looked;
  auto listed = nlohmann::json::array();
  for (unsigned number = 0; number < seen_.size(); ++number) {
    if (!json_) line(totals_text(number, seen_[number]));
    listed.push_back(totals_json(number, seen_[number]));
  }
  if (json_) line(nlohmann::json{{"summary", {{"functions", std::move(listed)}}}}.dump());
  return {};
}

}  // namespace pollux::tool
