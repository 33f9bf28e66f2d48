// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/wake.hpp"

#include <array>

#include "drivers/intel/gigabit/addresses.hpp"
#include "drivers/intel/gigabit/control.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/nvm.hpp"
#include "hw/intel/gigabit/nvm.hpp"

namespace pollux::drivers::gigabit {
namespace {

/// For the negotiation of a link.
constexpr Duration kWakeLinkLimit = std::chrono::seconds(5);

reg::WUFC::Value filters_of(const WakeEvents& events) noexcept {
  reg::WUFC::Value filters;
  if (events.magic) filters = filters.with(reg::WUFC::MAG);
  if (events.unicast) filters = filters.with(reg::WUFC::EX);
  if (events.multicast) filters = filters.with(reg::WUFC::MC);
  if (events.broadcast) filters = filters.with(reg::WUFC::BC);
  if (events.link_change) filters = filters.with(reg::WUFC::LNKC);
  return filters;
}

}  // namespace

// [I-WAKE] Linux, igb_main.c, igb_probe: the first port wakes, the second if its NVM word says so, others do not.
Result<bool> may_wake(const GigabitCard& card) {
  if (auto present = expect_present(card); !present) return pass_on(std::move(present));
  const std::uint32_t port = card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID);
  const hw::gigabit::nvm::NvmTraits& nvm = card.family.nvm;
  if (port == 0 || (port != 1 && nvm.sections == 1)) return port == 0;
  const auto at = static_cast<std::uint16_t>(nvm.sections == 1 ? hw::gigabit::nvm::kInitControl3Port1
                                                               : hw::gigabit::nvm::section_of(nvm, port) +
                                                                     hw::gigabit::nvm::kInitControl3Port0);
  std::array<std::uint16_t, 1> word{};
  if (auto read = read_nvm(card, at, word); !read) return pass_on(std::move(read));
  return (word[0] & hw::gigabit::nvm::kMayWake) != 0;
}

// [I-WAKE] Linux, igb_main.c, __igb_shutdown: filters that accept the frames, CTRL.ADVD3WUC, no more requests, then WUC
// and WUFC. WUS keeps old events until it is cleared (igb_resume).
Result<void> arm_wake(const GigabitCard& card, WakeEvents events, const MacAddress& mac, const LinkConfig& config) {
  write_vlans(card, nullptr, {});
  write_address(card, 0, mac, 0);
  if (auto link = start_link(card, {.config = config}); !link) return link;
  if (events.link_change) {
    const auto up = wait_for(
        card, "the link", kWakeLinkLimit, [&] { return read_link(card).up; }, milliseconds(10));
    if (up) events.link_change = false;
    if (!events.any()) return {};
  }
  const auto accept = reg::RCTL::BAM | reg::RCTL::RXEN;
  card.regs.write<reg::RCTL>(events.multicast ? accept | reg::RCTL::MPE : accept);
  const auto control = read_with_retry<reg::CTRL>(card);
  if (control.all_ones()) return fail_removed(card.name);
  card.regs.write<reg::CTRL>(reg::CTRL::Value(control.with(reg::CTRL::ADVD3WUC).raw() | card.family.wake_control));
  if (auto disabled = disable_master(card); !disabled) return disabled;
  card.regs.write<reg::WUS>(reg::WUS::Value(~0U));
  card.regs.write<reg::WUC>(reg::WUC::PME_EN);
  card.regs.write<reg::WUFC>(filters_of(events));
  card.regs.flush();
  return {};
}

}  // namespace pollux::drivers::gigabit
