// SPDX-License-Identifier: BSD-3-Clause
#include "device/power_state.hpp"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "device/capability_list.hpp"

namespace pollux {
namespace {

/// PCI Power Management 1.2, 5.6.1: no access to the device so soon after a change from or to D3hot. Linux,
/// drivers/pci/pci.c, pci_dev_d3_sleep.
constexpr Duration kTransitionTime = std::chrono::milliseconds(10);
constexpr Duration kD0Limit = std::chrono::milliseconds(100);
constexpr std::uint32_t kRemoved = 0xFFFF;
constexpr std::uint32_t kD3hot = 3;
// The name of this bit differs between versions of the kernel's header.
constexpr std::uint32_t kWakesFromD3hot = 0x4000;

Result<std::uint32_t> read_register(Device& device, std::uint32_t at) {
  auto value = device.read_config(at, 2);
  if (!value || *value != kRemoved) return value;
  return fail(ErrorCode::device_removed, fmt::format("{}: the card was removed: it has no power state", device.name()),
              "close the port; if the card is still in its slot, reset the slot and open it again");
}

// A removed device reads all ones, which looks like a list without the capability.
Result<std::optional<std::uint32_t>> find_power_management(Device& device) {
  if (auto status = read_register(device, PCI_STATUS); !status) return pass_on(std::move(status));
  return find_capability(PCI_CAP_ID_PM,
                         [&device](std::uint32_t offset, unsigned width) { return device.read_config(offset, width); });
}

std::uint32_t state_of(std::uint32_t control) noexcept { return control & PCI_PM_CTRL_STATE_MASK; }

/// The control register for another state: no PME#, and none that is pending (PME_Status is cleared by writing 1).
std::uint32_t with_state(std::uint32_t control, std::uint32_t state) noexcept {
  constexpr std::uint32_t kChanged = PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE;
  return (control & ~kChanged) | state | PCI_PM_CTRL_PME_STATUS;
}

}  // namespace

// Linux, drivers/pci/pci.c, pci_set_low_power_state and __pci_pme_active.
Result<void> enter_d3hot(Device& device, Clock& clock, bool wake) {
  const auto capability = find_power_management(device);
  if (!capability) return tl::unexpected<Error>(capability.error());
  if (!*capability) return {};
  const std::uint32_t at = **capability + PCI_PM_CTRL;
  const auto abilities = read_register(device, **capability + PCI_PM_PMC);
  if (!abilities) return tl::unexpected<Error>(abilities.error());
  const auto control = read_register(device, at);
  if (!control) return tl::unexpected<Error>(control.error());
  const bool signals = wake && (*abilities & kWakesFromD3hot) != 0;
  const std::uint32_t wanted = with_state(*control, kD3hot) | (signals ? PCI_PM_CTRL_PME_ENABLE : 0U);
  if (auto written = device.write_config(at, 2, wanted); !written) return written;
  clock.sleep_for(kTransitionTime);
  const auto reached = read_register(device, at);
  if (!reached) return tl::unexpected<Error>(reached.error());
  if (state_of(*reached) == kD3hot) return {};
  return fail(ErrorCode::device_fault, fmt::format("{}: the device does not enter power state D3hot", device.name()),
              "see dmesg: the platform may refuse that state");
}

Result<void> enter_d0(Device& device, Clock& clock) {
  const auto capability = find_power_management(device);
  if (!capability) return tl::unexpected<Error>(capability.error());
  if (!*capability) return {};
  const std::uint32_t at = **capability + PCI_PM_CTRL;
  const auto control = read_register(device, at);
  if (!control) return tl::unexpected<Error>(control.error());
  constexpr std::uint32_t kAsleepOrArmed = PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS;
  if ((*control & kAsleepOrArmed) == 0) return {};
  if (auto written = device.write_config(at, 2, with_state(*control, 0)); !written) return written;
  if (state_of(*control) == 0) return {};
  clock.sleep_for(kTransitionTime);
  auto awake = wait_until(clock, device.name() + ": power state D0", kD0Limit, [&] {
    const auto now = device.read_config(at, 2);
    return now && state_of(*now) == 0;
  });
  if (awake) return {};
  if (const auto last = read_register(device, at); !last) return tl::unexpected<Error>(last.error());
  return awake;
}

}  // namespace pollux
