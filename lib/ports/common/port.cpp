// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/port.hpp"

#include <chrono>

namespace pollux::ports {
namespace {

/// The interval at which a removed medium is detected. There are no counters to accumulate.
constexpr Duration kServiceInterval = std::chrono::seconds(10);

PortInfo describe(const PortIdentity& identity, const PortTraits& traits) {
  return {.name = identity.name,
          .driver = std::string(traits.driver),
          .card = std::string(traits.what),
          .backend = "software",
          .index = identity.index,
          .numa_node = -1,
          .supports = traits.supports,
          .limits = traits.limits,
          .offloads = traits.offloads};
}

}  // namespace

MacAddress mac_for(std::string_view name) noexcept {
  // FNV-1a (RFC 9923) gives different addresses for short names, and the same address on every machine.
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3;
  MacAddress mac{0x02};
  for (std::size_t i = 1; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(hash >> (8 * i));
  return mac;
}

SoftwarePort::SoftwarePort(const PortIdentity& identity, const PortTraits& traits)
    : QueuedPort(identity.context, describe(identity, traits), {.rx = traits.rx_drops, .tx = traits.tx_drops}),
      mac_(identity.mac) {}

Result<void> SoftwarePort::start() {
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  auto begun = begin();
  begun_ = begun.has_value();
  return begun;
}

Result<void> SoftwarePort::halt() {
  if (std::exchange(begun_, false)) end();
  return {};
}

Result<void> SoftwarePort::apply(const PlacedSettings* from, const PlacedSettings& to) {
  if (from == nullptr || from->mtu != to.mtu) {
    if (auto changed = change_mtu(to.mtu); !changed) return changed;
  }
  filter_.set_mac(mac_of(to));
  filter_.set_mtu(to.mtu);
  filter_.set_promiscuous(to.promiscuous);
  filter_.set_all_multicast(to.all_multicast);
  return change_filter(from, to);
}

Result<Duration> SoftwarePort::service() { return kServiceInterval; }

// If the port still runs, a thread may be using its file descriptors. They then stay open, since the kernel could give
// their numbers to other files.
Result<void> SoftwarePort::release(bool) {
  if (!begun_) close();
  return {};
}

}  // namespace pollux::ports
