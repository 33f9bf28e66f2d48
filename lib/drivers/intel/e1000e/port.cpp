// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/e1000e/port.hpp"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/e1000e/bring_up.hpp"
#include "drivers/intel/e1000e/queue_setup.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "net/frame_size.hpp"
#include "net/new_port.hpp"
#include "net/register_dump.hpp"

namespace pollux::drivers::e1000e {
namespace {

constexpr auto kCardCounters = gigabit::list_counters<hw::e1000e::kStatisticsRegisters>();

/// RCTL.FLXBUF counts KiB in four bits.
constexpr std::uint32_t kMaxBuffer = 15 * 1024;

/// Linux, netdev.c, e1000_watchdog_task, looks each two seconds.
constexpr Duration kPhyInterval = std::chrono::seconds(2);

/// For a unit that was disabled to end its DMA.
constexpr Duration kUnitStopDelay = milliseconds(10);

PortInfo describe(Device& device, const hw::e1000e::CardTraits& card, std::uint16_t index) {
  PortLimits limits = intel::queue_limits(card.queues, card.max_frame - wire_bytes(0));
  limits.max_rx_frame = card.max_frame - kFcsBytes;
  limits.max_buffer = kMaxBuffer;
  limits.max_header = 0;
  limits.drop_enable = DropChoice::none;
  limits.max_thresholds = {};
  limits.max_unicast = card.family.exact_addresses - 1;
  limits.max_multicast = 32 * reg::kMulticastTableWords;
  limits.rss_table = 4 * reg::RETA::kCount;
  limits.rss_types = kHashTypes;
  limits.link_modes = gigabit::kPhyModes;
  PortInfo info = intel::describe_port(device, "e1000e", card.name, card.family.features, index, limits);
  info.supports = supported_settings(device);
  info.missed_count = MissedCount::lower_bound;
  info.offloads.tx_flags = TxOffload::ipv4_checksum | TxOffload::tcp_checksum | TxOffload::udp_checksum |
                           TxOffload::sctp_checksum | TxOffload::insert_vlan | TxOffload::insert_outer_vlan |
                           TxOffload::tcp_segmentation | TxOffload::without_fcs;
  info.offloads.rx_flags = RxOffload::ipv4_checksum | RxOffload::tcp_checksum | RxOffload::udp_checksum |
                           RxOffload::rss_hash | RxOffload::vlan;
  info.packet_types = {};
  return info;
}

}  // namespace

E1000ePort::E1000ePort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device,
                       const hw::e1000e::CardTraits& traits, std::uint16_t index)
    : GigabitPort(context, std::move(device), describe(*device, traits, index), intel::kExtendedTx, kCardCounters),
      card_{{{.regs = {}, .context = std::move(context), .name = device_->name()}, traits.family, device_.get()},
            &traits} {
  capabilities_ = family_capabilities();
  for (const CapabilityEntry& own : {interrupt_capability(), offer<Nvm>(nvm_), offer<RegisterDump>(*this),
                                     offer<PortFacts>(*this), transmit_watch(), receive_watch()}) {
    capabilities_.push_back(own);
  }
  queues()->set_rx_format(RxFormat::intel_extended);
  if (device_->interrupt_vectors() >= kVectors) queues()->allow_sleeping(kVectors);
}

Result<std::unique_ptr<PortDriver>> E1000ePort::open(const std::shared_ptr<ContextState>& context,
                                                     const hw::e1000e::CardTraits& traits,
                                                     std::unique_ptr<Device> device) {
  const auto make = [&](std::uint16_t index) {
    return std::unique_ptr<E1000ePort>(new E1000ePort(context, std::move(device), traits, index));
  };
  return new_port(*context, device->name(), make, [](E1000ePort& port) { return port.bring_up(); });
}

Result<void> E1000ePort::bring_up() {
  if (auto taken = take_card(); !taken) return taken;
  exchange_registers({.bar = card_.regs.bar(),
                      .rdh = reg::RDH::offset(0),
                      .rdt = reg::RDT::offset(0),
                      .tdt = reg::TDT::offset(0),
                      .stride = reg::RDT::offset(1) - reg::RDT::offset(0),
                      .have_enable = false});
  return flush_registers(card_);
}

// Every start begins with a reset, since only a reset undoes the end of DMA. The link is started first, since it takes
// longest. The order follows Linux, netdev.c, e1000_configure.
Result<void> E1000ePort::start() {
  statistics_.accumulate();
  if (auto reset = reset_card(card_); !reset) return reset;
  announce_driver(card_, true);
  if (auto started = start_link(card_, link_setup(settings())); !started) return started;
  statistics_.discard();
  statistics_.begin_receive(queues()->taken(), true,
                            [this] { return queues()->delivered(queue_registers(), card_.clock()); });
  enable_interrupts(card_, *queues(), config().rx_queues());
  dma_ended_ = false;
  if (auto mastering = device_->set_bus_master(true); !mastering) return mastering;
  for (std::uint32_t queue = 0; queue < config().tx_queues(); ++queue) {
    if (auto programmed = program_transmit(card_, queue, rings().tx(queue)); !programmed) return programmed;
  }
  if (config().tx_queues() != 0) enable_transmit(card_);
  if (config().rx_queues() != 0) {
    if (auto receive = program_receive(card_, config().rx_queues(), rings()); !receive) return receive;
  }
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  if (auto armed = arm_receive(card_, *queues(), config().rx_queues()); !armed) return armed;
  return flush_registers(card_);
}

// A queue has no bit that disables it, and the receive unit must not be disabled (bring_up.cpp, quiesce).
Result<void> E1000ePort::may_restart(QueueId queue) const {
  if (!queue.receives()) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: a receive queue of this card cannot be restarted while the port runs", info().name),
              "stop the port, change the queue, and start it");
}

// The unit stops for all queues, and goes on with start_queue. Linux, netdev.c, e1000e_down, waits as long.
Result<void> E1000ePort::halt_queue(QueueId queue) {
  intel::IntelTxQueue& tx = *queues()->tx(queue.index);
  if (link().up) wait_for_transmit(card_, [&] { return tx.reclaim_sent() == 0; });
  clear<reg::TCTL>(card_, reg::TCTL::EN);
  card_.regs.flush();
  card_.clock().sleep_for(kUnitStopDelay);
  const auto head = card_.regs.read<reg::TDH>(queue.index);
  tx.note_head(head.raw());
  // The other queue goes on, and this one has nothing left to send.
  card_.regs.write<reg::TDT>(queue.index, reg::TDT::Value(head.raw()));
  enable_transmit(card_);
  return flush_registers(card_);
}

Result<void> E1000ePort::start_queue(QueueId queue) {
  clear<reg::TCTL>(card_, reg::TCTL::EN);
  card_.regs.flush();
  card_.clock().sleep_for(kUnitStopDelay);
  if (auto programmed = program_transmit(card_, queue.index, rings().tx(queue.index)); !programmed) return programmed;
  enable_transmit(card_);
  return flush_registers(card_);
}

Result<void> E1000ePort::quiesce() {
  auto quiet = e1000e::quiesce(card_, [this] { return queues()->transmit_finished(); });
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) {
    queues()->tx(queue)->note_head(card_.regs.read<reg::TDH>(queue).raw());
  }
  return quiet;
}

// Linux, netdev.c, e1000e_check_82574_phy_workaround: a PHY that two looks have found to hang is reset.
Result<void> E1000ePort::watch_phy() {
  const Time now = card_.clock().now();
  if (!running() || !settings().phy_enabled || now < next_look_) return {};
  next_look_ = now + kPhyInterval;
  const auto hangs = phy_hangs(card_);
  phy_hung_ = hangs && *hangs ? phy_hung_ + 1 : 0;
  if (phy_hung_ < 2) return {};
  phy_hung_ = 0;
  card_.log(LogLevel::warning, "the PHY hangs; resetting it");
  if (auto started = start_link(card_, link_setup(settings())); !started) return started;
  return apply_link_settings(nullptr, settings());
}

Result<Duration> E1000ePort::service() {
  if (!card_.asleep && card_.regs.removed()) return fail_removed(card_.name);
  if (auto healthy = check_device(*device_); !healthy) return pass_on(std::move(healthy));
  if (card_.asleep) return gigabit::CardStatistics::kUpdateInterval;
  if (running()) acknowledge_interrupts(card_, *queues());
  if (auto watched = watch_phy(); !watched && card_.regs.removed()) return pass_on(std::move(watched));
  settle_flow_control(link());
  statistics_.accumulate();
  return gigabit::CardStatistics::kUpdateInterval;
}

std::vector<RegisterValue> E1000ePort::registers() {
  if (!gigabit::expect_open(card_)) return {};
  return dump_registers(card_.regs.bar(), hw::e1000e::kRegisters, {});
}

// What the card has and no capability shows. QEMU's card stamps no frame (e1000e_wrn_no_ts_support), and no other one
// judges the driver.
std::vector<PortFact> E1000ePort::facts() {
  if (!gigabit::expect_open(card_)) return {};
  return {{"NVM", nvm_is_flash(card_) ? "flash" : "EEPROM"}, {"not driven", "time stamps, loopback, forward paths"}};
}

intel::CountedFrames E1000ePort::counted_frames() { return {.all = statistics_.counted_frames().first, .dropped = {}}; }

bool E1000ePort::is_same_card(const PciIdentity& other) const noexcept {
  return hw::e1000e::find_card(other) == card_.traits;
}

// PBA holds KiB for receiving; a reset writes it (reset_card).
std::uint32_t E1000ePort::receive_buffer(const Settings& /*settings*/) const {
  return card_.regs.bar() ? card_.regs.read<reg::PBA>().get(reg::PBA::RX) * 1024 : 0;
}

}  // namespace pollux::drivers::e1000e
