// SPDX-License-Identifier: BSD-3-Clause
// The port's link, its PHY and its flow control.
#include <string>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/gigabit/port.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"
#include "hw/intel/gigabit/phy.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::gigabit {
namespace {

namespace phy = hw::gigabit::phy;

// The page is selected as the internal PHY does it. A PHY at another address may do it differently.
Result<MdioRegister> check_phy_register(const GigabitCard& card, const PhyRegister& which) {
  constexpr unsigned kLastRegister = 31;
  const phy::Paging& paging = card.family.phy.paging;
  const unsigned last_page = 0xFFFFU >> paging.shift;
  const auto refused = [&](const std::string& what, std::string hint) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", card.name, what), std::move(hint));
  };
  const std::uint32_t own = card.family.phy.address;
  const std::uint32_t address = which.address.value_or(static_cast<std::uint8_t>(own));
  if (which.number > kLastRegister) {
    return refused(fmt::format("a PHY has no register {}", which.number), "registers are 0 to 31");
  }
  if (address > kLastRegister) {
    return refused(fmt::format("{} is not the address of a PHY", address), "addresses are 0 to 31");
  }
  if (which.page > last_page)
    return refused(fmt::format("there is no page {}", which.page), fmt::format("pages are 0 to {}", last_page));
  const bool paged =
      paging.select != 0 && which.number >= paging.first && which.number != paging.select && address == own;
  if (which.page != 0 && !paged) {
    return refused(fmt::format("register {} of the PHY at address {} has no pages", which.number, address),
                   "only the registers 16 to 30 of the card's own PHY have pages");
  }
  return MdioRegister{.address = address, .page = which.page, .number = which.number};
}

}  // namespace

LinkSetup GigabitPort::link_setup(const Settings& settings) {
  const FlowControlConfig& pause = settings.flow_control;
  const bool advertises = settings.phy_enabled && !settings.link.forced && pause.autonegotiate;
  return {.loopback = settings.loopback,
          .config = settings.link,
          .enabled = settings.phy_enabled,
          .pause = advertises ? pause_advertisement(pause.pause) : std::uint16_t{0}};
}

// The MAC of a started port is forced together with its PHY, unless the PHY loops.
Link GigabitPort::link() {
  Link link = read_link(card());
  if (link.up) link.autonegotiated = !settings().link.forced || settings().loopback == LoopbackMode::phy;
  return link;
}

Result<void> GigabitPort::check_link_is_free() const {
  if (running() && settings().loopback == LoopbackMode::phy) {
    return fail(ErrorCode::busy, fmt::format("{}: the PHY loops frames back, so it has no link to set", card().name),
                "stop the port and end the loopback (Settings::loopback)");
  }
  const bool session = session_holds_link(card());
  if (card().regs.removed()) return fail_removed(card().name);
  if (!session) return {};
  return fail(ErrorCode::busy, fmt::format("{}: a management session holds the link", card().name),
              "end the session of the management firmware (MANC.BLK_PHY_RST_ON_IDE)");
}

Result<void> GigabitPort::check_link(const Settings& from, const Settings& to) const {
  const bool stops = from.phy_enabled && !to.phy_enabled;
  const bool forces = to.link.forced && to.link != from.link;
  if ((stops || forces) && !card().family.features.link_control) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: {}: the card's PHY has a link by autonegotiation alone", card().name,
                            stops ? "stopping the PHY" : "a forced mode"),
                "leave the link to autonegotiation, or use the in-process card (sim:0)");
  }
  if (auto free = check_link_is_free(); !free) return free;
  if (!stops || !read_with_retry<reg::MANC>(card()).has(reg::MANC::RCV_TCO_EN)) return {};
  return fail(ErrorCode::busy, fmt::format("{}: a management controller (BMC) receives by this PHY", card().name),
              "turn its pass-through off first (MANC.RCV_TCO_EN)");
}

// A link that is set up anew has turned the MAC's flow control off.
Result<void> GigabitPort::apply_link(const Settings& to) {
  auto restarted = restart_link(card(), link_setup(to));
  if (!restarted && card().regs.removed()) return restarted;
  auto paused = start_flow_control(to);
  return restarted ? paused : restarted;
}

Result<void> GigabitPort::apply_link_settings(const Settings* from, const Settings& to) {
  const auto changed = [&](auto... setting) { return from == nullptr || ((from->*setting != to.*setting) || ...); };
  const bool may_concern_link =
      changed(&Settings::link, &Settings::phy_enabled, &Settings::loopback, &Settings::flow_control);
  if (from != nullptr && may_concern_link && link_setup(*from) != link_setup(to)) return apply_link(to);
  if (!changed(&Settings::flow_control)) return {};
  if (auto paused = start_flow_control(to); !paused) return paused;
  if (from != nullptr) settle_flow_control(link());
  return {};
}

Result<void> GigabitPort::restart_negotiation() {
  if (auto present = expect_present(card()); !present) return present;
  const auto refused = [this](const char* why, const char* hint) {
    return fail(ErrorCode::bad_state, fmt::format("{}: cannot negotiate: {}", card().name, why), hint);
  };
  if (!running()) return refused("the port is not started", "start it; that negotiates");
  if (!settings().phy_enabled) return refused("the PHY is stopped", "start the PHY (Settings::phy_enabled)");
  if (settings().link.forced) {
    return refused("the mode of the link is forced", "advertise modes instead of forcing one");
  }
  auto free = check_link_is_free();
  return free ? apply_link(settings()) : free;
}

Result<LinkDetails> GigabitPort::link_details() {
  if (auto present = expect_present(card()); !present) return pass_on(std::move(present));
  const Link link = this->link();
  const auto report = report_phy(card(), link.up);
  if (!report) return tl::unexpected<Error>(report.error());
  return LinkDetails{.link = link,
                     .phy = std::string(report->kind->name(card())),
                     .phy_id = report->id,
                     .partner = report->partner,
                     .mdix = report->cable.mdix,
                     .polarity_reversed = report->cable.polarity_reversed,
                     .cable = report->cable.length};
}

Result<std::uint16_t> GigabitPort::read_phy_register(const PhyRegister& which) {
  if (auto present = expect_present(card()); !present) return pass_on(std::move(present));
  const auto valid = check_phy_register(card(), which);
  if (!valid) return tl::unexpected<Error>(valid.error());
  auto acquired = SharedResource::acquire(card(), Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  return read_mdio(card(), *valid);
}

Result<void> GigabitPort::write_phy_register(const PhyRegister& which, std::uint16_t value) {
  if (auto present = expect_present(card()); !present) return present;
  const auto valid = check_phy_register(card(), which);
  if (!valid) return tl::unexpected<Error>(valid.error());
  auto acquired = SharedResource::acquire(card(), Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  return write_mdio(card(), *valid, value);
}

// The longest frame that the card accepts, so that a later change of the MTU needs no other water marks.
Result<FlowControlConfig> GigabitPort::with_marks(const Settings& settings) const {
  return with_water_marks(settings.flow_control, receive_buffer(settings), wire_bytes(info().limits.max_mtu),
                          card().name);
}

Result<void> GigabitPort::start_flow_control(const Settings& settings) {
  const FlowControlConfig& config = settings.flow_control;
  pause_ = config.autonegotiate ? PauseModes{} : config.pause;
  pause_is_settled_ = !config.autonegotiate || !config.pause.any();
  if (!config.pause.any()) return write_flow_control(card(), config, {});
  auto valid = with_marks(settings);
  if (!valid) return pass_on(std::move(valid));
  return write_flow_control(card(), *valid, pause_);
}

// The partner's abilities are known once the link is up, if it was negotiated. Pause frames need full duplex (IEEE
// 802.3, 31B.1). A PHY that does not answer is asked again the next time.
void GigabitPort::settle_flow_control(const Link& link) {
  const FlowControlConfig& config = settings().flow_control;
  if (!running() || !config.autonegotiate || !config.pause.any()) return;
  if (link.up == pause_is_settled_) return;
  PauseModes modes;
  if (link.up && link.autonegotiated && link.duplex == Duplex::full) {
    const auto partner = partner_abilities(card());
    if (!partner) return card().log(LogLevel::warning, partner.error().what + "; flow control stays off");
    modes = negotiated_pause(config.pause, *partner);
  }
  const auto valid = with_marks(settings());
  if (!valid || !write_flow_control(card(), *valid, modes)) return;
  pause_ = modes;
  pause_is_settled_ = link.up;
}

FlowControlState GigabitPort::flow_control() {
  if (!expect_open(card())) return {.config = settings().flow_control};
  const Link link = this->link();
  const auto valid = with_marks(settings());
  return {.config = valid ? *valid : settings().flow_control,
          .active = running() && link.up ? pause_ : PauseModes{},
          .packet_buffer = receive_buffer(settings())};
}

}  // namespace pollux::drivers::gigabit
