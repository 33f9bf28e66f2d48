// SPDX-License-Identifier: BSD-3-Clause
#include "port_facts.hpp"

#include <fmt/format.h>

#include "pollux/mem/mempool.hpp"
#include "pollux/net/port_facts.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/register_dump.hpp"
#include "started_port.hpp"

namespace pollux::tool {
namespace {

/// Starts the port to read its link, since the link of a port that was never started is always down. A link that does
/// not come up within kLinkLimit is down. Stops the port afterwards. `found` gets what it found out meanwhile.
Result<Link> find_link(Context& context, Port& port, std::vector<PortFact>& found) {
  auto pool = Mempool::create(context, {.count = 256, .name = "info"});
  if (!pool) return tl::unexpected<Error>(pool.error());
  Result<Link> link = Link{};
  if (const auto started = start_port(port, *pool); !started) {
    link = tl::unexpected<Error>(started.error());
  } else {
    static_cast<void>(port.wait_for_link(kLinkLimit));
    link = port.link();
    if (const auto known = port.capability<PortFacts>()) found = known->facts();
  }
  // The port is closed before the pool is destroyed, since the port's rings hold its buffers.
  if (auto closed = port.close(); !closed) return tl::unexpected<Error>(closed.error());
  return link;
}

void add_registers(Facts& facts, const std::vector<RegisterValue>& registers) {
  facts.json["registers"] = nlohmann::json::array();
  for (const RegisterValue& value : registers) {
    facts.lines.push_back({value.name, fmt::format("{:#010x} at {:#06x}", value.value, value.offset)});
    facts.json["registers"].push_back({{"name", value.name}, {"offset", value.offset}, {"value", value.value}});
  }
}

}  // namespace

Result<Facts> port_facts(const Environment& environment, const std::string& uri, bool with_registers) {
  auto port = environment.open_port(uri);
  if (!port) return tl::unexpected<Error>(port.error());
  const PortInfo info = port->info();
  const PortLimits& limits = info.limits;
  const std::string mac = to_string(port->mac());
  const auto capabilities = port->capabilities();
  const auto dump = port->capability<RegisterDump>();
  const std::vector<RegisterValue> registers =
      with_registers && dump ? dump->registers() : std::vector<RegisterValue>{};
  std::vector<PortFact> found;
  const Result<Link> link = find_link(environment.context, *port, found);
  const bool exact = info.missed_count == MissedCount::exact;
  Facts facts{"port", "Port " + info.name, {}, {}};
  facts.lines = {
      {"card", info.card},
      {"driver in Pollux", info.driver},
      {"reached by", info.backend},
      {"MAC address", mac},
      {"link", link ? to_string(*link) : "not known: " + link.error().what},
      {"queues", fmt::format("up to {} receive and {} transmit", limits.max_rx_queues, limits.max_tx_queues)},
      {"rings",
       fmt::format("{} to {} descriptors, {}", limits.min_ring, limits.max_ring,
                   limits.ring_multiple == 0 ? "powers of two" : fmt::format("multiples of {}", limits.ring_multiple))},
      {"MTU", fmt::format("{} to {} bytes", limits.min_mtu, limits.max_mtu)},
      {"shortest frame", fmt::format("{} bytes without FCS", limits.min_frame)},
      {"mbufs per frame", fmt::format("up to {}", limits.max_tx_segments)},
      {"capabilities", capabilities.empty() ? "none" : fmt::format("{}", fmt::join(capabilities, ", "))},
      {"missed frames", exact ? "all counted" : "not all counted: rx_missed_errors is a lower bound"},
  };
  facts.json = {{"name", info.name},
                {"card", info.card},
                {"driver", info.driver},
                {"backend", info.backend},
                {"mac", mac},
                {"link_up", link ? nlohmann::json(link->up) : nlohmann::json(nullptr)},
                {"link_speed", link ? nlohmann::json(link->speed) : nlohmann::json(nullptr)},
                {"max_rx_queues", limits.max_rx_queues},
                {"max_tx_queues", limits.max_tx_queues},
                {"min_ring", limits.min_ring},
                {"max_ring", limits.max_ring},
                {"ring_multiple", limits.ring_multiple},
                {"min_mtu", limits.min_mtu},
                {"max_mtu", limits.max_mtu},
                {"min_frame", limits.min_frame},
                {"max_rx_frame", limits.max_rx_frame},
                {"max_tx_segments", limits.max_tx_segments},
                {"capabilities", capabilities},
                {"rx_missed_exact", exact}};
  for (const PortFact& fact : found) {
    facts.lines.push_back({std::string(fact.name), fact.value});
    facts.json["facts"][std::string(fact.name)] = fact.value;
  }
  if (with_registers && dump) add_registers(facts, registers);
  return facts;
}

}  // namespace pollux::tool
