// SPDX-License-Identifier: BSD-3-Clause
// The port's sleep, and the replacement of its card.
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/common/device_events.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/phy.hpp"
#include "drivers/intel/igb/port.hpp"

namespace pollux::drivers::igb {

// Linux, igb_main.c, __igb_shutdown: arms the wake-up, or powers the PHY down (igb_power_down_link, which leaves the
// PHY to a management controller that receives by it), then hands the card to the firmware. The functions were told by
// `halt`. QEMU's PHY is never stopped (LinkSettings).
Result<void> Port::suspend() {
  statistics_.accumulate();
  clock_.suspend();
  if (auto reset = reset_card(card_); !reset) return reset;
  packet_buffers_.restore();
  if (wake_.wake_events().any()) {
    if (auto armed = wake_.arm(mac_, link_settings_.link_config()); !armed) return armed;
  } else if (!is_qemus_ && !read_with_retry<reg::MANC>(card_).has(reg::MANC::RCV_TCO_EN)) {
    if (auto stopped = stop_phy(card_); !stopped) return stopped;
  }
  announce_driver(card_, false);
  asleep_ = true;
  return flush_registers(card_);
}

// Linux, igb_main.c, igb_resume: a reset, WUC is cleared (igb_reset), and so is WUS. A start resets the card again.
Result<void> Port::resume() {
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (auto healthy = intel::check_device(*device_); !healthy) return healthy;
  if (auto reset = reset_card(card_); !reset) return reset;
  asleep_ = false;
  card_.regs.write<reg::WUC>({});
  card_.regs.write<reg::WUFC>({});
  card_.regs.write<reg::WUS>(reg::WUS::Value(~0U));
  announce_driver(card_, true);
  led_.start();
  clock_.resume();
  statistics_.discard();
  return flush_registers(card_);
}

Result<void> Port::check_same_card(const Device& device) const {
  const PciIdentity other = device.identity();
  if (other.vendor == identity_.vendor && other.device == identity_.device && is_qemus(other) == is_qemus_) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} is another card ({:04x}:{:04x}) than the port's ({:04x}:{:04x})", card_.name,
                          device.name(), other.vendor, other.device, identity_.vendor, identity_.device),
              "attach a card of the same kind, or open a port for this one");
}

// The settings are written by the start that may follow.
Result<void> Port::attach(std::unique_ptr<Device> device) {
  if (auto same = check_same_card(*device); !same) return same;
  device_ = std::move(device);
  card_.device = device_.get();
  dma_ended_ = true;
  auto up = bring_up([this] { return functions_.attach(); });
  if (!up) {
    static_cast<void>(release(true));
    return up;
  }
  clock_.resume();
  led_.start();
  exchange_registers(ring_registers());
  return {};
}

}  // namespace pollux::drivers::igb
