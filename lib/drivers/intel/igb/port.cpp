// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/port.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "net/new_port.hpp"

namespace pollux::drivers::igb {
namespace {

bool frames_may_wait(const PlacedQueues& config) {
  return std::any_of(config.rx.begin(), config.rx.end(), [](const PlacedRxQueue& queue) { return !queue.drops; });
}

PortInfo port_info(Device& device, const hw::igb::CardTraits& card, std::uint16_t index) {
  PortLimits limits = intel::queue_limits(card.queues, max_mtu(card));
  limits.max_rx_frame = card.max_frame - kFcsBytes;
  limits.packet_buffers = packet_buffer_limits(card);
  limits.max_unicast = card.exact_addresses - 1;
  limits.max_multicast = 32 * reg::kMulticastTableWords;  // bits of MTA, and so the hashes that it can tell apart
  limits.max_pools = card.pools;
  limits.rss_table = reg::kRedirectionEntries;
  limits.rss_types = RssTypes::kAll;
  limits.max_tx_rate = card.rate_limits ? card.fastest_link : 0;
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
                 const hw::igb::CardTraits& traits, std::uint16_t index, KeptParts kept)
    : GigabitPort(context, std::move(device), port_info(*device, traits, index), intel::kAdvancedTx, kCardCounters,
                  intel::KeptQueues::memory(kept.queues)),
      kept_(std::move(kept)),
      card_{{{.regs = {}, .context = std::move(context), .name = device_->name()}, family_of(traits), device_.get()},
            &traits} {
  queues()->allow_sleeping(device_->interrupt_vectors());
}

Result<std::unique_ptr<PortDriver>> IgbPort::open(const std::shared_ptr<ContextState>& context,
                                                  const hw::igb::CardTraits& traits, std::unique_ptr<Device> device) {
  KeptParts kept = device->handover() != nullptr ? KeptParts(handover::claim(*context, device->name())) : KeptParts();
  const auto make = [&](std::uint16_t index) {
    return std::unique_ptr<IgbPort>(new IgbPort(context, std::move(device), traits, index, std::move(kept)));
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
  if (kept_.card != nullptr && kept_.card->record) {
    if (auto recovered = recover_card(); !recovered) return recovered;
  } else if (auto taken = is_shared() ? share_card() : take_card(); !taken) {
    return taken;
  }
  list_capabilities();
  exchange_registers(queue_window());
  return flush_registers(card_);
}

Result<void> IgbPort::attached() { return functions_.attach(); }

bool IgbPort::is_same_card(const PciIdentity& other) const noexcept {
  return hw::igb::find_card(other) == card_.traits;
}

// Every start begins with a reset, since only a reset undoes the end of DMA. The order follows Linux, igb_main.c,
// igb_reset, then igb_configure. The link is started first, since it takes longest.
Result<void> IgbPort::start() {
  if (const auto from = find_taken(); from != nullptr) return take_over(from);
  if (kept_.card != nullptr) {
    const auto continued = continue_after_crash();
    if (!continued) return tl::unexpected<Error>(continued.error());
    if (*continued) return {};
  }
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
  begin_receive();
  enable_interrupts(card_, *queues(), config().rx_queues());
  dma_ended_ = false;
  if (auto mastering = device_->set_bus_master(true); !mastering) return mastering;
  if (auto transmit = start_transmit(card_, config(), rings()); !transmit) return transmit;
  if (auto receive = program_receive(card_, config(), rings()); !receive) return receive;
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  if (auto receive = wait_receive(card_, config()); !receive) return receive;
  if (auto armed = arm_rx_rings(card_, *queues(), config().rx_queues()); !armed) return armed;
  functions_.announce();
  if (auto flushed = flush_registers(card_); !flushed) return flushed;
  if (kept_.card != nullptr) begin_keeping();
  return {};
}

// The frames of virtual functions are among those that the card counts, and not among those delivered to the port.
void IgbPort::begin_receive(const gigabit::CardStatistics::Receiving* before) {
  statistics_.use_queues(card_.first_queue, functions_.enabled() ? 1 : card_.traits->queues);
  if (functions_.enabled()) return;
  const bool may_wait = frames_may_wait(config());
  const auto so_far = [this] { return queues()->delivered(queue_registers(), card_.clock()); };
  if (before != nullptr) return statistics_.go_on(*before, may_wait, so_far);
  statistics_.begin_receive(queues()->taken(), may_wait, so_far);
}

Result<void> IgbPort::halt_queue(QueueId queue) {
  if (kept_.is_running) kept_.card->memory.write_record({});
  return intel::halt_queue(card_, queue, *queues(), card_.regs.read<reg::STATUS>().has(reg::STATUS::LU));
}

Result<void> IgbPort::start_queue(QueueId queue) {
  if (queue.receives() && !config().rx[queue.index].drops) statistics_.frames_may_wait();
  write_split_types(card_, config());
  auto started = intel::start_queue(card_, queue, *queues(), rings(), config());
  if (started && kept_.is_running) {
    kept_.queues->set_started(queue, *queues(), true);
    record_kept(settings());
  }
  return started;
}

Result<void> IgbPort::halt() {
  if (has_card_) functions_.stop();
  end_keeping();
  return GigabitPort::halt();
}

Result<void> IgbPort::quiesce() {
  auto quiet =
      igb::quiesce(card_, config().rx_queues(), config().tx_queues(), [this] { return queues()->transmit_finished(); });
  note_heads(card_, *queues(), config().tx_queues());
  return quiet;
}

}  // namespace pollux::drivers::igb
