// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/phy.hpp"

#include "hw/intel/igb/phy.hpp"

namespace pollux::models::igb {
namespace {

namespace mii = hw::phy;

enum class Allowed : std::uint8_t { nothing, reading, writing, both };

/// The accesses that each register supports. QEMU, igb_core.c, igb_phy_regcap.
Allowed allowed(std::uint32_t number) noexcept {
  switch (number) {
    case mii::kControl:
    case mii::kAdvertise:
    case 7:  // next page
    case mii::kGigabitControl:
    case mii::kPortConfig:
    case mii::kPortControl:
    case mii::kPowerManagement: return Allowed::both;
    case mii::kStatus:
    case mii::kId1:
    case mii::kId2:
    case mii::kPartner:
    case mii::kExpansion:
    case 8:  // the link partner's next page
    case mii::kGigabitStatus:
    case mii::kExtendedStatus:
    case mii::kPortStatus:
    case mii::kLinkHealth: return Allowed::reading;
    case mii::kPageSelect: return Allowed::writing;
    default: return Allowed::nothing;
  }
}

// Initial values: QEMU, igb_core.c, igb_phy_reg_init.
constexpr std::uint16_t kStatusAbilities = 0x7949;
constexpr std::uint16_t kAdvertiseAll = 0x0DE1;
constexpr std::uint16_t kPartnerAcknowledge = 0x4000;
constexpr std::uint16_t kPartnerNegotiates = 0x0005;  // also supports next pages
constexpr std::uint16_t kGigabitControlAll = 0x0F00;
constexpr std::uint16_t kExtendedGigabit = 0x3000;

}  // namespace

Phy::Phy(RegisterFile& registers, Timers& timers, const hw::phy::PhyTraits& traits, std::function<void()> link_changed)
    : registers_(registers),
      timers_(timers),
      traits_(traits),
      link_changed_(std::move(link_changed)),
      frame_done_(timers.add([this] { finish_frame(); })),
      negotiated_(timers.add([this] { finish_negotiation(); })) {
  registers_.on_write<hw::MDIC>([this](std::uint32_t, std::uint32_t value) { start_frame(hw::MDIC::Value(value)); });
}

void Phy::reset() {
  timers_.cancel(frame_done_);
  timers_.cancel(negotiated_);
  values_.fill(0);
  values_[mii::kControl] = mii::kControlAutonegotiate | mii::kControlFullDuplex | mii::kControlSpeedHigh;
  values_[mii::kStatus] = kStatusAbilities;
  values_[mii::kId1] = static_cast<std::uint16_t>(traits_.id >> 16);
  values_[mii::kId2] = static_cast<std::uint16_t>((traits_.id & mii::kIdMask) | 1);
  values_[mii::kAdvertise] = kAdvertiseAll;
  values_[mii::kGigabitControl] = kGigabitControlAll;
  values_[mii::kExtendedStatus] = kExtendedGigabit;
  values_[mii::kPortConfig] = 0x0120;
  waiting_for_carrier_ = false;
  drop_link();
}

void Phy::set_carrier(bool present) {
  if (present == carrier_) return;
  carrier_ = present;
  if (!present) {
    waiting_for_carrier_ = timers_.running(negotiated_) || link_up_;
    timers_.cancel(negotiated_);
    drop_link();
  } else if ((values_[mii::kControl] & mii::kControlAutonegotiate) == 0) {
    force_link();
  } else if (waiting_for_carrier_) {
    negotiate();
  }
}

void Phy::start_frame(hw::MDIC::Value request) {
  registers_.set<hw::MDIC>(request.without(hw::MDIC::READY | hw::MDIC::ERROR));
  timers_.start(frame_done_, kFrameTime);
}

void Phy::finish_frame() {
  const hw::MDIC::Value request = registers_.get<hw::MDIC>();
  const std::uint32_t number = request.get(hw::MDIC::REGADD);
  const Allowed may = allowed(number);
  const bool reads = request.has(hw::MDIC::READ) && (may == Allowed::reading || may == Allowed::both);
  const bool writes = request.has(hw::MDIC::WRITE) && (may == Allowed::writing || may == Allowed::both);
  hw::MDIC::Value answer = request.with(hw::MDIC::READY);
  if (request.get(hw::MDIC::PHYADD) != traits_.address || (!reads && !writes)) {
    answer = answer.with(hw::MDIC::ERROR);
  } else if (reads) {
    answer = answer.with(hw::MDIC::DATA(read(number)));
  } else {
    write(number, static_cast<std::uint16_t>(request.get(hw::MDIC::DATA)));
  }
  registers_.set<hw::MDIC>(answer);
}

std::uint16_t Phy::read(std::uint32_t number) {
  if (number != mii::kStatus) return values_[number];
  const bool reported = link_up_ && !link_was_lost_;
  link_was_lost_ = false;
  return static_cast<std::uint16_t>(values_[number] | (reported ? mii::kStatusLink : 0));
}

void Phy::write(std::uint32_t number, std::uint16_t value) {
  if (number == mii::kControl) return write_control(value);
  values_[number] = value;
}

void Phy::write_control(std::uint16_t value) {
  if ((value & mii::kControlReset) != 0) return reset();
  constexpr std::uint16_t kStored = 0x7DC0;  // excludes the self-clearing bits for reset and restart, and reserved bits
  values_[mii::kControl] = static_cast<std::uint16_t>(value & kStored);
  const bool autonegotiates = (value & mii::kControlAutonegotiate) != 0;
  if ((value & mii::kControlPowerDown) != 0) {
    timers_.cancel(negotiated_);
    drop_link();
  } else if (autonegotiates && (value & mii::kControlRestart) != 0) {
    negotiate();
  } else if (!autonegotiates) {
    timers_.cancel(negotiated_);
    drop_link();
    if (carrier_) force_link();
  }
}

void Phy::negotiate() {
  drop_link();
  waiting_for_carrier_ = !carrier_;
  if (carrier_) timers_.start(negotiated_, kNegotiationTime);
}

void Phy::finish_negotiation() {
  values_[mii::kStatus] |= mii::kStatusAutonegotiated;
  values_[mii::kPartner] = partner_.abilities;
  values_[mii::kExpansion] = 0;
  if (!partner_.negotiates) {
    if ((partner_.abilities & (mii::k100Half | mii::k100Full)) != 0) return raise_link(1, false);
    if ((partner_.abilities & (mii::k10Half | mii::k10Full)) != 0) return raise_link(0, false);
    return;
  }
  values_[mii::kPartner] |= kPartnerAcknowledge;
  values_[mii::kExpansion] = kPartnerNegotiates;
  const unsigned half = partner_.gigabit_half ? mii::kGigabitPartnerHalf : 0;
  const unsigned full = partner_.gigabit_full ? mii::kGigabitPartnerFull : 0;
  values_[mii::kGigabitStatus] = static_cast<std::uint16_t>(half | full | mii::kGigabitRemoteOk | mii::kGigabitLocalOk);
  raise_best_link(values_[mii::kAdvertise] & partner_.abilities);
}

// Selects the best mode that both sides advertise, in the order of IEEE 802.3, annex 28B.3. Without a common mode there
// is no link.
void Phy::raise_best_link(unsigned common) {
  const std::uint16_t gigabit = values_[mii::kGigabitControl];
  if ((gigabit & mii::kGigabitFull) != 0 && partner_.gigabit_full) return raise_link(2, true);
  if ((gigabit & mii::kGigabitHalf) != 0 && partner_.gigabit_half) return raise_link(2, false);
  if ((common & (mii::k100Full | mii::k100Half)) != 0) return raise_link(1, (common & mii::k100Full) != 0);
  if ((common & (mii::k10Full | mii::k10Half)) != 0) return raise_link(0, (common & mii::k10Full) != 0);
}

void Phy::drop_link() {
  if (link_up_) link_was_lost_ = true;
  link_up_ = false;
  values_[mii::kStatus] &= static_cast<std::uint16_t>(~mii::kStatusAutonegotiated);
  values_[mii::kPartner] = 0;
  values_[mii::kGigabitStatus] = 0;
  values_[mii::kPortStatus] = 0;
  link_changed_();
}

void Phy::force_link() {
  const std::uint16_t control = values_[mii::kControl];
  const std::uint32_t speed = (control & mii::kControlSpeedHigh) != 0  ? 2
                              : (control & mii::kControlSpeedLow) != 0 ? 1
                                                                       : 0;
  raise_link(speed, (control & mii::kControlFullDuplex) != 0);
}

void Phy::raise_link(std::uint32_t speed, bool full_duplex) {
  speed_ = speed;
  full_duplex_ = full_duplex;
  link_up_ = true;
  values_[mii::kPortStatus] = speed_ == 2 ? mii::kPortSpeed1000 : static_cast<std::uint16_t>((speed_ + 1) << 14);
  link_changed_();
}

}  // namespace pollux::models::igb
