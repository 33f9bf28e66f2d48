// SPDX-License-Identifier: BSD-3-Clause
#include "bench/port_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "backends/sim/open_sim.hpp"

namespace pollux::tool::bench {
namespace {

constexpr std::string_view kScheme = "sim:";
constexpr std::uint64_t kCardRate = 1'000'000'000;

/// An in-process card of a URI.
struct SimCard {
  sim::Uri uri;
  std::string options = {};  ///< as the user wrote them
};

/// Nothing for any other port, for a malformed URI, which opening it reports, and for cards that do not follow a clock
/// of virtual time: their wire has a thread, or ends outside the process.
std::optional<SimCard> steppable_card(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  auto parsed = sim::Uri::parse(uri);
  if (!parsed || parsed->function || parsed->setup.threaded || parsed->setup.link_partner.any()) return std::nullopt;
  const auto question = std::min(uri.find('?'), uri.size());
  return SimCard{*std::move(parsed), std::string(uri.substr(std::min(question + 1, uri.size())))};
}

/// Options of a wire without those that begin with `prefix`.
std::string without(std::string_view options, std::string_view prefix) {
  std::string kept;
  while (!options.empty()) {
    const auto comma = std::min(options.find(','), options.size());
    if (const auto option = options.substr(0, comma); !option.starts_with(prefix)) {
      kept.append(kept.empty() ? "" : ",").append(option);
    }
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
  return kept;
}

std::string uri_of(unsigned number, const std::string& options) { return fmt::format("sim:{}?{}", number, options); }

}  // namespace

Result<PortPlan> plan_ports(const std::string& sending, const std::string& receiving, const DeviceUnderTest& device,
                            std::optional<std::uint64_t> line_rate) {
  const auto from = steppable_card(sending);
  const auto to = steppable_card(receiving);
  if (!from || !to) {
    if (!device.forwarder) return PortPlan{{sending, receiving}, false, std::nullopt};
    return fail(ErrorCode::invalid_argument,
                fmt::format("--dut forward is for in-process cards, not for {} and {}", sending, receiving),
                "use sim:0 sim:1, or leave out --dut and connect both ports to the device under test");
  }
  if ((from->uri.number ^ to->uri.number) != 1) {
    const unsigned other = from->uri.number ^ 1U;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} and {} are not at the ends of one wire", sending, receiving),
                fmt::format("use sim:{} sim:{}", from->uri.number, other));
  }
  if (from->uri.has_options && to->uri.has_options && from->uri.setup != to->uri.setup) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} and {} give their wire different options", sending, receiving),
                "give the options to one of the cards only");
  }
  const SimCard& described = from->uri.has_options ? *from : *to;
  std::string options = described.options;
  std::uint64_t rate = described.uri.setup.wire.rate;
  if (rate == 0) {
    rate = line_rate.value_or(kCardRate);
    options.append(options.empty() ? "" : ",").append(fmt::format("rate={}", rate));
  }
  PortPlan plan{{uri_of(from->uri.number, options)}, true, rate};
  if (!device.forwarder) {
    plan.uris.push_back(uri_of(to->uri.number, options));
    return plan;
  }
  const unsigned second = ((from->uri.number & ~1U) + 2) % sim::Uri::kCards;
  plan.uris.push_back(uri_of(to->uri.number, options));
  // A capture file is that of the first wire.
  options = without(options, "capture=");
  plan.uris.push_back(uri_of(second, options));
  plan.uris.push_back(uri_of(second + 1, options));
  return plan;
}

}  // namespace pollux::tool::bench
