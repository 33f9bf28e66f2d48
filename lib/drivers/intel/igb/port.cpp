// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/port.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "device/power_state.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/nvm.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "drivers/intel/igb/wake.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "net/new_port.hpp"

namespace pollux::drivers::igb {
namespace {

bool frames_may_wait(const PlacedQueues& config) {
  return std::any_of(config.rx.begin(), config.rx.end(), [](const PlacedRxQueue& queue) { return !queue.drops; });
}

PortInfo describe(Device& device, const hw::igb::CardTraits& card, std::uint16_t index) {
  PortLimits limits = intel::queue_limits(card.queues, max_mtu(card));
  limits.max_rx_frame = card.max_frame - kFcsBytes;
  limits.packet_buffers = packet_buffer_limits(card);
  limits.max_unicast = card.exact_addresses - 1;
  limits.max_multicast = 32 * reg::kMulticastTableWords;  // bits of MTA, and so the hashes that it can tell apart
  limits.max_pools = card.pools;
  limits.rss_table = reg::kRedirectionEntries;
  limits.rss_types = RssTypes::kAll;
  limits.max_tx_rate = card.fastest_link;
  limits.link_modes = gigabit::kPhyModes;
  limits.clock = clock_limits(card.clock);
  PortInfo info = intel::describe_port(device, "igb", card.name, card.features, index, limits);
  info.supports = supported_settings(device, card);
  info.missed_count = card.features.counts_all_missed ? MissedCount::exact : MissedCount::lower_bound;
  info.offloads.rx_flags |= RxOffload::sctp_checksum | RxOffload::vlan | RxOffload::timestamp;
  info.offloads.tx_flags |= TxOffload::timestamp;
  info.offloads.segments_tunnels = card.features.segments_tunnels;
  return info;
}

}  // namespace

IgbPort::IgbPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device,
                 const hw::igb::CardTraits& traits, std::uint16_t index)
    : QueuePort(context, describe(*device, traits, index)),
      device_(std::move(device)),
      card_{{{.regs = {}, .context = std::move(context), .name = device_->name()}, family_of(traits), device_.get()},
            &traits},
      identity_(device_->identity()) {
  queues()->allow_sleeping(device_->interrupt_vectors());
}

Result<std::unique_ptr<PortDriver>> IgbPort::open(const std::shared_ptr<ContextState>& context,
                                                  const hw::igb::CardTraits& traits, std::unique_ptr<Device> device) {
  const auto make = [&](std::uint16_t index) {
    return std::unique_ptr<IgbPort>(new IgbPort(context, std::move(device), traits, index));
  };
  return new_port(*context, device->name(), make, [](IgbPort& port) {
    auto up = port.bring_up();
    return up ? port.functions_.adopt() : up;
  });
}

// A backend may keep the functions while no process has the card open.
void IgbPort::add_initial(Settings& settings) const {
  if (settings.functions.empty()) settings.functions.resize(device_->functions());
}

intel::QueueRegisters IgbPort::queue_window() const {
  return {.bar = card_.regs.bar(),
          .rdh = reg::RDH::offset(card_.first_queue),
          .rdt = reg::RDT::offset(card_.first_queue),
          .tdt = reg::TDT::offset(card_.first_queue),
          .stride = reg::RDT::offset(1) - reg::RDT::offset(0)};
}

Result<void> IgbPort::bring_up() {
  auto bar = intel::map_and_reset(*device_, reg::kRegisterBar, reg::kRegisterBytes);
  if (!bar) return pass_on(std::move(bar));
  card_.regs = hw::igb::Registers(*bar);
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (auto reset = reset_card(card_); !reset) return reset;
  if (auto mode = check_link_mode(card_); !mode) return mode;
  if (auto nvm = check_nvm(card_); !nvm) return nvm;
  auto mac = gigabit::permanent_mac(card_);
  if (!mac) return pass_on(std::move(mac));
  permanent_mac_ = *mac;
  announce_driver(card_, true);
  statistics_.attach(card_.regs, *card_.traits);
  list_capabilities();
  exchange_registers(queue_window());
  return flush_registers(card_);
}

// Every start begins with a reset, since only a reset undoes the end of DMA. The order follows Linux, igb_main.c,
// igb_reset, then igb_configure. The link is started first, since it takes longest.
Result<void> IgbPort::start() {
  statistics_.accumulate();
  clock_.suspend();
  if (auto reset = reset_card(card_); !reset) return reset;
  functions_.note_counters();  // the reset has cleared them
  announce_driver(card_, true);
  if (auto link = start_link(card_, link_setup(settings())); !link) return link;
  tx_rates_.forget();
  packet_buffers_.write(settings().packet_buffers);
  statistics_.discard();
  // Linux, igb_main.c, igb_cache_ring_register: the first queues belong to the functions.
  card_.first_queue = functions_.count();
  exchange_registers(queue_window());
  statistics_.use_queues(card_.first_queue, functions_.enabled() ? 1 : card_.traits->queues);
  // The frames of virtual functions are among those that the card counts, and not among those delivered to the port.
  if (!functions_.enabled()) {
    statistics_.begin_receive(queues()->taken(), frames_may_wait(config()),
                              [this] { return queues()->delivered(queue_registers(), card_.clock()); });
  }
  enable_interrupts(card_, *queues(), config().rx_queues());
  dma_ended_ = false;
  if (auto mastering = device_->set_bus_master(true); !mastering) return mastering;
  if (auto transmit = start_transmit(card_, config(), rings()); !transmit) return transmit;
  if (auto receive = program_receive(card_, config(), rings()); !receive) return receive;
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  if (auto receive = wait_receive(card_, config()); !receive) return receive;
  if (auto armed = arm_rx_rings(card_, *queues(), config().rx_queues()); !armed) return armed;
  functions_.announce();
  return flush_registers(card_);
}

Result<void> IgbPort::halt_queue(QueueId queue) {
  return intel::halt_queue(card_, queue, *queues(), card_.regs.read<reg::STATUS>().has(reg::STATUS::LU));
}

Result<void> IgbPort::start_queue(QueueId queue) {
  if (queue.receives() && !config().rx[queue.index].drops) statistics_.frames_may_wait();
  write_split_types(card_, config());
  return intel::start_queue(card_, queue, *queues(), rings(), config());
}

Result<void> IgbPort::halt() {
  functions_.stop();
  mask_interrupts(card_);
  auto ended = end_dma();
  statistics_.accumulate();
  return ended;
}

Result<void> IgbPort::end_dma() {
  auto quiet =
      quiesce(card_, config().rx_queues(), config().tx_queues(), [this] { return queues()->transmit_finished(); });
  note_heads(card_, *queues(), config().tx_queues());
  if (!quiet && quiet.error().code == ErrorCode::timeout) {
    card_.log(LogLevel::warning, quiet.error().what + "; turning bus mastering off and resetting the function");
    statistics_.accumulate();  // the reset clears the counters
    clock_.suspend();
    quiet = force_off_bus(card_);
  } else if (quiet) {
    quiet = device_->set_bus_master(false);
  }
  dma_ended_ = quiet.has_value();
  return quiet;
}

std::uint32_t IgbPort::drain(DrainReason reason) noexcept {
  const std::uint32_t buffers = QueuePort::drain(reason);
  statistics_.end_receive(queues()->taken());
  return buffers;
}

// Linux, igb_main.c, __igb_shutdown: arms the wake-up, or powers the PHY down (igb_power_down_link, which leaves the
// PHY to a management controller that receives by it), then hands the card to the firmware. The functions were told by
// `halt`.
Result<void> IgbPort::suspend() {
  statistics_.accumulate();
  clock_.suspend();
  if (auto reset = reset_card(card_); !reset) return reset;
  packet_buffers_.restore();
  if (settings().wake.any()) {
    if (auto armed = arm_wake(card_, settings().wake, mac_of(settings()), settings().link); !armed) return armed;
  } else if (card_.traits->features.link_control && !read_with_retry<reg::MANC>(card_).has(reg::MANC::RCV_TCO_EN)) {
    if (auto stopped = stop_phy(card_); !stopped) return stopped;
  }
  announce_driver(card_, false);
  if (auto flushed = flush_registers(card_); !flushed) return flushed;
  return enter_low_power();
}

// An access to a register in D3hot raises SIGBUS over VFIO (Linux, vfio_pci_core.c, __vfio_pci_memory_enabled). So
// nothing has a window of registers meanwhile. VFIO does not put a card into D3hot whose functions are enabled
// (vfio_pci_set_power_state). Where the platform has another reason, the card waits in D0, as in Linux
// (drivers/pci/pci.c, pci_set_low_power_state).
Result<void> IgbPort::enter_low_power() {
  statistics_.detach();
  queues()->detach_interrupts();
  card_.regs = {};
  card_.asleep = true;
  if (auto off = device_->set_bus_master(false); !off) return off;
  if (device_->functions() != 0) return {};
  auto entered = enter_d3hot(*device_, card_.clock(), settings().wake.any());
  if (entered || entered.error().code != ErrorCode::device_fault) return entered;
  card_.log(LogLevel::warning, entered.error().what + "; it waits in D0");
  return {};
}

Result<void> IgbPort::wake_up() {
  if (auto awake = enter_d0(*device_, card_.clock()); !awake) return awake;
  auto bar = device_->bar(reg::kRegisterBar);
  if (!bar) return pass_on(std::move(bar));
  card_.regs = hw::igb::Registers(*bar);
  card_.asleep = false;
  return {};
}

// Linux, igb_main.c, igb_resume: D0, a reset, WUC is cleared (igb_reset), and so is WUS. A start resets the card again.
Result<void> IgbPort::resume() {
  if (auto healthy = check_device(*device_); !healthy) return healthy;
  if (auto awake = wake_up(); !awake) return awake;
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (auto reset = reset_card(card_); !reset) return reset;
  card_.regs.write<reg::WUC>({});
  card_.regs.write<reg::WUFC>({});
  card_.regs.write<reg::WUS>(reg::WUS::Value(~0U));
  announce_driver(card_, true);
  statistics_.attach(card_.regs, *card_.traits);
  return apply(nullptr, settings());
}

Result<void> IgbPort::check_same_card(const Device& device) const {
  const PciIdentity other = device.identity();
  if (hw::igb::find_card(other) == hw::igb::find_card(identity_)) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} is another card ({:04x}:{:04x}) than the port's ({:04x}:{:04x})", card_.name,
                          device.name(), other.vendor, other.device, identity_.vendor, identity_.device),
              "attach a card of the same kind, or open a port for this one");
}

// Those settings that concern running queues are written by the start that may follow.
Result<void> IgbPort::attach(std::unique_ptr<Device> device) {
  if (auto same = check_same_card(*device); !same) return same;
  device_ = std::move(device);
  card_.device = device_.get();
  dma_ended_ = true;
  auto up = bring_up();
  if (up) up = functions_.attach();
  if (up) up = apply(nullptr, settings());
  if (!up) {
    static_cast<void>(release(true));
    return up;
  }
  return {};
}

bool IgbPort::make_harmless() {
  if (dma_ended_ || !card_.regs.bar() || card_.regs.removed()) return true;
  return force_off_bus(card_).has_value();
}

// The kernel's driver will reset the card again. Firmware must learn that this driver no longer uses it.
Result<void> IgbPort::release(bool failed) {
  Result<void> result;
  if (card_.asleep) {
    if (auto awake = wake_up(); !awake && !std::exchange(failed, true)) result = awake;
  }
  statistics_.accumulate();
  clock_.suspend();
  card_.asleep = false;
  if (!failed) {
    result = reset_card(card_);
    if (result) {
      packet_buffers_.restore();
      result = arm_wake(card_, settings().wake, mac_of(settings()), settings().link);
      announce_driver(card_, false);
    }
    card_.regs.bar().flush();
  }
  statistics_.detach();
  card_.regs = {};
  queues()->detach_interrupts();
  device_.reset();
  card_.device = nullptr;
  return result;
}

}  // namespace pollux::drivers::igb
