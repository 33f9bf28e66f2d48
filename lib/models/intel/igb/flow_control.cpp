// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/flow_control.hpp"

#include <algorithm>
#include <array>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/filter.hpp"

namespace pollux::models::igb {
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
