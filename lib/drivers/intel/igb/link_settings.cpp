// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/link_settings.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/igb/phy.hpp"
#include "drivers/intel/igb/semaphore.hpp"
#include "hw/intel/igb/phy.hpp"

namespace pollux::drivers::igb {

Result<void> LinkSettings::start(LoopbackMode loopback, std::uint16_t pause) {
  running_ = true;
  setup_.loopback = loopback;
  setup_.pause = pause;
  return start_link(card_, setup_);
}

Result<void> LinkSettings::advertise_pause(std::uint16_t pause) {
  LinkSetup setup = setup_;
  setup.pause = pause;
  if (setup.enabled && !setup.config.forced && pause != setup_.pause) {
    if (auto restarted = restart_link(card_, setup); !restarted) return restarted;
  }
  setup_ = setup;
  return {};
}

// The MAC of a started port is forced together with its PHY, unless the PHY loops.
Link LinkSettings::link() const {
  Link link = read_link(card_);
  if (link.up) link.autonegotiated = !setup_.config.forced || setup_.loopback == LoopbackMode::phy;
  return link;
}

LinkModes LinkSettings::supported_modes() const { return kPhyModes; }

Result<void> LinkSettings::expect_free() const {
  if (running_ && setup_.loopback == LoopbackMode::phy) {
    return fail(ErrorCode::busy, fmt::format("{}: the PHY loops frames back, so it has no link to set", card_.name),
                "stop the port and end the loopback (Loopback::set_loopback)");
  }
  const bool session = session_holds_link(card_);
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (!session) return {};
  return fail(ErrorCode::busy, fmt::format("{}: a management session holds the link", card_.name),
              "end the session of the management firmware (MANC.BLK_PHY_RST_ON_IDE)");
}

Result<void> LinkSettings::expect_control(const char* what) const {
  if (card_.features->link_control) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {}: the card's PHY has a link by autonegotiation alone", card_.name, what),
              "leave the link to autonegotiation, or use the in-process card (sim:0)");
}

/// Keeps `setup`, and applies it if the port is started.
Result<void> LinkSettings::change(const LinkSetup& setup) {
  const LinkSetup before = std::exchange(setup_, setup);
  if (!running_) return {};
  auto applied = restart_link(card_, setup_);
  if (!applied) {
    setup_ = before;
    if (!card_.regs.removed()) static_cast<void>(restarted_());  // the MAC's flow control is off now
    return applied;
  }
  return restarted_();
}

Result<void> LinkSettings::set_link_config(const LinkConfig& config) {
  if (auto present = expect_present(card_); !present) return present;
  auto valid = check_link_config(card_.name, config, supported_modes());
  if (!valid) return pass_on(std::move(valid));
  if (config.forced) {
    if (auto possible = expect_control("a forced mode"); !possible) return possible;
  }
  if (auto free = expect_free(); !free) return free;
  LinkSetup setup = setup_;
  setup.config = *valid;
  return change(setup);
}

Result<void> LinkSettings::restart_negotiation() {
  if (auto present = expect_present(card_); !present) return present;
  const auto refused = [this](const char* why, const char* hint) {
    return fail(ErrorCode::bad_state, fmt::format("{}: cannot negotiate: {}", card_.name, why), hint);
  };
  if (!running_) return refused("the port is not started", "start it; that negotiates");
  if (!setup_.enabled) return refused("the PHY is stopped", "start the PHY (LinkControl::set_phy_enabled)");
  if (setup_.config.forced) {
    return refused("the mode of the link is forced", "advertise modes instead of forcing one");
  }
  if (auto free = expect_free(); !free) return free;
  return change(setup_);
}

Result<void> LinkSettings::after_reset() const { return setup_.enabled ? Result<void>() : stop_phy(card_); }

Result<void> LinkSettings::set_phy_enabled(bool enabled) {
  if (auto present = expect_present(card_); !present) return present;
  if (!enabled) {
    if (auto possible = expect_control("stopping the PHY"); !possible) return possible;
  }
  if (enabled == setup_.enabled) return {};
  if (auto free = expect_free(); !free) return free;
  if (!enabled && read_with_retry<reg::MANC>(card_).has(reg::MANC::RCV_TCO_EN)) {
    return fail(ErrorCode::busy, fmt::format("{}: a management controller (BMC) receives by this PHY", card_.name),
                "turn its pass-through off first (MANC.RCV_TCO_EN)");
  }
  if (!enabled && !running_) {
    if (auto stopped = stop_phy(card_); !stopped) return stopped;
  }
  LinkSetup setup = setup_;
  setup.enabled = enabled;
  return change(setup);
}

Result<LinkDetails> LinkSettings::link_details() {
  if (auto present = expect_present(card_); !present) return pass_on(std::move(present));
  const Link link = this->link();
  const auto report = report_phy(card_, link.up);
  if (!report) return tl::unexpected<Error>(report.error());
  return LinkDetails{.link = link,
                     .config = setup_.config,
                     .phy_enabled = setup_.enabled,
                     .supported = supported_modes(),
                     .phy = std::string(report->kind->name()),
                     .phy_id = report->id,
                     .partner = report->partner,
                     .mdix = report->cable.mdix,
                     .polarity_reversed = report->cable.polarity_reversed,
                     .cable = report->cable.length};
}

// The page is selected as the internal PHY does it. A PHY at another address may do it differently.
Result<MdioRegister> LinkSettings::checked(const PhyRegister& which) const {
  namespace phy = hw::igb::phy;
  constexpr unsigned kLastRegister = 31;
  constexpr unsigned kLastPage = 0xFFFF >> phy::kPageShift;
  const auto refused = [this](const std::string& what, const char* hint) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", card_.name, what), hint);
  };
  const std::uint32_t own = card_.traits->phy.address;
  const std::uint32_t address = which.address.value_or(static_cast<std::uint8_t>(own));
  if (which.number > kLastRegister) {
    return refused(fmt::format("a PHY has no register {}", which.number), "registers are 0 to 31");
  }
  if (address > kLastRegister) {
    return refused(fmt::format("{} is not the address of a PHY", address), "addresses are 0 to 31");
  }
  if (which.page > kLastPage) return refused(fmt::format("there is no page {}", which.page), "pages are 0 to 2,047");
  const bool paged = which.number >= phy::kFirstPaged && which.number != phy::kPageSelect && address == own;
  if (which.page != 0 && !paged) {
    return refused(fmt::format("register {} of the PHY at address {} has no pages", which.number, address),
                   "only the registers 16 to 30 of the card's own PHY have pages");
  }
  return MdioRegister{.address = address, .page = which.page, .number = which.number};
}

Result<std::uint16_t> LinkSettings::read_phy_register(const PhyRegister& which) {
  if (auto present = expect_present(card_); !present) return pass_on(std::move(present));
  const auto valid = checked(which);
  if (!valid) return tl::unexpected<Error>(valid.error());
  auto acquired = SharedResource::acquire(card_, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  return read_mdio(card_, *valid);
}

Result<void> LinkSettings::write_phy_register(const PhyRegister& which, std::uint16_t value) {
  if (auto present = expect_present(card_); !present) return present;
  const auto valid = checked(which);
  if (!valid) return tl::unexpected<Error>(valid.error());
  auto acquired = SharedResource::acquire(card_, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  return write_mdio(card_, *valid, value);
}

}  // namespace pollux::drivers::igb
