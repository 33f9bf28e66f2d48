// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/flow_control.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "hw/intel/igb/phy.hpp"
#include "net/config_check.hpp"

namespace pollux::drivers::igb {
namespace {

namespace phy = hw::igb::phy;

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
Result<void> write_flow_control(const Card& card, const FlowControlConfig& config, PauseModes modes) {
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

}  // namespace pollux::drivers::igb
