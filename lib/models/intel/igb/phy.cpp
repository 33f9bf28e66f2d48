// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/phy.hpp"

namespace pollux::models::igb {
namespace {

namespace mii = hw::phy;

// Initial values: QEMU, igb_core.c, igb_phy_reg_init.
constexpr std::uint16_t kStatusAbilities = 0x7949;
constexpr std::uint16_t kAdvertiseAll = 0x0DE1;
constexpr std::uint16_t kGigabitControlAll = 0x0F00;
constexpr std::uint16_t kExtendedGigabit = 0x3000;
/// The page that others have left selected.
constexpr std::uint16_t kUsedPage = 7U << mii::kPageShift;
/// The answer to a frame that the PHY does not take: I210 datasheet, p. 90 (3.7.2.2).
constexpr std::uint32_t kNoAnswer = 0xFFFF;

}  // namespace

Phy::Phy(RegisterFile& registers, Timers& timers, const hw::phy::PhyTraits& traits, Actions actions)
    : registers_(registers),
      timers_(timers),
      traits_(traits),
      actions_(std::move(actions)),
      frame_done_(timers.add([this] { finish_frame(); })),
      negotiated_(timers.add([this] { finish_negotiation(); })),
      configured_timer_(timers.add([this] { finish_configuration(); })),
      configuration_(initial_configuration()) {
  registers_.on_write<hw::MDIC>([this](std::uint32_t, std::uint32_t value) { start_frame(hw::MDIC::Value(value)); });
  if (traits_.extended != mii::Extended::none) install_efficiency();
  set_defaults();
  set_dirty();
}

// EEER reports what was negotiated. Linux igb writes back what it has read (e1000_82575.c, igb_set_eee_i350).
void Phy::install_efficiency() {
  registers_.on_read<hw::EEER>([this](std::uint32_t) {
    const hw::EEER::Value stored = registers_.get<hw::EEER>();
    return (saves_energy() ? stored.with(hw::EEER::EEE_NEG) : stored).raw();
  });
  registers_.on_write<hw::EEER>([this](std::uint32_t, std::uint32_t value) {
    const auto status = hw::EEER::EEE_NEG | hw::EEER::RX_LPI_STATUS | hw::EEER::TX_LPI_STATUS;
    registers_.set<hw::EEER>(hw::EEER::Value(value).without(status));
  });
}

void Phy::set_defaults() {
  values_.fill(0);
  values_[mii::kControl] = mii::kControlAutonegotiate | mii::kControlFullDuplex | mii::kControlSpeedHigh;
  values_[mii::kStatus] = kStatusAbilities;
  values_[mii::kId1] = static_cast<std::uint16_t>(traits_.id >> 16);
  values_[mii::kId2] = static_cast<std::uint16_t>((traits_.id & mii::kIdMask) | 1);
  values_[mii::kAdvertise] = kAdvertiseAll;
  values_[mii::kGigabitControl] = kGigabitControlAll;
  values_[mii::kExtendedStatus] = kExtendedGigabit;
  values_[mii::kPortConfig] = 0x0120;
  if (traits_.low_power == mii::LowPower::phpm) values_[traits_.crossover.number] = traits_.crossover.automatic;
}

std::vector<Phy::Setting> Phy::initial_configuration() const {
  std::vector<Setting> settings;
  if (traits_.low_power == mii::LowPower::phy) settings.push_back({mii::kPowerManagement, mii::kLowPowerD0});
  if (leaves_page()) settings.push_back({traits_.paging.select, kUsedPage});
  return settings;
}

// Where all registers have pages, as on an I210, Linux's igb does not select any before it reads the PHY's identity.
bool Phy::leaves_page() const noexcept {
  return traits_.paging.select != 0 && traits_.paging.first == mii::kFirstPaged;
}

// Register values that the firmware of the host or another driver may leave.
void Phy::set_dirty() {
  values_[mii::kControl] = mii::kControlFullDuplex | mii::kControlSpeedLow;
  values_[mii::kAdvertise] = mii::kSelector8023 | mii::k10Half;
  values_[mii::kGigabitControl] = mii::kGigabitManualRole | mii::kGigabitMaster;
  values_[traits_.crossover.number] = traits_.crossover.mdix;
  if (traits_.low_power == mii::LowPower::phy) values_[mii::kPowerManagement] = mii::kLowPowerD0;
  if (leaves_page()) values_[traits_.paging.select] = kUsedPage;
}

bool Phy::low_power() const noexcept {
  if (traits_.low_power == mii::LowPower::phy) return has(mii::kPowerManagement, mii::kLowPowerD0);
  return registers_.get<hw::PHPM>().has(hw::PHPM::D0_LPLU);
}

void Phy::power_on() {
  timers_.cancel(configured_timer_);
  stop_link();
  set_defaults();
  set_dirty();
  untouched_ = true;
  in_reset_ = false;
  configured_ = true;
  announce();
}

void Phy::restore_defaults() {
  stop_link();
  set_defaults();
  announce();
}

void Phy::set_reset(bool active) {
  if (active == in_reset_) return;
  in_reset_ = active;
  if (session()) ++disturbed_sessions_;
  if (active) actions_.accessed();
  if (!active) return timers_.start(configured_timer_, kConfigureTime);
  timers_.cancel(configured_timer_);
  timers_.cancel(frame_done_);
  untouched_ = false;
  stop_link();
  set_defaults();
  set_configured(false);
  announce();
}

// [I-M-DIRTY] The NVM may ask for low-power link-up, and a driver has to switch it off (Linux, e1000_82575.c,
// igb_set_d0_lplu_state_82575). The card selects pages for its own writes, and may leave any page selected.
void Phy::finish_configuration() {
  for (const Setting& setting : configuration_) values_[setting.number] = setting.value;
  set_configured(true);
}

void Phy::set_configured(bool configured) {
  configured_ = configured;
  actions_.configuration_changed();
}

bool Phy::session() const { return registers_.get<hw::MANC>().has(hw::MANC::BLK_PHY_RST_ON_IDE); }

void Phy::start_frame(hw::MDIC::Value request) {
  actions_.accessed();
  registers_.set<hw::MDIC>(request.without(hw::MDIC::READY | hw::MDIC::ERROR));
  timers_.start(frame_done_, kFrameTime);
}

void Phy::finish_frame() {
  const hw::MDIC::Value request = registers_.get<hw::MDIC>();
  const std::uint32_t number = request.get(hw::MDIC::REGADD);
  const bool other = other_register(number).has_value();
  const bool reads = request.has(hw::MDIC::READ) && (other || (traits_.readable >> number & 1) != 0);
  const bool writes = request.has(hw::MDIC::WRITE) && !other && (traits_.writable >> number & 1) != 0;
  hw::MDIC::Value answer = request.with(hw::MDIC::READY);
  if (!accessible_ || !configured_) {
    ++early_accesses_;
    answer = answer.with(hw::MDIC::ERROR | hw::MDIC::DATA(kNoAnswer));
  } else if (!reaches_phy(request) || (!reads && !writes)) {
    answer = answer.with(hw::MDIC::ERROR);
  } else if (reads) {
    answer = answer.with(hw::MDIC::DATA(read(number)));
  } else {
    write(number, static_cast<std::uint16_t>(request.get(hw::MDIC::DATA)));
  }
  registers_.set<hw::MDIC>(answer);
}

bool Phy::reaches_phy(hw::MDIC::Value request) const {
  if (traits_.addressed_by_mdic) return request.get(hw::MDIC::PHYADD) == traits_.address;
  return !registers_.get<hw::MDICNFG>().has(hw::MDICNFG::EXT_MDIO);
}

bool Phy::paged(std::uint32_t number) const noexcept {
  const mii::Paging& paging = traits_.paging;
  return paging.select != 0 && number >= paging.first && number != paging.select;
}

std::uint32_t Phy::page() const noexcept { return values_[traits_.paging.select] >> traits_.paging.shift; }

// Only page 0 is modelled: the others read as zero, or as a test has set them, and ignore writes.
bool Phy::on_other_page(std::uint32_t number) {
  if (!paged(number) || page() == 0) return false;
  ++other_pages_;
  return true;
}

std::optional<std::uint16_t> Phy::other_register(std::uint32_t number) const {
  if (!paged(number)) return std::nullopt;
  const auto found = other_registers_.find(static_cast<std::uint16_t>(page() << mii::kPageShift | number));
  return found == other_registers_.end() ? std::nullopt : std::optional(found->second);
}

std::uint16_t Phy::read(std::uint32_t number) {
  if (const auto set = other_register(number)) return *set;
  if (on_other_page(number)) return 0;
  if (traits_.extended == mii::Extended::emi && number == mii::kEmiData) return extended();
  if (traits_.extended == mii::Extended::mmd && number == mii::kMmdData) return extended();
  if (number != mii::kStatus) return values_[number];
  const bool reported = link_up_ && !link_was_lost_;
  link_was_lost_ = false;
  return static_cast<std::uint16_t>(values_[number] | (reported ? mii::kStatusLink : 0));
}

// Of the registers beyond clause 22 the partner's Energy Efficient Ethernet alone is modelled; the others are zero.
std::uint16_t Phy::extended() const noexcept {
  const bool partners = traits_.extended == mii::Extended::emi
                            ? values_[mii::kEmiAddress] == mii::kEmiPartnerEee
                            : values_[mii::kMmdControl] == (mii::kMmdIsValue | mii::kMmdPartnerEeeDevice) &&
                                  values_[mii::kMmdData] == mii::kMmdPartnerEee;
  return partners && link_up_ ? partner_.efficient : std::uint16_t{0};
}

void Phy::write(std::uint32_t number, std::uint16_t value) {
  if (session()) ++disturbed_sessions_;
  if (on_other_page(number)) return;
  if (number == mii::kControl) return write_control(value);
  values_[number] = value;
}

void Phy::write_control(std::uint16_t value) {
  untouched_ = false;
  if ((value & mii::kControlReset) != 0) return restore_defaults();
  constexpr std::uint16_t kStored = 0x7DC0;  // excludes the self-clearing bits for reset and restart, and reserved bits
  values_[mii::kControl] = static_cast<std::uint16_t>(value & kStored);
  apply_control((value & mii::kControlRestart) != 0);
  announce();
}

}  // namespace pollux::models::igb
