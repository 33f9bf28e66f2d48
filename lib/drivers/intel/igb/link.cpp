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

// Linux, e1000_82575.c, igb_setup_copper_link_82575: sets SLU, forces neither speed nor duplex.
Result<void> start_link(const Card& card) {
  const auto control = read_with_retry<reg::CTRL>(card);
  if (control.all_ones()) return fail_removed(card.name);
  card.regs.write<reg::CTRL>(control.with(reg::CTRL::SLU)
                                 .without(reg::CTRL::FRCSPD | reg::CTRL::FRCDPX | reg::CTRL::ILOS)
                                 .without(reg::CTRL::RFCE | reg::CTRL::TFCE));
  return start_autonegotiation(card);
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
