// SPDX-License-Identifier: BSD-3-Clause
#include "port_facts.hpp"

#include <fmt/format.h>

namespace pollux::tool {
namespace {

void add_registers(Facts& facts, Port& port) {
  RegisterDump* const dump = port.register_dump();
  if (dump == nullptr) return;
  facts.json["registers"] = nlohmann::json::array();
  for (const RegisterValue& value : dump->registers()) {
    facts.lines.push_back({value.name, fmt::format("{:#010x} at {:#06x}", value.value, value.offset)});
    facts.json["registers"].push_back({{"name", value.name}, {"offset", value.offset}, {"value", value.value}});
  }
}

}  // namespace

Result<Facts> port_facts(const Environment& environment, const std::string& uri, bool with_registers) {
  auto port = environment.open_port(uri);
  if (!port) return tl::unexpected<Error>(port.error());
  const PortInfo& info = port->info();
  const PortLimits& limits = info.limits;
  const std::string mac = to_string(port->mac());
  Facts facts{"port", "Port " + info.name, {}, {}};
  facts.lines = {
      {"card", info.card},
      {"driver in Pollux", info.driver},
      {"reached by", info.backend},
      {"MAC address", mac},
      {"link", to_string(port->link())},
      {"queues", fmt::format("up to {} receive and {} transmit", limits.max_rx_queues, limits.max_tx_queues)},
      {"rings", fmt::format("{} to {} descriptors, a power of two", limits.min_ring, limits.max_ring)},
      {"MTU", fmt::format("{} to {} bytes", limits.min_mtu, limits.max_mtu)},
      {"shortest frame", fmt::format("{} bytes without FCS", limits.min_frame)},
      {"mbufs a frame", fmt::format("up to {}", limits.max_tx_segments)},
  };
  facts.json = {{"name", info.name},
                {"card", info.card},
                {"driver", info.driver},
                {"backend", info.backend},
                {"mac", mac},
                {"link_up", port->link().up},
                {"max_rx_queues", limits.max_rx_queues},
                {"max_tx_queues", limits.max_tx_queues},
                {"min_ring", limits.min_ring},
                {"max_ring", limits.max_ring},
                {"min_mtu", limits.min_mtu},
                {"max_mtu", limits.max_mtu},
                {"min_frame", limits.min_frame},
                {"max_tx_segments", limits.max_tx_segments}};
  if (with_registers) add_registers(facts, *port);
  if (auto closed = port->close(); !closed) return tl::unexpected<Error>(closed.error());
  return facts;
}

}  // namespace pollux::tool
