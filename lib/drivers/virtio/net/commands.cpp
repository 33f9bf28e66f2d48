// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/net/commands.hpp"

#include <cstring>
#include <type_traits>
#include <vector>

namespace pollux::drivers::virtio {
namespace {

using hw::virtio::ControlClass;

/// The data of a command, little-endian.
class Data {
 public:
  template <class T>
  Data& add(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
    return *this;
  }
  Data& add_table(std::span<const MacAddress> addresses) {
    add(static_cast<std::uint32_t>(addresses.size()));
    for (const MacAddress& address : addresses) add(address);
    return *this;
  }
  Data& add_key(const packet::RssKey& key) { return add(static_cast<std::uint8_t>(key.size())).add(key); }

  operator std::span<const std::uint8_t>() const noexcept { return bytes_; }  // NOLINT(google-explicit-constructor)

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace

Result<void> Commands::set_promiscuous(bool on) const {
  return queue.send(card, "to set promiscuous mode", ControlClass::rx, hw::virtio::rx_command::kPromiscuous,
                    Data().add(std::uint8_t{on}));
}

Result<void> Commands::set_all_multicast(bool on) const {
  return queue.send(card, "to receive all multicasts", ControlClass::rx, hw::virtio::rx_command::kAllMulticast,
                    Data().add(std::uint8_t{on}));
}

Result<void> Commands::set_address(const MacAddress& mac) const {
  return queue.send(card, "to set the address", ControlClass::mac, hw::virtio::mac_command::kAddressSet,
                    Data().add(mac));
}

Result<void> Commands::set_tables(std::span<const MacAddress> unicast, std::span<const MacAddress> multicast) const {
  return queue.send(card, "to set the table of addresses", ControlClass::mac, hw::virtio::mac_command::kTableSet,
                    Data().add_table(unicast).add_table(multicast));
}

// Devices differ in the VLANs that they receive at first: QEMU 10 receives all, and the standard says none.
Result<void> Commands::set_vlans(const std::optional<VlanSet>& from, const VlanSet& to) const {
  for (std::size_t vlan = 0; vlan < to.size(); ++vlan) {
    const bool receive = to[vlan] || vlan == 0;  // tag 0 is a priority only
    if (from && ((*from)[vlan] || vlan == 0) == receive) continue;
    const std::uint8_t command = receive ? hw::virtio::vlan_command::kAdd : hw::virtio::vlan_command::kDelete;
    auto set =
        queue.send(card, "to filter a VLAN", ControlClass::vlan, command, Data().add(static_cast<std::uint16_t>(vlan)));
    if (!set) return set;
  }
  return {};
}

Result<void> Commands::acknowledge_announcement() const {
  return queue.send(card, "to acknowledge an announcement", ControlClass::announce,
                    hw::virtio::announce_command::kAcknowledge, {});
}

Result<void> Commands::set_pairs(std::uint16_t pairs) const {
  return queue.send(card, "to set the number of queues", ControlClass::mq, hw::virtio::mq_command::kPairsSet,
                    Data().add(pairs));
}

// RssTypes has the standard's bits. Frames without a hash go to the first queue.
Result<void> Commands::set_rss(const RssConfig& config, std::uint16_t transmit_queues) const {
  Data data;
  data.add(config.types.bits);
  data.add(static_cast<std::uint16_t>(config.table.size() - 1)).add(std::uint16_t{0});
  for (const std::uint16_t entry : config.table) data.add(entry);
  data.add(transmit_queues).add_key(config.key);
  return queue.send(card, "to set RSS", ControlClass::mq, hw::virtio::mq_command::kRss, data);
}

Result<void> Commands::set_hash(const RssConfig& config) const {
  constexpr std::uint64_t kReserved = 0;
  return queue.send(card, "to report hashes", ControlClass::mq, hw::virtio::mq_command::kHash,
                    Data().add(config.types.bits).add(kReserved).add_key(config.key));
}

Result<void> Commands::set_coalescing(std::uint16_t index, const hw::virtio::Coalescing& coalescing) const {
  return queue.send(card, "to coalesce a queue's interrupts", ControlClass::coalescing,
                    hw::virtio::coalescing_command::kQueueSet,
                    Data().add(hw::virtio::QueueCoalescing{.queue = index, .reserved = 0, .coalescing = coalescing}));
}

Result<void> Commands::set_rx_coalescing(const hw::virtio::Coalescing& coalescing) const {
  return queue.send(card, "to coalesce interrupts", ControlClass::coalescing, hw::virtio::coalescing_command::kRxSet,
                    Data().add(coalescing));
}

}  // namespace pollux::drivers::virtio
