// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "net/validated_config.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::igb {

/// What RCTL says, besides what is always on.
struct ReceiveControl {
  bool promiscuous = false;
  bool all_multicast = false;
  bool keep_fcs = false;
  bool keep_bad_frames = false;
  bool filter_vlans = false;
  LoopbackMode loopback = LoopbackMode::none;
};

/// The longest frame that is received.
struct ReceiveLimit {
  std::uint32_t mtu = 0;
  bool outer_vlan = false;  ///< there is room for a second VLAN tag, up to the card's longest frame
};

/// Programs the transmit queues for `config` and enables sending. TDT may be written afterwards. Call it after a reset.
/// Errors: device_removed, timeout (a queue does not report itself enabled).
[[nodiscard]] Result<void> start_transmit(const Card& card, const ValidatedConfig& config,
                                          const intel::RingMemory& rings);

/// Programs the receive queues for `config`, after a reset. They work once RCTL lets the card receive. Error
/// device_removed.
[[nodiscard]] Result<void> program_receive(const Card& card, const ValidatedConfig& config,
                                           const intel::RingMemory& rings);
/// Waits until they do. RDT may be written afterwards. Errors: device_removed, timeout.
[[nodiscard]] Result<void> wait_receive(const Card& card, const ValidatedConfig& config);

/// Selects the frames whose headers queues with a header_pool split off, or none if there is no such queue.
void write_split_types(const Card& card, const ValidatedConfig& config);

[[nodiscard]] inline ReceiveLimit receive_limit(const Settings& settings) noexcept {
  return {settings.mtu, settings.outer_vlan_type.has_value()};
}
/// That length in bytes with FCS.
[[nodiscard]] std::uint32_t limit_bytes(const Card& card, ReceiveLimit limit) noexcept;

/// Enables receiving as `control` says.
void write_receive_control(const Card& card, const ReceiveControl& control);

/// Lets write-backs have the hash instead of a checksum of the packet, which RSS needs.
void enable_hash(const Card& card);

/// Spreads frames as `config` says, whose table is filled. `in_pools`: between the queues of each pool.
void write_rss(const Card& card, const RssConfig& config, bool in_pools);

/// [I-PACKETBUFFER] The sizes that the packet buffers may have.
[[nodiscard]] PacketBufferLimits packet_buffer_limits(const hw::igb::CardTraits& card) noexcept;

/// The sizes of a card's packet buffers. A port whose configurations leave them as they are accesses no register for
/// them. `card` outlives the object.
class PacketBufferSizes {
 public:
  explicit PacketBufferSizes(const Card& card) noexcept : card_(card) {}

  /// Sets the sizes. A size of 0 is the one that the card had before the first change. While nothing is received or
  /// sent, since no source says what happens to frames in the buffers.
  void write(const PacketBuffers& sizes);
  /// Sets the sizes that the card had before the first change, if there was one.
  void restore() { write({}); }
  /// The size of the receive buffer once `sizes` are set. 0: the card was removed.
  [[nodiscard]] std::uint32_t receive_bytes(const PacketBuffers& sizes) const;

 private:
  struct Initial {
    reg::RXPBS::Value receive;
    reg::TXPBS::Value transmit;
  };

  const Card& card_;
  std::optional<Initial> initial_;  // since the first change
};

}  // namespace pollux::drivers::igb
