// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/queue/interrupts.hpp"
#include "drivers/intel/queue/queue_set.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "net/queue_caches.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/placed_settings.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/rss.hpp"

namespace pollux::drivers::igb {

/// The longest frame that is received.
struct ReceiveLimit {
  std::uint32_t mtu = 0;
  bool outer_vlan = false;  ///< there is room for a second VLAN tag, up to the card's longest frame
};

/// Programs the transmit queues for `config` and enables sending. TDT may be written afterwards. Call it after a reset.
/// Errors: device_removed, timeout (a queue does not report itself enabled).
[[nodiscard]] Result<void> start_transmit(const IgbCard& card, const PlacedQueues& config,
                                          const intel::RingMemory& rings);

/// Programs the receive queues for `config`, after a reset. They work once RCTL lets the card receive. Error
/// device_removed.
[[nodiscard]] Result<void> program_receive(const IgbCard& card, const PlacedQueues& config,
                                           const intel::RingMemory& rings);
/// Waits until they do. RDT may be written afterwards. Errors: device_removed, timeout.
[[nodiscard]] Result<void> wait_receive(const IgbCard& card, const PlacedQueues& config);

/// Selects the frames whose headers queues with a header_pool split off, or none if there is no such queue.
void write_split_types(const IgbCard& card, const PlacedQueues& config);

[[nodiscard]] inline ReceiveLimit receive_limit(const Settings& settings) noexcept {
  return {settings.mtu, settings.outer_vlan_type.has_value()};
}
/// Whether the card removes the frame check sequence of received frames.
[[nodiscard]] inline bool strips_fcs(const Settings& settings) noexcept { return kept_fcs_bytes(settings) == 0; }
/// The length of the limit in bytes with FCS.
[[nodiscard]] std::uint32_t limit_bytes(const IgbCard& card, ReceiveLimit limit) noexcept;

/// Lets write-backs have the hash instead of a checksum of the packet, which RSS needs.
void enable_hash(const IgbCard& card);

/// Spreads frames as `config` says, whose table is filled. `in_pools`: between the queues of each pool.
void write_rss(const IgbCard& card, const RssConfig& config, bool in_pools);

/// [I-PACKETBUFFER] The sizes that the packet buffers may have.
[[nodiscard]] PacketBufferLimits packet_buffer_limits(const hw::igb::CardTraits& card) noexcept;

/// The sizes of a card's packet buffers. A port whose configurations leave them as they are accesses no register for
/// them. `card` outlives the object.
class PacketBufferSizes {
 public:
  explicit PacketBufferSizes(const IgbCard& card) noexcept : card_(card) {}

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

  const IgbCard& card_;
  std::optional<Initial> initial_;  // since the first change
};

/// The rate limits of a port's transmit queues and pools. The card has them as fractions of the link's speed, so they
/// are written when the link comes up, and again when it has another speed.
class TxRates {
 public:
  /// `card` outlives the object.
  explicit TxRates(const IgbCard& card) noexcept : card_(card) {}

  /// Whether the function has enabled its second queue, with which it shares its limit.
  void note_second_queue(std::uint32_t function, bool used, const Settings& settings);

  /// The card was reset: no limit is in force.
  void forget() noexcept {
    speed_ = 0;
    uses_both_.reset();
  }
  /// Writes what differs, if the link has been up.
  void apply(const PlacedSettings& from, const PlacedSettings& to) const;
  /// Call it on a running port with its link.
  void follow(const Link& link, const Settings& settings);
  /// How long the longest request takes in the slowest of these queues of the card; 0 until the link has been up.
  [[nodiscard]] Duration longest_request(const Settings& settings, std::uint32_t first_queue,
                                         std::uint32_t queues) const noexcept;

 private:
  /// A rate that several queues share equally; 0: no limit.
  struct Rate {
    std::uint32_t megabits = 0;
    std::uint32_t queues = 1;
    bool is_slowest = false;  ///< the lowest rate of the card instead

    [[nodiscard]] bool operator==(const Rate&) const = default;
  };
  [[nodiscard]] Rate function_rate(std::uint32_t queue, std::uint32_t megabits) const noexcept;
  [[nodiscard]] Rate rate(std::uint32_t queue, const Settings& settings) const noexcept;
  void write(std::uint32_t queue, const Rate& rate) const;

  const IgbCard& card_;
  std::bitset<hw::igb::kPools> uses_both_;  ///< functions whose second queue is enabled
  std::uint32_t speed_ = 0;                 // of the link for which the registers were written; 0: they were not
};

/// Enables the MSI-X vectors of the first `count` receive queues. They stay masked until a queue is armed. Needs the
/// queues closed, and a card that was reset. Without vectors the queues have to be polled; a failure is only logged.
/// If the queues do not need vector 0, it gets the changes of the link and is unmasked.
void enable_interrupts(const IgbCard& card, intel::QueueSet& queues, std::uint32_t count);

/// If vector 0 has sent a message, takes its causes. A cause that comes later sends a message again, so read what the
/// causes are about afterwards. Otherwise it accesses no register.
void acknowledge_interrupts(const IgbCard& card, intel::QueueSet& queues);

}  // namespace pollux::drivers::igb
