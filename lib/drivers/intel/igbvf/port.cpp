// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/port.hpp"

#include <utility>

#include <fmt/format.h>

#include "drivers/intel/common/ring_setup.hpp"
#include "net/frame_size.hpp"
#include "net/new_port.hpp"
#include "net/port_identity.hpp"

namespace pollux::drivers::igbvf {
namespace {

/// Linux igbvf, netdev.c, igbvf_down, waits this long after it has disabled the queues.
constexpr Duration kDisableDelay = milliseconds(10);

constexpr std::uint32_t kMailboxVector = 0;

// Missed frames are a lower bound: those without a descriptor are counted in 12 bits, and those that found the packet
// buffer full are counted for the physical function only.
PortInfo describe(const Device& device, const hw::igbvf::CardTraits& card, std::uint16_t index) {
  PortLimits limits = intel::queue_limits(card.queues, card.max_frame - wire_bytes(0));
  limits.max_multicast = hw::igbvf::kMaxMulticast;
  limits.max_header = 0;  // the physical function decides for all (PSRTYPE, and RCTL.SECRC and SBP)
  // Linux igbvf, netdev.c, igbvf_setup_srrctl: frames that waited for a descriptor would block the other functions.
  limits.drop_enable = DropChoice::always;
  PortInfo info = intel::describe_port(device, "igbvf", card.name, card.features, index, limits);
  info.supports = supported_settings(device);
  info.missed_count = MissedCount::lower_bound;
  return info;
}

template <class R>
constexpr std::uint32_t offset_of() {
  return reg::Registers::Offsets::offset<R>(0);
}

// [I-VFMAILBOX] Linux igbvf, netdev.c, igbvf_configure_msix and igbvf_assign_vector. Vector 0 is the mailbox's: the
// physical function sends a message when its link changes and when it is reset (Linux igb, igb_main.c,
// igb_ping_all_vfs). It stays unmasked. Whether a message masks a queue's vector (GPIE.EIAME) is for the physical
// function's driver to say; Linux igb says yes.
void enable_interrupts(const IgbvfCard& card, Device& device, intel::QueueSet& queues, std::uint32_t count) {
  const intel::MaskRegisters masks{.bar = card.regs.bar(),
                                   .unmask = offset_of<reg::EIMS>(),
                                   .mask = offset_of<reg::EIMC>(),
                                   .moderation = offset_of<reg::EITR>()};
  intel::QueueInterrupts* const interrupts = intel::enable_vectors(card, device, masks, queues, count);
  if (interrupts == nullptr) return;
  card.regs.write<reg::EIAC>(reg::EIAC::Value(interrupts->bits()));
  const std::uint32_t mailbox = interrupts->has_other() ? 1U << kMailboxVector : 0;
  card.regs.write<reg::EIAM>(reg::EIAM::Value(interrupts->bits() & ~mailbox));
  card.regs.write<reg::VTIVAR>(reg::VTIVAR::RX0(interrupts->vector_of(0)) | reg::VTIVAR::RX0_VALID);
  if (mailbox == 0) return;
  card.regs.write<reg::VTIVAR_MISC>(reg::VTIVAR_MISC::MAILBOX(kMailboxVector) | reg::VTIVAR_MISC::MAILBOX_VALID);
  card.regs.write<reg::EIMS>(reg::EIMS::Value(mailbox));
}

}  // namespace

IgbvfPort::IgbvfPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device,
                     const hw::igbvf::CardTraits& traits, std::uint16_t index)
    : QueuePort(context, describe(*device, traits, index)),
      device_(std::move(device)),
      traits_(traits),
      card_{.regs = {}, .context = std::move(context), .name = device_->name()} {
  queues()->allow_sleeping(device_->interrupt_vectors());
}

Result<std::unique_ptr<PortDriver>> IgbvfPort::open(const std::shared_ptr<ContextState>& context,
                                                    const hw::igbvf::CardTraits& traits,
                                                    std::unique_ptr<Device> device) {
  const auto make = [&](std::uint16_t index) {
    return std::unique_ptr<IgbvfPort>(new IgbvfPort(context, std::move(device), traits, index));
  };
  return new_port(*context, device->name(), make, [](IgbvfPort& port) { return port.bring_up(); });
}

Result<void> IgbvfPort::bring_up() {
  auto bar = intel::map_and_reset(*device_, reg::kRegisterBar, reg::kRegisterBytes);
  if (!bar) return pass_on(std::move(bar));
  card_.regs = reg::Registers(*bar);
  if (card_.regs.removed()) {
    return fail(ErrorCode::device_removed,
                fmt::format("{}: no such virtual function: its registers read all ones", card_.name),
                "have the physical port enable it (Settings::functions); if it was removed, reset its slot");
  }
  auto mac = reset_function(card_, mailbox_);
  if (!mac) return pass_on(std::move(mac));
  granted_ = {.mac = mac->value_or(MacAddress{}), .multicast = {}, .vlans = {}};
  if (is_station_address(granted_.mac)) {
    permanent_mac_ = granted_.mac;
  } else if (!is_station_address(permanent_mac_)) {  // else another device had one before
    permanent_mac_ = random_station_address();
  }
  statistics_.attach(card_.regs);
  use_registers({.bar = *bar,
                 .rdh = offset_of<hw::intel::RDH>(),
                 .rdt = offset_of<hw::intel::RDT>(),
                 .tdt = offset_of<hw::intel::TDT>(),
                 .stride = hw::intel::RDT::kRegisterAlias.bytes});
  return flush_registers(card_);
}

// Every start begins with a reset. The physical function then forgets all earlier requests, so they are repeated.
Result<void> IgbvfPort::start() {
  auto mac = reset_function(card_, mailbox_);
  if (!mac) return pass_on(std::move(mac));
  was_reset_ = false;
  granted_ = {.mac = mac->value_or(MacAddress{}), .multicast = {}, .vlans = {}};
  enable_interrupts(card_, *device_, *queues(), config().rx_queues());
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  dma_ended_ = false;
  if (auto mastering = device_->set_bus_master(true); !mastering) return mastering;
  return start_queues();
}

Result<void> IgbvfPort::start_queues() {
  for (std::uint32_t queue = 0; queue < config().tx_queues(); ++queue) {
    if (auto programmed = program_tx_ring(card_, queue, rings().tx(queue), intel::tx_thresholds(config().tx[queue]));
        !programmed)
      return programmed;
    if (auto enabled = wait_tx_enabled(card_, queue); !enabled) return enabled;
  }
  for (std::uint32_t queue = 0; queue < config().rx_queues(); ++queue) {
    auto programmed = program_rx_ring(card_, queue, rings().rx(queue), intel::rx_format(config().rx[queue]));
    if (!programmed) return programmed;
    if (auto enabled = wait_rx_enabled(card_, queue); !enabled) return enabled;
  }
  if (auto armed = arm_rx_rings(card_, *queues(), config().rx_queues()); !armed) return armed;
  return flush_registers(card_);
}

Result<void> IgbvfPort::halt_queue(QueueId queue) {
  return intel::halt_queue(card_, queue, *queues(), link().up && !was_reset_);
}

Result<void> IgbvfPort::start_queue(QueueId queue) {
  return intel::start_queue(card_, queue, *queues(), rings(), config());
}

// [I-VFHALT] A function cannot disable mastering at the card. Its reset stops its queues, and clearing bus mastering in
// its configuration space stops everything else.
Result<void> IgbvfPort::halt() {
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (link().up && !was_reset_) {
    wait_for_transmit(card_, [this] { return queues()->transmit_finished(); });
  }
  intel::disable_queues(card_, config().rx_queues(), config().tx_queues());
  card_.clock().sleep_for(kDisableDelay);
  note_heads(card_, *queues(), config().tx_queues());
  statistics_.accumulate();
  card_.regs.write<reg::CTRL>(reg::CTRL::RST);
  if (auto settled = flush_registers(card_); !settled) return settled;
  if (auto off = device_->set_bus_master(false); !off) return off;
  dma_ended_ = true;
  return {};
}

// The settings are requested by the start that may follow.
Result<void> IgbvfPort::attach(std::unique_ptr<Device> device) {
  const PciIdentity other = device->identity();
  if (hw::igbvf::find_card(other) != &traits_) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: {} ({:04x}:{:04x}) is another card than the port's {}", card_.name, device->name(),
                            other.vendor, other.device, traits_.name),
                "attach a card of the same kind, or open a port for this device");
  }
  device_ = std::move(device);
  dma_ended_ = true;
  was_reset_ = false;
  if (auto up = bring_up(); !up) {
    static_cast<void>(release(true));
    return up;
  }
  exchange_registers(queue_registers());
  return {};
}

bool IgbvfPort::make_harmless() {
  if (dma_ended_ || !card_.regs.bar() || card_.regs.removed()) return true;
  return device_->reset().has_value();
}

Result<void> IgbvfPort::release(bool failed) {
  if (!failed) statistics_.accumulate();
  statistics_.detach();
  card_.regs = {};
  queues()->detach_interrupts();
  device_.reset();
  return {};
}

}  // namespace pollux::drivers::igbvf
