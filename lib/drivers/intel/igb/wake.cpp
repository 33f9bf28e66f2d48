// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/wake.hpp"

#include <array>

#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/link.hpp"
#include "drivers/intel/igb/nvm.hpp"
#include "drivers/intel/igb/quiesce.hpp"
#include "drivers/intel/igb/vlan.hpp"
#include "hw/intel/igb/nvm.hpp"

namespace pollux::drivers::igb {
namespace {

/// For the negotiation of a link.
constexpr Duration kWakeLinkLimit = std::chrono::seconds(5);
constexpr WakeEvents kAllEvents{true, true, true, true, true};

bool includes(const WakeEvents& all, const WakeEvents& some) noexcept {
  return (all.magic || !some.magic) && (all.unicast || !some.unicast) && (all.multicast || !some.multicast) &&
         (all.broadcast || !some.broadcast) && (all.link_change || !some.link_change);
}

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
Result<bool> WakeControl::may_wake() const {
  const std::uint32_t port = card_.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID);
  if (port != 1) return port == 0;
  std::array<std::uint16_t, 1> word{};
  if (auto read = read_nvm(card_, hw::igb::nvm::kInitControl3Port1, word); !read) return pass_on(std::move(read));
  return (word[0] & hw::igb::nvm::kMayWake) != 0;
}

Result<WakeEvents> WakeControl::wake_support() {
  if (auto present = expect_present(card_); !present) return pass_on(std::move(present));
  const auto wakes = may_wake();
  if (!wakes) return tl::unexpected<Error>(wakes.error());
  return *wakes ? kAllEvents : WakeEvents{};
}

Result<void> WakeControl::set_wake_events(const WakeEvents& events) {
  auto supported = wake_support();
  if (!supported) return pass_on(std::move(supported));
  if (!includes(*supported, events)) {
    return fail(ErrorCode::not_supported, fmt::format("{}: this port of the card cannot wake the machine", card_.name),
                "use the card's first port; the NVM says whether the second one is wired to wake");
  }
  events_ = events;
  return {};
}

// [I-WAKE] Linux, igb_main.c, __igb_shutdown: filters that accept the frames, CTRL.ADVD3WUC, no more requests, then WUC
// and WUFC. WUS keeps old events until it is cleared (igb_resume).
Result<void> WakeControl::arm(const MacAddress& mac, const LinkConfig& config) const {
  WakeEvents events = events_;
  if (!events.any()) return {};
  clear_filters(card_);
  write_vlans(card_, nullptr, {});
  write_address(card_, 0, mac, 0);
  if (auto link = start_link(card_, {.config = config}); !link) return link;
  if (events.link_change) {
    const auto up = wait_for(
        card_, "the link", kWakeLinkLimit, [&] { return read_link(card_).up; }, milliseconds(10));
    if (up) events.link_change = false;
    if (!events.any()) return {};
  }
  const auto accept = reg::RCTL::BAM | reg::RCTL::RXEN;
  card_.regs.write<reg::RCTL>(events.multicast ? accept | reg::RCTL::MPE : accept);
  modify<reg::CTRL>(card_, reg::CTRL::ADVD3WUC);
  if (auto disabled = disable_master(card_); !disabled) return disabled;
  card_.regs.write<reg::WUS>(reg::WUS::Value(~0U));
  card_.regs.write<reg::WUC>(reg::WUC::PME_EN);
  card_.regs.write<reg::WUFC>(filters_of(events));
  card_.regs.flush();
  return {};
}

}  // namespace pollux::drivers::igb
