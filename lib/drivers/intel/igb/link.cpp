// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/link.hpp"

#include "drivers/intel/igb/phy.hpp"

namespace pollux::drivers::igb {
namespace {

std::uint32_t speed_of(reg::STATUS::Value status) {
  switch (status.get(reg::STATUS::SPEED)) {
    case 0: return 10;
    case 1: return 100;
    default: return 1000;
  }
}

}  // namespace

// Linux, e1000_82575.c, igb_set_sfp_media_type_82575 and igb_get_invariants_82575, also read the media from CTRL_EXT.
Result<void> check_link_mode(const Card& card) {
  const auto mode = read_with_retry<reg::CTRL_EXT>(card);
  if (card.regs.removed()) return fail_removed(card.name);
  if (mode.has(reg::CTRL_EXT::LINK_COPPER)) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the port is not set to copper (CTRL_EXT.LINK_MODE is {})", card.name,
                          mode.get(reg::CTRL_EXT::LINK_MODE)),
              "only ports with the internal copper PHY are driven; SerDes, SGMII and fiber ports are not");
}

namespace {

// Linux, e1000_82575.c, igb_setup_copper_link_82575, does the same: sets SLU, forces neither speed nor duplex.
Result<void> set_link_up(const Card& card) {
  const auto control = read_with_retry<reg::CTRL>(card);
  if (control.all_ones()) return fail_removed(card.name);
  card.regs.write<reg::CTRL>(control.with(reg::CTRL::SLU)
                                 .without(reg::CTRL::FRCSPD | reg::CTRL::FRCDPX | reg::CTRL::ILOS)
                                 .without(reg::CTRL::RFCE | reg::CTRL::TFCE));
  return {};
}

// During a management session the link must not drop (82575 manual, p. 41, 3.8.1; DPDK, e1000_phy.c,
// e1000_check_reset_block_generic), and the registers of a PHY that was not reset are those of the session.
Result<void> use_link_of_session(const Card& card, LoopbackMode loopback) {
  if (loopback == LoopbackMode::phy) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: a management session holds the link, so the PHY cannot loop", card.name),
                "end the session of the management firmware (MANC.BLK_PHY_RST_ON_IDE), or use no loopback");
  }
  card.log(LogLevel::info,
           "a management session holds the link (MANC.BLK_PHY_RST_ON_IDE); the PHY is left as the firmware has set it");
  return set_link_up(card);
}

// [I-LOOPBACK] Linux, igb_ethtool.c, igb_integrated_phy_loopback: the MAC is forced to the PHY's speed and duplex mode.
Result<void> start_phy_loopback(const Card& card) {
  if (auto looped = loop_phy(card); !looped) return looped;
  modify<reg::CTRL>(card, reg::CTRL::FRCSPD | reg::CTRL::FRCDPX | reg::CTRL::SPEED(2) | reg::CTRL::FD | reg::CTRL::SLU);
  return {};
}

}  // namespace

Result<void> start_link(const Card& card, LoopbackMode loopback, std::uint16_t pause) {
  const auto management = read_with_retry<reg::MANC>(card);
  if (card.regs.removed()) return fail_removed(card.name);
  if (management.has(reg::MANC::BLK_PHY_RST_ON_IDE)) return use_link_of_session(card, loopback);
  if (auto reset = reset_phy(card); !reset) return reset;
  if (auto up = set_link_up(card); !up) return up;
  return loopback == LoopbackMode::phy ? start_phy_loopback(card) : start_autonegotiation(card, pause);
}

Result<void> restart_link(const Card& card, LoopbackMode loopback, std::uint16_t pause) {
  const auto management = read_with_retry<reg::MANC>(card);
  if (card.regs.removed()) return fail_removed(card.name);
  const bool keeps_link = management.has(reg::MANC::BLK_PHY_RST_ON_IDE) || loopback == LoopbackMode::phy;
  return keeps_link ? Result<void>() : start_autonegotiation(card, pause);
}

Link read_link(const Card& card) {
  const auto status = card.regs.read<reg::STATUS>();
  if (status.all_ones() || !status.has(reg::STATUS::LU)) return {};
  return {.up = true,
          .speed = speed_of(status),
          .duplex = status.has(reg::STATUS::FD) ? Duplex::full : Duplex::half,
          .autonegotiated = true};
}

}  // namespace pollux::drivers::igb
