// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/control.hpp"

#include <algorithm>
#include <utility>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/filter.hpp"

namespace pollux::models::igb {

Control::Control(RegisterFile& registers, Timers& timers, Dma& dma, Phy& phy, Interrupts& interrupts,
                 std::uint32_t lan_id, Actions actions)
    : registers_(registers),
      timers_(timers),
      dma_(dma),
      phy_(phy),
      interrupts_(interrupts),
      actions_(std::move(actions)),
      master_disabled_(timers.add([this] {
        if (master_hangs_) return;
        master_enabled_ = false;
        dma_.set_master_enabled(false);
      })),
      lan_id_(lan_id) {
  registers_.on_write<hw::CTRL>([this](std::uint32_t, std::uint32_t value) { write_control(hw::CTRL::Value(value)); });
  registers_.on_read<hw::STATUS>([this](std::uint32_t) { return status().raw(); });
  registers_.on_write<hw::GCR>([this](std::uint32_t, std::uint32_t value) {
    registers_.set<hw::GCR>(hw::GCR::Value(value));
    update_completion_timeout();
  });
  registers_.on_write<hw::CTRL_EXT>([this](std::uint32_t, std::uint32_t value) {
    const bool announced = registers_.get<hw::CTRL_EXT>().has(hw::CTRL_EXT::PFRSTD);
    registers_.set<hw::CTRL_EXT>(hw::CTRL_EXT::Value(value).without(hw::CTRL_EXT::EE_RST));
    if (!announced && hw::CTRL_EXT::Value(value).has(hw::CTRL_EXT::PFRSTD)) actions_.reset_announced();
  });
}

// [I-M-COMPLETION] The shortest time that each setting may have. Values of Device Control 2: PCI Express
// Base 2.0, 7.8.16, as in Linux, pci_regs.h. Its default and the values of GCR: Linux, e1000_82575.c,
// igb_set_pcie_completion_timeout.
void Control::update_completion_timeout() {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  const auto gcr = registers_.get<hw::GCR>();
  constexpr Duration kDefault = microseconds(500);
  if (!gcr.has(hw::GCR::CAP_VER2)) {
    const std::uint32_t value = gcr.get(hw::GCR::COMPLETION_TIMEOUT);
    return dma_.set_completion_timeout(value == 1 ? milliseconds(10) : value == 2 ? std::chrono::seconds(4) : kDefault);
  }
  constexpr unsigned kDisabled = 0x10;
  if ((device_control2_ & kDisabled) != 0) return dma_.set_completion_timeout(Duration::max());
  Duration timeout = kDefault;
  switch (device_control2_ & 0xF) {
    case 1: timeout = microseconds(50); break;
    case 2: timeout = milliseconds(1); break;
    case 5: timeout = milliseconds(16); break;
    case 6: timeout = milliseconds(65); break;
    case 9: timeout = milliseconds(260); break;
    case 10: timeout = milliseconds(1000); break;
    case 13: timeout = milliseconds(4000); break;
    case 14: timeout = milliseconds(17000); break;
    default: break;
  }
  dma_.set_completion_timeout(timeout);
}

void Control::set_device_control2(std::uint16_t value) {
  device_control2_ = value;
  update_completion_timeout();
}

void Control::reset(bool function_level) {
  if (function_level) master_hangs_ = false;
  timers_.cancel(master_disabled_);
  master_enabled_ = true;
  dma_.set_master_enabled(true);
  phy_.set_reset(false);
  phy_was_reset_ = true;
  link_up_ = false;
  paused_ = false;
  update_completion_timeout();
  // QEMU, igb_core.c, igb_mac_reg_init, but without LRST. In QEMU, LRST hides GIO_MASTER_ENABLE until software clears
  // it.
  registers_.set<hw::CTRL>(hw::CTRL::FD | hw::CTRL::SPEED(2) | hw::CTRL::ADVD3WUC);
}

void Control::set_in_reset(bool in_reset) {
  const hw::CTRL::Value control = registers_.get<hw::CTRL>();
  registers_.set<hw::CTRL>(in_reset ? control.with(hw::CTRL::RST) : control.without(hw::CTRL::RST));
}

void Control::write_control(hw::CTRL::Value value) {
  if (value.has(hw::CTRL::RST)) return actions_.reset();
  registers_.set<hw::CTRL>(value);
  phy_.set_reset(value.has(hw::CTRL::PHY_RST));
  if (value.has(hw::CTRL::PHY_RST)) phy_was_reset_ = true;
  if (!value.has(hw::CTRL::GIO_MASTER_DISABLE)) {
    timers_.cancel(master_disabled_);
    master_enabled_ = true;
    dma_.set_master_enabled(true);
  } else if (master_enabled_ && !timers_.running(master_disabled_)) {
    timers_.start(master_disabled_, kMasterDisableTime);
  }
  update_link();
}

// [I-M-SLU] The MAC's link is up only while CTRL.SLU is set. The 82575 family's drivers set it on copper (Linux igb,
// e1000_82575.c, igb_setup_copper_link_82575). QEMU's card does not require it.
void Control::update_link() {
  const bool up = phy_.link_up() && registers_.get<hw::CTRL>().has(hw::CTRL::SLU);
  if (up == link_up_) return;
  link_up_ = up;
  actions_.link_changed();
  interrupts_.raise(hw::ICR::LSC);
}

bool Control::full_duplex() const {
  const hw::CTRL::Value control = registers_.get<hw::CTRL>();
  return control.has(hw::CTRL::FRCDPX) ? control.has(hw::CTRL::FD) : phy_.full_duplex();
}

hw::STATUS::Value Control::status() const {
  const hw::CTRL::Value control = registers_.get<hw::CTRL>();
  hw::STATUS::Value value = hw::STATUS::LAN_ID(lan_id_);
  if (full_duplex()) value = value.with(hw::STATUS::FD);
  if (link_up_) value = value.with(hw::STATUS::LU);
  if (paused_) value = value.with(hw::STATUS::TXOFF);
  if (functions_ != 0) value = value.with(hw::STATUS::NUM_VFS(functions_) | hw::STATUS::IOV_MODE);
  if (phy_was_reset_) value = value.with(hw::STATUS::PHYRA);
  if (master_enabled_) value = value.with(hw::STATUS::GIO_MASTER_ENABLE);
  const std::uint32_t speed = control.has(hw::CTRL::FRCSPD) ? control.get(hw::CTRL::SPEED) : phy_.speed();
  return value.with(hw::STATUS::SPEED(speed));
}

namespace {

constexpr std::size_t kAddressBytes = 6;
/// A magic packet has six bytes of ones, then the address 16 times, anywhere in the frame.
constexpr std::size_t kMagicRepeats = 16;
constexpr std::size_t kMagicBytes = kAddressBytes * (kMagicRepeats + 1);
constexpr std::size_t kKeptBytes = std::size_t{hw::WUPM::kCount} * 4;

bool is_magic(std::span<const std::byte> frame, const std::array<std::byte, kAddressBytes>& mac) {
  for (std::size_t start = 0; start + kMagicBytes <= frame.size(); ++start) {
    const auto pattern = frame.subspan(start, kMagicBytes);
    const auto ones = pattern.first(kAddressBytes);
    if (!std::ranges::all_of(ones, [](std::byte b) { return b == std::byte{0xFF}; })) continue;
    bool repeats = true;
    for (std::size_t at = kAddressBytes; at < kMagicBytes && repeats; ++at) {
      repeats = pattern[at] == mac[at % kAddressBytes];
    }
    if (repeats) return true;
  }
  return false;
}

}  // namespace

hw::WUS::Value Wake::reasons(std::span<const std::byte> frame) const {
  const auto wanted = registers_.get<hw::WUFC>();
  const auto to = frame.first(kAddressBytes);
  const bool broadcast = is_broadcast(frame);
  hw::WUS::Value found;
  if (wanted.has(hw::WUFC::MAG) && is_magic(frame, own_address(registers_))) found = found.with(hw::WUS::MAG);
  if (wanted.has(hw::WUFC::EX) && std::ranges::equal(to, own_address(registers_))) found = found.with(hw::WUS::EX);
  if (wanted.has(hw::WUFC::MC) && is_multicast(frame) && !broadcast) found = found.with(hw::WUS::MC);
  if (wanted.has(hw::WUFC::BC) && broadcast) found = found.with(hw::WUS::BC);
  return found;
}

void Wake::frame(std::span<const std::byte> frame) {
  if (!armed() || frame.size() < kAddressBytes) return;
  const hw::WUS::Value found = reasons(frame);
  if (found == hw::WUS::Value()) return;
  if (registers_.get<hw::WUS>() == hw::WUS::Value()) {
    registers_.set<hw::WUPL>(hw::WUPL::Value(static_cast<std::uint32_t>(frame.size() + 4)));
    for (std::size_t at = 0; at < std::min(frame.size(), kKeptBytes); ++at) {
      const auto word = static_cast<std::uint32_t>(at / 4);
      const auto byte = std::to_integer<std::uint32_t>(frame[at]) << 8 * (at % 4);
      registers_.set<hw::WUPM>(word, hw::WUPM::Value((at % 4 == 0 ? 0 : registers_.get<hw::WUPM>(word).raw()) | byte));
    }
  }
  request(found);
}

void Wake::link_is(bool up) {
  if (std::exchange(link_up_, up) == up) return;
  if (armed() && registers_.get<hw::WUFC>().has(hw::WUFC::LNKC)) request(hw::WUS::Value(hw::WUS::LNKC));
}

void Wake::request(hw::WUS::Value reasons) {
  registers_.set<hw::WUS>(hw::WUS::Value(registers_.get<hw::WUS>().raw() | reasons.raw()));
  registers_.change<hw::WUC>(0, hw::WUC::PME_STATUS);
}

namespace {

constexpr std::array kPauseAddress{std::byte{0x01}, std::byte{0x80}, std::byte{0xC2},
                                   std::byte{0x00}, std::byte{0x00}, std::byte{0x01}};
constexpr std::uint16_t kMacControl = 0x8808;
constexpr std::uint16_t kPause = 0x0001;
constexpr std::size_t kOpcodeAt = 14;
constexpr std::size_t kQuantaAt = 16;
constexpr std::size_t kPauseBytes = 60;
constexpr std::uint32_t kThresholdUnit = 16;

}  // namespace

FlowControl::FlowControl(RegisterFile& registers, Timers& timers, Statistics& statistics, Actions actions)
    : registers_(registers),
      timers_(timers),
      statistics_(statistics),
      actions_(std::move(actions)),
      resume_(timers.add([this] { actions_.pause(false); })),
      refresh_(timers.add([this] { refresh(); })) {}

void FlowControl::reset() {
  timers_.cancel(refresh_);
  xoff_sent_ = false;
  level_ = 0;
  set_link(false, speed_);
}

void FlowControl::set_link(bool up, std::uint32_t speed) {
  link_up_ = up;
  speed_ = std::min(speed, 2U);
  if (up || !paused()) return;
  timers_.cancel(resume_);
  actions_.pause(false);
}

/// The duration of `count` quanta. A quantum is the time of 512 bits.
Duration FlowControl::quanta(std::uint32_t count) const noexcept {
  constexpr std::array<std::int64_t, 3> kNanoseconds{51200, 5120, 512};
  return Duration(kNanoseconds[speed_] * count);
}

/// True if the destination is the global pause address or the card's own address.
bool FlowControl::is_for_us(std::span<const std::byte> frame) const {
  const auto destination = frame.first(kPauseAddress.size());
  return std::ranges::equal(destination, kPauseAddress) || std::ranges::equal(destination, own_address(registers_));
}

bool FlowControl::take(std::span<const std::byte> frame) {
  if (!registers_.get<hw::CTRL>().has(hw::CTRL::RFCE) || !is_for_us(frame)) return false;
  const bool supported = read_big16(frame, kOpcodeAt) == kPause;
  const std::uint32_t count = read_big16(frame, kQuantaAt);
  if (!supported) {
    statistics_.count<hw::FCRUC>();
  } else if (count == 0) {
    statistics_.count<hw::XONRXC>();
    timers_.cancel(resume_);
    actions_.pause(false);
  } else {
    statistics_.count<hw::XOFFRXC>();
    timers_.start(resume_, quanta(count));
    actions_.pause(true);
  }
  const hw::RCTL::Value control = registers_.get<hw::RCTL>();
  const bool consumed = supported ? control.has(hw::RCTL::DPF) : !control.has(hw::RCTL::PMCF);
  if (consumed) statistics_.arrived(frame.size() + hw::kCrcBytes);
  return consumed;
}

void FlowControl::send(std::uint32_t quanta) {
  std::array<std::byte, kPauseBytes> frame{};
  std::ranges::copy(kPauseAddress, frame.begin());
  std::ranges::copy(own_address(registers_), frame.begin() + kPauseAddress.size());
  frame[12] = static_cast<std::byte>(kMacControl >> 8);
  frame[13] = static_cast<std::byte>(kMacControl & 0xFF);
  frame[kOpcodeAt + 1] = static_cast<std::byte>(kPause);
  frame[kQuantaAt] = static_cast<std::byte>(quanta >> 8);
  frame[kQuantaAt + 1] = static_cast<std::byte>(quanta & 0xFF);
  if (quanta == 0) {
    statistics_.count<hw::XONTXC>();
  } else {
    statistics_.count<hw::XOFFTXC>();
  }
  statistics_.left(frame.size() + hw::kCrcBytes);
  actions_.send(frame);
}

void FlowControl::send_for_software() { send(registers_.get<hw::FCTTV>().get(hw::FCTTV::TTV)); }

// The link partner's pause time is tracked. When the remaining time reaches FCRTV, the pause frame is sent again.
void FlowControl::send_xoff() {
  xoff_sent_ = true;
  const std::uint32_t time = registers_.get<hw::FCTTV>().get(hw::FCTTV::TTV);
  send(time);
  const std::uint32_t threshold = registers_.get<hw::FCRTV>().get(hw::FCRTV::REFRESH);
  if (threshold != 0 && threshold < time) timers_.start(refresh_, quanta(time - threshold));
}

void FlowControl::refresh() {
  if (xoff_sent_ && link_up_ && registers_.get<hw::CTRL>().has(hw::CTRL::TFCE)) send_xoff();
}

void FlowControl::set_level(std::size_t bytes) {
  level_ = bytes;
  if (!link_up_ || !registers_.get<hw::CTRL>().has(hw::CTRL::TFCE)) return;
  const std::size_t high = std::size_t{registers_.get<hw::FCRTH>().get(hw::FCRTH::RTH)} * kThresholdUnit;
  const std::size_t low = std::size_t{registers_.get<hw::FCRTL>().get(hw::FCRTL::RTL)} * kThresholdUnit;
  if (!xoff_sent_ && high != 0 && level_ >= high) return send_xoff();
  if (!xoff_sent_ || level_ > low) return;
  xoff_sent_ = false;
  timers_.cancel(refresh_);
  if (registers_.get<hw::FCRTL>().has(hw::FCRTL::XONE)) send(0);
}

}  // namespace pollux::models::igb
