// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "drivers/virtio/net/control_queue.hpp"
#include "hw/virtio/control.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/settings.hpp"

/// The commands of the control queue. Each needs the feature that hw/virtio/control.hpp names. Errors: see
/// ControlQueue::send.
namespace pollux::drivers::virtio {

/// A started device, for commands.
struct Commands {
  const VirtioNetCard& card;
  ControlQueue& queue;

  [[nodiscard]] Result<void> set_promiscuous(bool on) const;
  [[nodiscard]] Result<void> set_all_multicast(bool on) const;
  [[nodiscard]] Result<void> set_address(const MacAddress& mac) const;
  /// Replaces the further addresses that the device receives.
  [[nodiscard]] Result<void> set_tables(std::span<const MacAddress> unicast,
                                        std::span<const MacAddress> multicast) const;
  /// Brings the device from one set of VLANs to another; nullopt: unknown.
  [[nodiscard]] Result<void> set_vlans(const std::optional<VlanSet>& from, const VlanSet& to) const;
  [[nodiscard]] Result<void> acknowledge_announcement() const;
  [[nodiscard]] Result<void> set_pairs(std::uint16_t pairs) const;
  /// `transmit_queues`: how many the driver uses.
  [[nodiscard]] Result<void> set_rss(const RssConfig& config, std::uint16_t transmit_queues) const;
  /// Reports hashes without spreading frames by them.
  [[nodiscard]] Result<void> set_hash(const RssConfig& config) const;
  /// Of one queue, by its index.
  [[nodiscard]] Result<void> set_coalescing(std::uint16_t queue, const hw::virtio::Coalescing& coalescing) const;
  /// Of all receive queues.
  [[nodiscard]] Result<void> set_rx_coalescing(const hw::virtio::Coalescing& coalescing) const;
};

}  // namespace pollux::drivers::virtio
