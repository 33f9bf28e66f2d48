// SPDX-License-Identifier: BSD-3-Clause
// The port's sleep, and the replacement of its card.
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "device/power_state.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/phy.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/wake.hpp"

namespace pollux::drivers::igb {

// Linux, igb_main.c, __igb_shutdown: arms the wake-up, or powers the PHY down (igb_power_down_link, which leaves the
// PHY to a management controller that receives by it), then hands the card to the firmware. The functions were told by
// `halt`.
Result<void> Port::suspend() {
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
  return fall_asleep();
}

// An access to a register in D3hot raises SIGBUS over VFIO (Linux, vfio_pci_core.c, __vfio_pci_memory_enabled). So
// nothing has a window of registers meanwhile. VFIO does not put a card into D3hot whose functions are enabled
// (vfio_pci_set_power_state). Where the platform has another reason, the card waits in D0, as in Linux
// (drivers/pci/pci.c, pci_set_low_power_state).
Result<void> Port::fall_asleep() {
  statistics_.detach();
  if (auto* const interrupts = queues()->interrupts()) interrupts->detach(*queues());
  card_.regs = {};
  card_.asleep = true;
  if (auto off = device_->set_bus_master(false); !off) return off;
  if (device_->functions() != 0) return {};
  auto entered = enter_d3hot(*device_, card_.clock(), settings().wake.any());
  if (entered || entered.error().code != ErrorCode::device_fault) return entered;
  card_.log(LogLevel::warning, entered.error().what + "; it waits in D0");
  return {};
}

Result<void> Port::wake_up() {
  if (auto awake = enter_d0(*device_, card_.clock()); !awake) return awake;
  auto bar = device_->bar(reg::kRegisterBar);
  if (!bar) return pass_on(std::move(bar));
  card_.regs = hw::igb::Registers(*bar);
  card_.asleep = false;
  return {};
}

// Linux, igb_main.c, igb_resume: D0, a reset, WUC is cleared (igb_reset), and so is WUS. A start resets the card again.
Result<void> Port::resume() {
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

Result<void> Port::check_same_card(const Device& device) const {
  const PciIdentity other = device.identity();
  if (hw::igb::find_card(other) == hw::igb::find_card(identity_)) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} is another card ({:04x}:{:04x}) than the port's ({:04x}:{:04x})", card_.name,
                          device.name(), other.vendor, other.device, identity_.vendor, identity_.device),
              "attach a card of the same kind, or open a port for this one");
}

// Those settings that concern running queues are written by the start that may follow.
Result<void> Port::attach(std::unique_ptr<Device> device) {
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

}  // namespace pollux::drivers::igb
