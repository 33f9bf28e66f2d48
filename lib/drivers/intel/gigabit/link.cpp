// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/link.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/gigabit/phy.hpp"
#include "hw/intel/gigabit/phy.hpp"
#include "net/config_check.hpp"

namespace pollux::drivers::gigabit {
namespace {

std::uint32_t speed_of(reg::STATUS::Value status) {
  switch (status.get(reg::STATUS::SPEED)) {
    case 0: return 10;
    case 1: return 100;
    default: return 1000;
  }
}

}  // namespace

namespace {

/// The medium of a port that is not set to copper, and what to do. Linux, e1000_82575.c, igb_get_invariants_82575 and
/// igb_sgmii_uses_mdio_82575: behind SGMII there is a PHY on MDIO if MDIC.DESTINATION is set, otherwise a pluggable
/// module on I2C.
struct Medium {
  const char* name;
  const char* hint;
};
Medium medium_of(reg::CTRL_EXT::Value mode, reg::MDIC::Value management) {
  constexpr const char* kOtherPort = "use a port with the internal copper PHY";
  switch (mode.get(reg::CTRL_EXT::LINK_MODE)) {
    case 1: return {"1000BASE-KX, the backplane of a blade", kOtherPort};
    case 2:
      if (management.has(reg::MDIC::DESTINATION)) return {"SGMII with an external PHY", kOtherPort};
      return {"SGMII with a pluggable module (SFP)", kOtherPort};
    default:
      return {"SerDes: fiber, a pluggable module (SFP) or a backplane",
              "use a port with the internal copper PHY; on a board with both media, select copper in its NVM"};
  }
}

}  // namespace

// [I-MEDIA] Linux, e1000_82575.c, igb_set_sfp_media_type_82575 and igb_get_invariants_82575, also read the media from
// CTRL_EXT.
Result<void> check_link_mode(const GigabitCard& card) {
  const auto mode = read_with_retry<reg::CTRL_EXT>(card);
  if (card.regs.removed()) return fail_removed(card.name);
  if (mode.has(reg::CTRL_EXT::LINK_COPPER)) return {};
  const Medium medium = medium_of(mode, card.regs.read<reg::MDIC>());
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the port is not set to copper but to {} (CTRL_EXT.LINK_MODE is {})", card.name,
                          medium.name, mode.get(reg::CTRL_EXT::LINK_MODE)),
              medium.hint);
}

namespace {

// Linux, e1000_82575.c, igb_setup_copper_link_82575, does the same: sets SLU, forces neither speed nor duplex, unless
// the PHY is forced (e1000_phy.c, igb_phy_force_speed_duplex_setup). What is not forced is as after a reset.
Result<void> set_link_up(const GigabitCard& card, std::optional<LinkMode> forced) {
  const auto control = read_with_retry<reg::CTRL>(card);
  if (control.all_ones()) return fail_removed(card.name);
  auto next = control.with(reg::CTRL::SLU)
                  .with(reg::CTRL::SPEED(2) | reg::CTRL::FD)
                  .without(reg::CTRL::FRCSPD | reg::CTRL::FRCDPX | reg::CTRL::ILOS)
                  .without(reg::CTRL::RFCE | reg::CTRL::TFCE);
  if (forced) {
    next = next.with(reg::CTRL::FRCSPD | reg::CTRL::FRCDPX | reg::CTRL::SPEED(speed_of(*forced) == 100 ? 1 : 0));
    if (duplex_of(*forced) == Duplex::half) next = next.without(reg::CTRL::FD);
  }
  card.regs.write<reg::CTRL>(next);
  return {};
}

// During a management session the link must not drop (82575 manual, p. 41, 3.8.1; DPDK, e1000_phy.c,
// e1000_check_reset_block_generic), and the registers of a PHY that was not reset are those of the session.
Result<void> use_link_of_session(const GigabitCard& card, LoopbackMode loopback) {
  if (loopback == LoopbackMode::phy) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: a management session holds the link, so the PHY cannot loop", card.name),
                "end the session of the management firmware (MANC.BLK_PHY_RST_ON_IDE), or use no loopback");
  }
  card.log(LogLevel::info,
           "a management session holds the link (MANC.BLK_PHY_RST_ON_IDE); the PHY is left as the firmware has set it");
  return set_link_up(card, std::nullopt);
}

// [I-LOOPBACK] Linux, igb_ethtool.c, igb_integrated_phy_loopback: the MAC is forced to the PHY's speed and duplex mode.
Result<void> start_phy_loopback(const GigabitCard& card) {
  if (auto looped = loop_phy(card); !looped) return looped;
  modify<reg::CTRL>(card, reg::CTRL::FRCSPD | reg::CTRL::FRCDPX | reg::CTRL::SPEED(2) | reg::CTRL::FD | reg::CTRL::SLU);
  return {};
}

}  // namespace

bool session_holds_link(const GigabitCard& card) {
  return read_with_retry<reg::MANC>(card).has(reg::MANC::BLK_PHY_RST_ON_IDE);
}

Result<void> start_link(const GigabitCard& card, const LinkSetup& setup) {
  const bool session = session_holds_link(card);
  if (card.regs.removed()) return fail_removed(card.name);
  if (session) return use_link_of_session(card, setup.loopback);
  if (auto reset = reset_phy(card); !reset) return reset;
  const bool loops = setup.loopback == LoopbackMode::phy;
  if (auto up = set_link_up(card, loops ? std::nullopt : setup.config.forced); !up) return up;
  if (loops) return start_phy_loopback(card);
  return setup.enabled ? set_up_phy(card, setup.config, setup.pause) : stop_phy(card);
}

Result<void> restart_link(const GigabitCard& card, const LinkSetup& setup) {
  const bool session = session_holds_link(card);
  if (card.regs.removed()) return fail_removed(card.name);
  if (session || setup.loopback == LoopbackMode::phy) return {};
  if (!setup.enabled) return stop_phy(card);
  if (auto up = set_link_up(card, setup.config.forced); !up) return up;
  return set_up_phy(card, setup.config, setup.pause);
}

Link read_link(const GigabitCard& card) {
  const auto status = card.regs.read<reg::STATUS>();
  if (status.all_ones() || !status.has(reg::STATUS::LU)) return {};
  return {.up = true,
          .speed = speed_of(status),
          .duplex = status.has(reg::STATUS::FD) ? Duplex::full : Duplex::half,
          .autonegotiated = true};
}

namespace {

namespace phy = hw::gigabit::phy;

constexpr std::uint32_t kWaterUnit = 16;

// IEEE 802.3, annex 31B: the destination 01:80:C2:00:00:01 and the EtherType of pause frames.
constexpr std::uint32_t kPauseAddressLow = 0x00C28001;
constexpr std::uint32_t kPauseAddressHigh = 0x0100;
constexpr std::uint32_t kPauseType = 0x8808;

}  // namespace

std::uint16_t pause_advertisement(PauseModes wish) noexcept {
  if (wish.receive && wish.transmit) return phy::kPause;
  if (wish.receive) return phy::kPause | phy::kPauseAsymmetric;
  return wish.transmit ? phy::kPauseAsymmetric : std::uint16_t{0};
}

// A port that wishes to receive only advertises the symmetric ability, too (table 28B-2 has no other way), and must not
// send where both sides have it: Linux, e1000_mac.c, igb_config_fc_after_link_up.
PauseModes negotiated_pause(PauseModes wish, std::uint16_t partner) noexcept {
  const bool symmetric = (partner & phy::kPause) != 0;
  const bool asymmetric = (partner & phy::kPauseAsymmetric) != 0;
  if (wish.receive && symmetric) return wish;
  if (wish.receive && !wish.transmit && asymmetric) return {.receive = true};
  if (wish.transmit && !wish.receive && symmetric && asymmetric) return {.transmit = true};
  return {};
}

// Linux, igb_main.c, igb_reset: nine tenths of the buffer, but two of the longest frames must fit above it.
Result<FlowControlConfig> with_water_marks(const FlowControlConfig& config, std::uint32_t buffer, std::uint32_t frame,
                                           std::string_view port) {
  FlowControlConfig marks = config;
  const std::uint32_t highest = buffer > 2 * frame ? buffer - 2 * frame : buffer / 2;
  if (marks.high_water == 0) marks.high_water = std::min(buffer / 10 * 9, highest) / kWaterUnit * kWaterUnit;
  if (marks.low_water == 0) marks.low_water = marks.high_water - std::min(marks.high_water, kWaterUnit);
  const auto refused = [&](std::string what, std::string hint) {
    return refuse(port, fmt::format("flow control: {}", what), std::move(hint));
  };
  if (marks.pause_time < 2) return refused(fmt::format("pause_time = {} is below 2", marks.pause_time), "use 65,535");
  if (marks.high_water % kWaterUnit != 0 || marks.low_water % kWaterUnit != 0) {
    return refused(fmt::format("the water marks {} and {} are not multiples of 16", marks.low_water, marks.high_water),
                   "the card counts in units of 16 bytes");
  }
  if (marks.high_water > highest) {
    return refused(
        fmt::format("high_water = {} is above {}", marks.high_water, highest),
        fmt::format("two of the longest frames must fit above it into the packet buffer of {} bytes", buffer));
  }
  if (marks.low_water >= marks.high_water) {
    return refused(fmt::format("low_water = {} is not below high_water = {}", marks.low_water, marks.high_water),
                   "lower low_water, or leave both at 0");
  }
  return marks;
}

// Linux, e1000_mac.c, igb_setup_link (address, type and time), igb_set_fc_watermarks and igb_force_mac_fc. FCRTV
// repeats the pause frame when that much of its time is left: I210 datasheet, 3.7.5. Without a wish they are as after a
// reset.
Result<void> write_flow_control(const GigabitCard& card, const FlowControlConfig& config, PauseModes modes) {
  const bool wanted = config.pause.any();
  const std::uint32_t time = wanted ? config.pause_time : 0U;
  card.regs.write<reg::FCT>(reg::FCT::TYPE(wanted ? kPauseType : 0));
  card.regs.write<reg::FCAH>(reg::FCAH::ADDRESS(wanted ? kPauseAddressHigh : 0));
  card.regs.write<reg::FCAL>(reg::FCAL::Value(wanted ? kPauseAddressLow : 0));
  card.regs.write<reg::FCTTV>(reg::FCTTV::TTV(time));
  card.regs.write<reg::FCRTV>(reg::FCRTV::REFRESH(time / 2U));
  if (modes.transmit) {
    card.regs.write<reg::FCRTL>(reg::FCRTL::RTL(config.low_water / kWaterUnit) | reg::FCRTL::XONE);
    card.regs.write<reg::FCRTH>(reg::FCRTH::RTH(config.high_water / kWaterUnit));
  } else {
    card.regs.write<reg::FCRTL>({});
    card.regs.write<reg::FCRTH>({});
  }
  const auto control = read_control(card);
  if (control.all_ones()) return fail_removed(card.name);
  auto next = control.without(reg::CTRL::RFCE | reg::CTRL::TFCE);
  if (modes.receive) next = next.with(reg::CTRL::RFCE);
  if (modes.transmit) next = next.with(reg::CTRL::TFCE);
  card.regs.write<reg::CTRL>(next);
  card.regs.flush();
  return {};
}

}  // namespace pollux::drivers::gigabit
