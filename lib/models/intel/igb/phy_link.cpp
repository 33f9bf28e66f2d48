// SPDX-License-Identifier: BSD-3-Clause
// The PHY's link: autonegotiation with the PHY at the other end, parallel detection, forced modes, loopback.
#include "hw/intel/igb/phy.hpp"
#include "models/intel/igb/phy.hpp"

namespace pollux::models::igb {
namespace {

namespace mii = hw::phy;

constexpr unsigned k10 = mii::k10Half | mii::k10Full;
constexpr unsigned k100 = mii::k100Half | mii::k100Full;
constexpr std::uint16_t kPartnerAcknowledge = 0x4000;
constexpr std::uint16_t kPartnerNegotiates = 0x0005;  // also supports next pages

/// The speed of a forced mode in the encoding of STATUS.SPEED.
std::uint32_t forced_speed(std::uint16_t control) noexcept {
  if ((control & mii::kControlSpeedHigh) != 0) return 2;
  return (control & mii::kControlSpeedLow) != 0 ? 1 : 0;
}

}  // namespace

bool Phy::powered() const noexcept {
  const bool disconnected =
      traits_.low_power == mii::LowPower::phpm && registers_.get<hw::PHPM>().has(hw::PHPM::GO_LINKD);
  return !in_reset_ && !disconnected && !has(mii::kControl, mii::kControlPowerDown);
}

void Phy::apply_power() {
  if (!powered()) {
    stop_negotiation();
    drop_link();
  } else if (!link_up_) {
    follow_medium();
  }
  announce();
}

bool Phy::medium() const noexcept { return carrier_ && partner_.present; }

// With low-power link-up the PHY advertises 10 Mb/s only (82575 manual, 7.4.0.3.3). A partner without 10 Mb/s gets no
// link in this model.
std::uint16_t Phy::advertised() const noexcept {
  const unsigned all = values_[mii::kAdvertise];
  return static_cast<std::uint16_t>(low_power() ? all & ~k100 : all);
}

unsigned Phy::advertised_gigabit() const noexcept {
  return low_power() ? 0 : values_[mii::kGigabitControl] & (mii::kGigabitHalf | mii::kGigabitFull);
}

LinkSignal::Role Phy::role() const noexcept {
  if (!has(mii::kGigabitControl, mii::kGigabitManualRole)) return LinkSignal::Role::automatic;
  return has(mii::kGigabitControl, mii::kGigabitMaster) ? LinkSignal::Role::master : LinkSignal::Role::slave;
}

LinkSignal::Crossover Phy::crossover() const noexcept {
  const unsigned chosen = values_[traits_.crossover.number];
  if ((chosen & traits_.crossover.automatic) == traits_.crossover.automatic) return LinkSignal::Crossover::automatic;
  return (chosen & traits_.crossover.mdix) != 0 ? LinkSignal::Crossover::mdix : LinkSignal::Crossover::mdi;
}

// [I-M-PARTNER] A PHY that no software has used since power-on is an ordinary link partner, whatever its registers say.
LinkSignal Phy::signal() const {
  LinkSignal signal;
  if (untouched_) return signal;
  signal.negotiates = negotiates();
  signal.present = powered() && !has(mii::kControl, mii::kControlLoopback) && (started_ || !signal.negotiates);
  signal.busy = signal.negotiates && timers_.running(negotiated_);
  signal.role = role();
  signal.crossover = crossover();
  signal.efficient = efficient_;
  if (signal.negotiates) {
    signal.abilities = advertised();
    signal.gigabit_half = (advertised_gigabit() & mii::kGigabitHalf) != 0;
    signal.gigabit_full = (advertised_gigabit() & mii::kGigabitFull) != 0;
    return signal;
  }
  const std::uint16_t control = values_[mii::kControl];
  const std::uint32_t speed = forced_speed(control);
  const bool full = (control & mii::kControlFullDuplex) != 0;
  signal.abilities = speed == 0 ? (full ? mii::k10Full : mii::k10Half) : full ? mii::k100Full : mii::k100Half;
  if (speed == 2) signal.abilities = 0;
  signal.gigabit_full = speed == 2 && full;
  signal.gigabit_half = speed == 2 && !full;
  return signal;
}

// Call this last: the handler may change the partner, and so this PHY.
void Phy::announce() {
  const LinkSignal now = signal();
  if (now == announced_) return;
  announced_ = now;
  if (signal_changed_) signal_changed_(timers_.now());
}

void Phy::set_carrier(bool present) {
  if (present == carrier_) return;
  carrier_ = present;
  follow_medium();
  announce();
}

void Phy::set_partner(const LinkPartner& partner) {
  if (partner == partner_) return;
  LinkPartner before = partner_;
  partner_ = partner;
  before.busy = partner.busy;
  const bool only_finished = before == partner && !partner.busy;
  if (waiting_for_partner_ && medium()) {
    if (!partner.busy) resolve();
  } else if (!(only_finished || (timers_.running(negotiated_) && medium()))) {
    follow_medium();
  }
  announce();
}

/// Starts or ends the link after the carrier or the partner has changed.
void Phy::follow_medium() {
  if (untouched_ || !powered() || has(mii::kControl, mii::kControlLoopback)) return;
  if (!negotiates()) {
    if (link_up_) drop_link();
    return force_link();
  }
  if (started_) negotiate();
}

void Phy::apply_control(bool restart) {
  stop_negotiation();
  if (has(mii::kControl, mii::kControlLoopback)) {
    drop_link();
    const std::uint16_t control = values_[mii::kControl];
    return raise_link(forced_speed(control), (control & mii::kControlFullDuplex) != 0);
  }
  if (!powered()) return drop_link();
  if (!negotiates()) {
    drop_link();
    return force_link();
  }
  if (restart) started_ = true;
  if (started_) negotiate();
}

void Phy::stop_negotiation() {
  timers_.cancel(negotiated_);
  waiting_for_partner_ = false;
}

void Phy::stop_link() {
  stop_negotiation();
  started_ = false;
  drop_link();
}

/// Both ends advertise Energy Efficient Ethernet at the link's speed.
bool Phy::saves_energy() const noexcept {
  const unsigned mode = speed_ == 2 ? mii::kEee1000 : speed_ == 1 ? mii::kEee100 : 0U;
  return link_up_ && full_duplex_ && (efficient_ & partner_.efficient & mode) != 0;
}

void Phy::negotiate() {
  stop_negotiation();
  drop_link();
  if (medium()) timers_.start(negotiated_, kNegotiationTime);
}

// Linux igb writes IPCNFG after it has started the negotiation (igb_main.c, igb_reset).
void Phy::finish_negotiation() {
  efficient_ = 0;
  if (traits_.extended != mii::Extended::none) {
    const hw::IPCNFG::Value chosen = registers_.get<hw::IPCNFG>();
    efficient_ = static_cast<std::uint16_t>((chosen.has(hw::IPCNFG::EEE_100M_AN) ? mii::kEee100 : 0) |
                                            (chosen.has(hw::IPCNFG::EEE_1G_AN) ? mii::kEee1000 : 0));
  }
  waiting_for_partner_ = partner_.negotiates && partner_.busy;
  if (!waiting_for_partner_) resolve();
  announce();
}

void Phy::detect_in_parallel() {
  if ((partner_.abilities & k100) != 0) return raise_link(1, false);
  if ((partner_.abilities & k10) != 0) return raise_link(0, false);
}

/// At 1000 Mb/s one side is the master. Records a fault if both sides insist on the same role.
bool Phy::roles_differ() {
  if (role() == LinkSignal::Role::automatic || role() != partner_.role) return true;
  values_[mii::kGigabitStatus] |= mii::kGigabitRoleFault;
  return false;
}

// Selects the best mode that both sides advertise, in the order of IEEE 802.3, annex 28B.3. There is no link without a
// common mode, or if the pairs do not cross.
void Phy::resolve() {
  waiting_for_partner_ = false;
  values_[mii::kStatus] |= mii::kStatusAutonegotiated;
  values_[mii::kPartner] = partner_.abilities;
  values_[mii::kExpansion] = 0;
  if (crossover() != LinkSignal::Crossover::automatic && crossover() == partner_.crossover) return;
  if (!partner_.negotiates) return detect_in_parallel();
  values_[mii::kPartner] |= kPartnerAcknowledge;
  values_[mii::kExpansion] = kPartnerNegotiates;
  const unsigned half = partner_.gigabit_half ? mii::kGigabitPartnerHalf : 0;
  const unsigned full = partner_.gigabit_full ? mii::kGigabitPartnerFull : 0;
  values_[mii::kGigabitStatus] = static_cast<std::uint16_t>(half | full | mii::kGigabitRemoteOk | mii::kGigabitLocalOk);
  const unsigned gigabit = advertised_gigabit();
  const bool gigabit_full = (gigabit & mii::kGigabitFull) != 0 && partner_.gigabit_full;
  const bool gigabit_half = (gigabit & mii::kGigabitHalf) != 0 && partner_.gigabit_half;
  if (gigabit_full || gigabit_half) {
    if (roles_differ()) raise_link(2, gigabit_full);
    return;
  }
  const unsigned common = advertised() & partner_.abilities;
  if ((common & k100) != 0) return raise_link(1, (common & mii::k100Full) != 0);
  if ((common & k10) != 0) return raise_link(0, (common & mii::k10Full) != 0);
}

void Phy::drop_link() {
  if (link_up_) {
    link_was_lost_ = true;
    ++link_losses_;
  }
  link_up_ = false;
  values_[mii::kStatus] &= static_cast<std::uint16_t>(~mii::kStatusAutonegotiated);
  values_[mii::kPartner] = 0;
  values_[mii::kGigabitStatus] = 0;
  values_[traits_.status.number] = 0;
  actions_.link_changed();
}

/// A forced side has a link if the other side has the same speed or can detect it.
void Phy::force_link() {
  const std::uint16_t control = values_[mii::kControl];
  const std::uint32_t speed = forced_speed(control);
  const unsigned at_speed = speed == 1 ? k100 : speed == 0 ? k10 : 0;
  const bool partner_follows =
      speed == 2 ? partner_.gigabit_full || partner_.gigabit_half : (partner_.abilities & at_speed) != 0;
  if (medium() && partner_follows) raise_link(speed, (control & mii::kControlFullDuplex) != 0);
}

void Phy::raise_link(std::uint32_t speed, bool full_duplex) {
  speed_ = speed;
  full_duplex_ = full_duplex;
  link_up_ = true;
  const mii::StatusRegister& status = traits_.status;
  unsigned value = status.speed_bits(speed_);
  if (mdix_) value |= status.mdix;
  if (polarity_reversed_ && (speed_ == 0 || traits_.cable != mii::CableMeasure::gains)) {
    value |= status.polarity_reversed;
  }
  values_[status.number] = static_cast<std::uint16_t>(value);
  actions_.link_changed();
}

}  // namespace pollux::models::igb
