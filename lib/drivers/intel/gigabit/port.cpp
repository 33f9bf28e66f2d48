// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/port.hpp"

#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "device/power_state.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/addresses.hpp"
#include "drivers/intel/gigabit/control.hpp"
#include "drivers/intel/gigabit/nvm.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/gigabit/wake.hpp"

namespace pollux::drivers::gigabit {

GigabitPort::GigabitPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device>&& device, PortInfo info,
                         const intel::TxFormat& format, std::span<const CardCounter> counters,
                         const std::shared_ptr<std::pmr::memory_resource>& memory)
    : QueuePort(std::move(context), std::move(info), format, memory),
      device_(std::move(device)),
      statistics_(counters),
      identity_(device_->identity()) {}

std::vector<CapabilityEntry> GigabitPort::family_capabilities() {
  return {offer<LinkControl>(*this), offer<PhyRegisters>(*this), offer<FlowControl>(*this), offer<WakeOnLan>(*this),
          offer<SelfTest>(*this)};
}

void GigabitPort::clear_filters() { clear_addresses(card()); }

Result<void> GigabitPort::take_card() {
  auto bar = intel::map_and_reset(*device_, reg::kRegisterBar, reg::kRegisterBytes);
  if (!bar) return pass_on(std::move(bar));
  card().regs = reg::Registers(*bar);
  if (card().regs.removed()) return fail_removed(card().name);
  if (auto done = reset(); !done) return done;
  if (card().family.has_link_mode) {
    if (auto mode = check_link_mode(card()); !mode) return mode;
  }
  if (auto nvm = check_nvm(card()); !nvm) return nvm;
  auto mac = gigabit::permanent_mac(card());
  if (!mac) return pass_on(std::move(mac));
  permanent_mac_ = *mac;
  announce(true);
  attach_counters();
  return {};
}

Result<void> GigabitPort::halt() {
  if (!has_card_) {
    dma_ended_ = true;  // of this program's memory
    return {};
  }
  mask_interrupts();
  auto ended = end_dma();
  statistics_.accumulate();
  return ended;
}

Result<void> GigabitPort::end_dma() {
  auto quiet = quiesce();
  if (!quiet && quiet.error().code == ErrorCode::timeout) {
    card().log(LogLevel::warning, quiet.error().what + "; turning bus mastering off and resetting the function");
    statistics_.accumulate();  // the reset clears the counters
    before_reset();
    quiet = force_off_bus(card());
  } else if (quiet) {
    quiet = device_->set_bus_master(false);
  }
  dma_ended_ = quiet.has_value();
  return quiet;
}

std::uint32_t GigabitPort::drain(DrainReason reason) noexcept {
  const std::uint32_t buffers = QueuePort::drain(reason);
  statistics_.end_receive(queues()->taken());
  return buffers;
}

Stats GigabitPort::stats() {
  Stats stats = QueuedPort::stats();
  statistics_.fill(stats);
  return stats;
}

std::vector<int> GigabitPort::events() const { return device_events(device_.get(), queues()->other_event()); }

bool GigabitPort::may_transmit() const {
  const auto status = card().regs.read<reg::STATUS>();
  return !status.all_ones() && status.has(reg::STATUS::LU) && !status.has(reg::STATUS::TXOFF);
}

Result<WakeEvents> GigabitPort::wake_support() {
  const auto wakes = may_wake(card());
  if (!wakes) return tl::unexpected<Error>(wakes.error());
  return *wakes ? WakeEvents{true, true, true, true, true} : WakeEvents{};
}

Result<void> GigabitPort::check_wake(const Settings& from, const Settings& to) const {
  if (to.wake == from.wake || !to.wake.any()) return {};
  auto wakes = may_wake(card());
  if (!wakes) return pass_on(std::move(wakes));
  if (*wakes) return {};
  return fail(ErrorCode::not_supported, fmt::format("{}: this port of the card cannot wake the machine", card().name),
              "use the card's first port; the NVM says whether the second one is wired to wake");
}

Result<void> GigabitPort::arm_wake() {
  if (!settings().wake.any()) return {};
  clear_filters();
  return gigabit::arm_wake(card(), settings().wake, mac_of(settings()), settings().link);
}

// Linux, igb_main.c, __igb_shutdown: arms the wake-up, or powers the PHY down (igb_power_down_link, which leaves the
// PHY to a management controller that receives by it), then hands the card to the firmware. Virtual functions were told
// by `halt`. e1000e, netdev.c, __e1000_shutdown, does the same.
Result<void> GigabitPort::suspend() {
  statistics_.accumulate();
  before_reset();
  if (auto done = reset(); !done) return done;
  restore();
  if (settings().wake.any()) {
    if (auto armed = arm_wake(); !armed) return armed;
  } else if (card().family.features.link_control && !read_with_retry<reg::MANC>(card()).has(reg::MANC::RCV_TCO_EN)) {
    if (auto stopped = stop_phy(card()); !stopped) return stopped;
  }
  announce(false);
  if (auto flushed = flush_registers(card()); !flushed) return flushed;
  return enter_low_power();
}

// An access to a register in D3hot raises SIGBUS over VFIO (Linux, vfio_pci_core.c, __vfio_pci_memory_enabled). So
// nothing has a window of registers meanwhile. VFIO does not put a card into D3hot whose functions are enabled
// (vfio_pci_set_power_state). Where the platform has another reason, the card waits in D0, as in Linux
// (drivers/pci/pci.c, pci_set_low_power_state).
Result<void> GigabitPort::enter_low_power() {
  statistics_.detach();
  queues()->detach_interrupts();
  card().regs = {};
  card().asleep = true;
  if (auto off = device_->set_bus_master(false); !off) return off;
  if (device_->functions() != 0) return {};
  auto entered = enter_d3hot(*device_, card().clock(), settings().wake.any());
  if (entered || entered.error().code != ErrorCode::device_fault) return entered;
  card().log(LogLevel::warning, entered.error().what + "; it waits in D0");
  return {};
}

Result<void> GigabitPort::wake_up() {
  if (auto awake = enter_d0(*device_, card().clock()); !awake) return awake;
  auto bar = device_->bar(reg::kRegisterBar);
  if (!bar) return pass_on(std::move(bar));
  card().regs = reg::Registers(*bar);
  card().asleep = false;
  return {};
}

// Linux, igb_main.c, igb_resume: D0, a reset, WUC is cleared (igb_reset), and so is WUS. A start resets the card again.
Result<void> GigabitPort::resume() {
  if (auto healthy = check_device(*device_); !healthy) return healthy;
  if (auto awake = wake_up(); !awake) return awake;
  if (card().regs.removed()) return fail_removed(card().name);
  if (auto done = reset(); !done) return done;
  card().regs.write<reg::WUC>({});
  card().regs.write<reg::WUFC>({});
  card().regs.write<reg::WUS>(reg::WUS::Value(~0U));
  announce(true);
  attach_counters();
  return apply(nullptr, settings());
}

Result<void> GigabitPort::check_same_card(const Device& device) const {
  const PciIdentity other = device.identity();
  if (is_same_card(other)) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} is another card ({:04x}:{:04x}) than the port's ({:04x}:{:04x})", card().name,
                          device.name(), other.vendor, other.device, identity_.vendor, identity_.device),
              "attach a card of the same kind, or open a port for this one");
}

// Those settings that concern running queues are written by the start that may follow.
Result<void> GigabitPort::attach(std::unique_ptr<Device> device) {
  if (auto same = check_same_card(*device); !same) return same;
  device_ = std::move(device);
  card().device = device_.get();
  dma_ended_ = true;
  auto up = bring_up();
  if (up) up = attached();
  if (up) up = apply(nullptr, settings());
  if (!up) {
    static_cast<void>(release(true));
    return up;
  }
  return {};
}

bool GigabitPort::make_harmless() {
  if (dma_ended_ || !card().regs.bar() || card().regs.removed()) return true;
  before_reset();
  return force_off_bus(card()).has_value();
}

// The kernel's driver will reset the card again. Firmware must learn that this driver no longer uses it.
Result<void> GigabitPort::release(bool failed) {
  Result<void> result;
  if (card().asleep) {
    if (auto awake = wake_up(); !awake && !std::exchange(failed, true)) result = awake;
  }
  if (has_card_) {
    statistics_.accumulate();
    before_reset();
  }
  card().asleep = false;
  if (!failed && has_card_) {
    result = reset();
    if (result) {
      restore();
      result = arm_wake();
      announce(false);
    }
    card().regs.bar().flush();
  }
  statistics_.detach();
  card().regs = {};
  queues()->detach_interrupts();
  device_.reset();
  card().device = nullptr;
  return result;
}

}  // namespace pollux::drivers::gigabit
