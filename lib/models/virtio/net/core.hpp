// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "hw/virtio/control.hpp"
#include "hw/virtio/net.hpp"
#include "models/virtio/net/memory.hpp"
#include "models/virtio/net/options.hpp"
#include "models/virtio/net/queue.hpp"
#include "pollux/base/clock.hpp"

namespace pollux::models::virtio {

/// What the control queue has set. A reset of the device restores the defaults.
struct Settings {
  // VIRTIO 1.3, 5.1.6.5.1 and 5.1.6.5.2.
  bool promiscuous = false, all_multicast = false, all_unicast = false;
  bool no_multicast = false, no_unicast = false, no_broadcast = false;
  std::vector<MacAddress> addresses;                  ///< both tables
  bool more_multicast = false, more_unicast = false;  ///< a table was longer than the device's: all addresses match
  std::bitset<4096> vlans;
  // 5.1.6.5.5 to 5.1.6.5.7.
  std::uint16_t pairs = 1;
  bool rss = false;
  std::uint32_t hash_types = 0;
  std::vector<std::uint8_t> key;
  std::vector<std::uint16_t> table;  ///< pairs; a power of two
  std::uint16_t unclassified = 0;
  hw::Features guest_offloads = 0;  ///< GUEST_ bits that are on
  hw::Coalescing rx_coalescing, tx_coalescing;
};

/// Frames by what became of them, and what a correct driver does not do.
struct Counters {
  std::uint64_t rx_frames = 0;
  std::uint64_t rx_filtered = 0;     ///< by address, VLAN or mode
  std::uint64_t rx_too_long = 0;     ///< for the buffer without MRG_RXBUF, or beyond the MTU
  std::uint64_t rx_no_room = 0;      ///< the backlog was full, or too many segments came at once
  std::uint64_t rx_stopped = 0;      ///< no driver was ready, or its queue was disabled
  std::uint64_t tx_frames = 0;       ///< that the driver sent
  std::uint64_t tx_no_link = 0;      ///< of them dropped without a link
  std::uint64_t tx_bad = 0;          ///< of them dropped because of their header or length
  std::uint64_t ignored_writes = 0;  ///< of registers: wrong width, value or time
  std::uint64_t failures = 0;        ///< broken rules after which the device needs a reset
};

/// What the parts of the device share: memory, queues, what was negotiated, and how the driver is told.
class Core {
 public:
  explicit Core(const CardOptions& options);

  [[nodiscard]] bool has(hw::Features feature) const noexcept { return (features & feature) != 0; }
  /// 5.1.2: the control queue follows all pairs that could be used with MQ or RSS.
  [[nodiscard]] std::uint16_t usable_pairs() const noexcept {
    return has(hw::feature::kMq | hw::feature::kRss) ? options.pairs : std::uint16_t{1};
  }
  [[nodiscard]] Queue& rx(std::uint32_t pair) { return queues[hw::rx_queue_index(pair)]; }
  [[nodiscard]] Queue& tx(std::uint32_t pair) { return queues[hw::tx_queue_index(pair)]; }
  [[nodiscard]] std::uint16_t control_index() const noexcept { return hw::control_queue_index(usable_pairs()); }
  /// Whether the device may begin more in this call.
  [[nodiscard]] bool may_work() const noexcept { return budget == nullptr || budget->has_left(); }
  [[nodiscard]] Duration now() const noexcept { return now_; }
  /// Whether the device uses queues and frames.
  [[nodiscard]] bool running() const noexcept { return ready && !broken; }

  /// Takes the next entry of a queue. False if there is none, or the driver has broken a rule.
  [[nodiscard]] bool take(Queue& queue, Chain& chain);
  /// Publishes what was used for `packets`, and tells the driver if it wants to know and coalescing allows it.
  void finish(Queue& queue, std::uint32_t packets);
  /// Parameters of a queue's coalescing, and when it has to tell the driver at the latest.
  void set_coalescing(std::uint16_t queue, hw::Coalescing coalescing);
  [[nodiscard]] hw::Coalescing coalescing(std::uint16_t queue) const { return moderation_[queue].limits; }
  /// The state of a queue that is enabled.
  void restart_coalescing(std::uint16_t queue);
  void advance(Duration now);
  [[nodiscard]] Duration next_event() const noexcept;
  /// The driver has broken a rule: the device stops until it is reset (2.1.2, DEVICE_NEEDS_RESET).
  void fail(const char* why);
  void reset();

  const CardOptions options;
  WorkBudget* budget = nullptr;  ///< nullptr: no limit
  Memory memory;
  Faults faults;
  hw::Features features = 0;  ///< negotiated
  Settings settings;
  MacAddress mac{};
  Counters counters;
  std::deque<Queue> queues;
  bool ready = false;   ///< DRIVER_OK
  bool broken = false;  ///< DEVICE_NEEDS_RESET
  const char* last_failure = "";
  // Set once by the card.
  std::function<void(Queue& queue)> tell_driver;
  std::function<void()> on_failure;

 private:
  struct Moderation {
    hw::Coalescing limits;
    std::uint32_t packets = 0;
    Duration deadline = Duration::max();
  };
  void tell(std::uint16_t queue);

  Duration now_{0};
  std::vector<Moderation> moderation_;
};

}  // namespace pollux::models::virtio
