// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/nvm_pins.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "hw/intel/igb/eeprom.hpp"

namespace pollux::models::igb {
namespace {

namespace eeprom = pollux::hw::igb::eeprom;

}  // namespace

NvmPins::NvmPins(Timers& timers, std::span<std::uint16_t> words)
    : timers_(timers), words_(words), written_(timers.add([] {})) {}

void NvmPins::reset() {
  phase_ = Phase::instruction;
  bits_ = 0;
  shifted_ = 0;
  high_ = true;
  clock_ = false;
  out_ = false;
  page_changed_ = {};
  new_protection_.reset();
}

bool NvmPins::set(bool select_high, bool clock, bool data_in) {
  const bool was_high = std::exchange(clock_, clock);
  const bool rises = clock && !was_high;
  if (select_high) {
    if (!std::exchange(high_, true)) deselected();
    return out_ = false;
  }
  if (high_) {  // a new instruction
    reset();
    high_ = false;
    clock_ = clock;
  }
  if (rises) rising_clock(data_in);
  return out_;
}

void NvmPins::rising_clock(bool data_in) {
  if (phase_ == Phase::read || phase_ == Phase::status) {
    if (bits_ == 0) shifted_ = next_out();
    out_ = (shifted_ & 0x80) != 0;
    shifted_ = static_cast<std::uint8_t>(shifted_ << 1);
    bits_ = (bits_ + 1) % 8;
    return;
  }
  shifted_ = static_cast<std::uint8_t>(shifted_ << 1 | (data_in ? 1 : 0));
  bits_ = (bits_ + 1) % 8;
  if (bits_ == 0) take_byte(shifted_);
}

void NvmPins::take_byte(std::uint8_t byte) {
  switch (phase_) {
    case Phase::instruction: return begin(byte);
    case Phase::address:
      address_ = byte | ((instruction_ & eeprom::kAddressBit8) != 0 ? std::size_t{0x100} : 0);
      phase_ = (instruction_ & ~eeprom::kAddressBit8) == eeprom::kRead ? Phase::read : Phase::write;
      return;
    case Phase::new_status: new_protection_ = (byte & eeprom::kProtection) >> eeprom::kProtectionShift; return;
    case Phase::write:
      page_[address_ % kPageBytes] = byte;
      page_changed_[address_ % kPageBytes] = true;
      address_ = address_ / kPageBytes * kPageBytes + (address_ + 1) % kPageBytes;  // stays in its page
      return;
    default: return;
  }
}

// During a write only the status can be read. Write enable and disable take effect at once.
void NvmPins::begin(std::uint8_t instruction) {
  instruction_ = instruction;
  phase_ = Phase::ignored;
  if (instruction == eeprom::kReadStatus) phase_ = Phase::status;
  if (timers_.running(written_)) return;
  if (instruction == eeprom::kWriteEnable) write_enabled_ = true;
  if (instruction == eeprom::kWriteDisable) write_enabled_ = false;
  const auto plain = static_cast<std::uint8_t>(instruction & ~eeprom::kAddressBit8);
  if (plain == eeprom::kRead || (plain == eeprom::kWrite && write_enabled_)) phase_ = Phase::address;
  if (instruction == eeprom::kWriteStatus && write_enabled_) phase_ = Phase::new_status;
}

std::uint8_t NvmPins::next_out() {
  if (phase_ == Phase::status) {
    return static_cast<std::uint8_t>((timers_.running(written_) ? eeprom::kBusy : 0) |
                                     (write_enabled_ ? eeprom::kWriteEnabled : 0) |
                                     protection_ << eeprom::kProtectionShift);
  }
  const std::size_t address = address_;
  address_ = (address_ + 1) % kBytes;
  return read_byte(address);
}

/// Executes a write that ended at a byte's end. One to a protected page changes nothing.
void NvmPins::deselected() {
  if (phase_ == Phase::new_status && bits_ == 0 && new_protection_) {
    protection_ = *new_protection_;
    return begin_write();
  }
  if (phase_ != Phase::write || bits_ != 0 || std::ranges::none_of(page_changed_, std::identity())) return;
  const std::size_t page = address_ / kPageBytes * kPageBytes;
  if (page >= eeprom::first_protected(protection_, kBytes)) {
    write_enabled_ = false;
    return;
  }
  for (std::size_t i = 0; i < kPageBytes; ++i) {
    if (page_changed_[i]) write_byte(page + i, page_[i]);
  }
  begin_write();
}

void NvmPins::begin_write() {
  write_enabled_ = false;
  timers_.start(written_, kWriteTime);
}

std::uint8_t NvmPins::read_byte(std::size_t address) const {
  return static_cast<std::uint8_t>(words_[address / 2] >> (address % 2 == 0 ? 0 : 8) & 0xFF);
}

void NvmPins::write_byte(std::size_t address, std::uint8_t value) {
  std::uint16_t& word = words_[address / 2];
  word = static_cast<std::uint16_t>(address % 2 == 0 ? (word & 0xFF00) | value : (word & 0x00FF) | value << 8);
}

}  // namespace pollux::models::igb
