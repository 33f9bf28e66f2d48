// SPDX-License-Identifier: BSD-3-Clause
#include "silicon_probe/ask.hpp"

#include <fmt/format.h>

#include <utility>

#include "drivers/intel/igb/driver.hpp"
#include "pollux/device/record.hpp"
#include "pollux/open.hpp"
#include "silicon_probe/raw_port.hpp"
#include "silicon_probe/trace_file.hpp"

namespace pollux::silicon {
namespace {

/// The card as a recorder sees it: registers only. The recorder would otherwise give the card rings of its own, and a
/// probe would see these in the registers of its rings.
const CardLayout& registers_only() {
  static const CardLayout layout = [] {
    CardLayout made = drivers::igb::card_layout();
    made.rings = {};
    made.is_counter = [](std::uint32_t) noexcept { return false; };
    made.is_status = [](std::uint32_t) noexcept { return false; };
    return made;
  }();
  return layout;
}

std::filesystem::path recording_of(const std::filesystem::path& folder, const Probe& probe) {
  return folder / fmt::format("{}.rec", probe.name);
}

Result<std::unique_ptr<Device>> open_first(Context& context, const Probe& probe, const AskOptions& options,
                                           TraceFile& trace) {
  if (!options.replay.empty()) {
    return replay_device(context, recording_of(options.replay, probe).string(),
                         [](const PciIdentity&) { return &registers_only(); });
  }
  auto device = open_device(context, options.port);
  if (!device) return device;
  if (!options.recordings.empty() && !probe.uses_dma) {
    device =
        record_device(context, recording_of(options.recordings, probe).string(), registers_only(), *std::move(device));
    if (!device) return device;
  }
  return trace.wrap(*std::move(device), "port");
}

struct OpenedPorts {
  std::unique_ptr<RawPort> port;
  std::unique_ptr<RawPort> partner;
};

// All ports are opened before memory is allocated: without an IOMMU this has to be the order.
Result<OpenedPorts> open_ports(Context& context, const Probe& probe, const AskOptions& options, TraceFile& trace) {
  OpenedPorts ports;
  auto first = open_first(context, probe, options, trace);
  if (!first) return pass_on(std::move(first));
  auto port = RawPort::open(context, *std::move(first));
  if (!port) return pass_on(std::move(port));
  ports.port = *std::move(port);
  if (!options.partner.empty() && options.replay.empty()) {
    auto second = open_device(context, options.partner);
    if (!second) return pass_on(std::move(second));
    auto partner = RawPort::open(context, trace.wrap(*std::move(second), "partner"));
    if (!partner) return pass_on(std::move(partner));
    ports.partner = *std::move(partner);
  }
  for (RawPort* each : {ports.port.get(), ports.partner.get()}) {
    if (each == nullptr) continue;
    if (auto allocated = each->allocate(); !allocated) return pass_on(std::move(allocated));
    if (auto reset = each->reset(); !reset) return pass_on(std::move(reset));
  }
  return ports;
}

std::string why_not(const Probe& probe, const AskOptions& options) {
  if (!options.replay.empty() && probe.uses_dma)
    return "its answer depends on memory, which a recording of registers lacks";
  if (probe.needs_partner && options.partner.empty()) return "it needs a second port at the other end of the cable";
  return {};
}

Result<void> ask_ports(const Probe& probe, const AskOptions& options, Answer& answer) {
  TraceFile trace(options.traces.empty() ? options.traces : options.traces / fmt::format("{}.txt", probe.name));
  Context context({.clock = options.clock, .log = options.log});
  auto opened = open_ports(context, probe, options, trace);
  if (!opened) return pass_on(std::move(opened));
  ProbePorts ports{*opened->port, opened->partner.get()};
  return probe.ask(ports, answer);
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case State::answered: return "answered";
    case State::skipped: return "skipped";
    case State::failed: return "failed";
  }
  return "failed";
}

Outcome ask(const Probe& probe, const AskOptions& options) {
  Outcome outcome{.probe = &probe, .state = State::skipped, .answer = {}, .reason = why_not(probe, options)};
  if (!outcome.reason.empty()) return outcome;
  SteadyClock steady;
  const Duration start = steady.now();
  const auto asked = ask_ports(probe, options, outcome.answer);
  outcome.took = steady.now() - start;
  outcome.state = asked ? State::answered : State::failed;
  if (!asked) {
    outcome.reason = asked.error().message();
    // A backend that cannot do it, such as one without interrupts, says nothing about the card.
    if (asked.error().code == ErrorCode::not_supported) outcome.state = State::skipped;
  }
  return outcome;
}

}  // namespace pollux::silicon
