// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/package.hpp"

#include <algorithm>

#include "hw/intel/igb/ids.hpp"

namespace pollux::models::igb {
namespace {

using Sync = hw::SW_FW_SYNC;

/// I210 datasheet, p. 415: firmware may take SWESMBI from software that holds it for longer.
constexpr Duration kSemaphoreLimit = std::chrono::milliseconds(10);

/// The software's bits of a port's PHY.
std::uint32_t phy_bit(Package::Port port) {
  static constexpr std::array<Sync::Setting, 4> kBits{Sync::SW_PHY0, Sync::SW_PHY1, Sync::SW_PHY2, Sync::SW_PHY3};
  return kBits[port % kBits.size()].bits();
}

}  // namespace

hw::SWSM::Value Package::read_swsm(Port port, Duration now) {
  hw::SWSM::Value value;
  if (smbi_.by) value = value.with(hw::SWSM::SMBI);
  if (swesmbi_.by) value = value.with(hw::SWSM::SWESMBI);
  if (!smbi_.by) smbi_ = {port, now};
  return value;
}

void Package::release(Held& semaphore, Port port, Duration now, Duration dead) {
  if (semaphore.by && *semaphore.by != port && now - semaphore.since < dead) ++violations_.taken_from_living;
  semaphore = {};
}

// SWESMBI cannot be set while firmware has its semaphore (I210 datasheet, p. 415).
void Package::write_swsm(Port port, hw::SWSM::Value value, Duration now) {
  if (value.has(hw::SWSM::SWESMBI)) {
    if (!swesmbi_.by && !firmware_semaphore_) swesmbi_ = {port, now};
  } else if (swesmbi_.by) {
    if (swesmbi_.by == port && now - swesmbi_.since > kSemaphoreLimit) ++violations_.semaphore_kept;
    release(swesmbi_, port, now, kDeadSemaphore);
  }
  if (!value.has(hw::SWSM::SMBI)) release(smbi_, port, now, kDeadSemaphore);
}

hw::FWSM::Value Package::fwsm() const {
  return firmware_semaphore_ ? hw::FWSM::Value(hw::FWSM::FW_SEMAPHORE) : hw::FWSM::Value();
}

// [I-SWFW] Software's writes do not reach firmware's half.
void Package::write_sync(Port port, Sync::Value value, Duration now) {
  if (!holds_semaphores(port)) ++violations_.without_semaphores;
  if (value.raw() >> kSoftwareBits != 0) ++violations_.firmware_bits;
  const std::uint32_t before = sync_.raw();
  const std::uint32_t software = value.raw() & Sync::kSoftwareHalf;
  for (std::uint32_t bit = 0; bit < kSoftwareBits; ++bit) {
    const std::uint32_t mask = 1U << bit;
    Held& owner = owners_[bit];
    const bool foreign = owner.by && *owner.by != port;
    if ((software & mask) != 0 && (before & mask) == 0) {
      if ((before & mask << kSoftwareBits) != 0) ++violations_.taken_from_living;
      owner = {port, now};
    } else if ((software & mask) == 0 && (before & mask) != 0) {
      if (foreign && now - owner.since < kDeadOwner) ++violations_.taken_from_living;
      owner = {};
    }
  }
  sync_ = Sync::Value((before & ~Sync::kSoftwareHalf) | software);
}

Duration Package::begin_nvm_read(Port port, Duration now) {
  const bool owns = sync_.has(Sync::SW_EEP) && owners_[0].by == port;
  if (!owns) ++violations_.nvm_without_owner;
  const bool busy = sync_.has(Sync::FW_EEP) && firmware_due_ != Duration::max() && firmware_due_ > now;
  return busy ? firmware_due_ - now : Duration(0);
}

void Package::access_phy(Port port) {
  const std::uint32_t bit = phy_bit(port);
  std::uint32_t number = 0;
  while (bit >> number != 1) ++number;
  if ((sync_.raw() & bit) == 0 || owners_[number].by != port) ++violations_.phy_without_owner;
}

void Package::set_firmware(const FirmwareOptions& options, Duration now) {
  firmware_ = options;
  firmware_due_ = options.interval > Duration(0) ? now + options.interval : Duration::max();
}

// A use of the resource has three steps: the semaphore, then the resource, then the semaphore to give it back. In each
// step firmware changes SW_FW_SYNC only while it holds the semaphore.
Duration Package::run_firmware(Duration now) {
  const std::uint32_t resource = firmware_.resource.bits();
  while (firmware_due_ <= now) {
    if (!firmware_semaphore_) {
      firmware_semaphore_ = !swesmbi_.by;
      firmware_due_ += kFirmwareStep;
    } else if ((sync_.raw() & resource) != 0) {
      sync_ = Sync::Value(sync_.raw() & ~resource);
      firmware_semaphore_ = false;
      firmware_due_ += firmware_.interval;
    } else if ((sync_.raw() & resource >> kSoftwareBits) != 0) {
      firmware_semaphore_ = false;
      firmware_due_ += firmware_.interval;
    } else {
      sync_ = Sync::Value(sync_.raw() | resource);
      ++firmware_turns_;
      firmware_semaphore_ = false;
      firmware_due_ += firmware_.hold;
    }
  }
  return firmware_due_;
}

void Package::leave(Port port, hw::SWSM::Value semaphores, Sync::Value resources, Duration now) {
  if (semaphores.has(hw::SWSM::SMBI)) smbi_ = {port, now};
  if (semaphores.has(hw::SWSM::SWESMBI)) swesmbi_ = {port, now};
  for (std::uint32_t bit = 0; bit < kSoftwareBits; ++bit) {
    if ((resources.raw() >> bit & 1) != 0) owners_[bit] = {port, now};
  }
  sync_ = Sync::Value(sync_.raw() | resources.raw());
}

namespace {

namespace eeprom = pollux::hw::igb::eeprom;

}  // namespace

NvmPins::NvmPins(Timers& timers, std::span<std::uint16_t> words, const eeprom::Geometry& geometry)
    : timers_(timers), words_(words), geometry_(geometry), written_(timers.add([] {})) {}

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
      address_ = byte;
      if (geometry_.address_bits == 16) return void(phase_ = Phase::address_rest);
      return take_address(address_ | ((instruction_ & eeprom::kAddressBit8) != 0 ? std::size_t{0x100} : 0));
    case Phase::address_rest: return take_address(address_ << 8 | byte);
    case Phase::new_status: new_protection_ = (byte & eeprom::kProtection) >> eeprom::kProtectionShift; return;
    case Phase::write:
      page_[address_ % geometry_.page_bytes] = byte;
      page_changed_[address_ % geometry_.page_bytes] = true;
      // It stays in its page.
      address_ = address_ / geometry_.page_bytes * geometry_.page_bytes + (address_ + 1) % geometry_.page_bytes;
      return;
    default: return;
  }
}

void NvmPins::take_address(std::size_t address) {
  address_ = address % bytes();
  phase_ = (instruction_ & ~eeprom::kAddressBit8) == eeprom::kRead ? Phase::read : Phase::write;
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
  address_ = (address_ + 1) % bytes();
  return read_byte(address);
}

/// Executes a write that ended at a byte's end. One to a protected page changes nothing.
void NvmPins::deselected() {
  if (phase_ == Phase::new_status && bits_ == 0 && new_protection_) {
    protection_ = *new_protection_;
    return begin_write();
  }
  if (phase_ != Phase::write || bits_ != 0 || std::ranges::none_of(page_changed_, std::identity())) return;
  const std::size_t page = address_ / geometry_.page_bytes * geometry_.page_bytes;
  if (page >= eeprom::first_protected(protection_, static_cast<std::uint32_t>(bytes()))) {
    write_enabled_ = false;
    return;
  }
  for (std::size_t i = 0; i < geometry_.page_bytes; ++i) {
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

namespace {

constexpr std::uint16_t kImageVersion = 0x1000;  // 1.0

}  // namespace

Nvm::Nvm(RegisterFile& registers, Timers& timers, const hw::nvm::NvmTraits& traits,
         std::function<Duration()> begin_read)
    : registers_(registers),
      timers_(timers),
      traits_(traits),
      begin_read_(std::move(begin_read)),
      done_(timers.add([this] { finish_read(); })),
      pins_(timers, words_, eeprom::geometry(traits.size, traits.long_addresses)) {
  words_.fill(0xFFFF);  // the value of erased memory
  registers_.on_write<hw::EERD>([this](std::uint32_t, std::uint32_t value) { start_read(hw::EERD::Value(value)); });
  registers_.on_write<hw::EECD>([this](std::uint32_t, std::uint32_t value) { write_pins(hw::EECD::Value(value)); });
  if (!registers.traits().later_registers) return;
  registers_.on_write<hw::EEWR>([this](std::uint32_t, std::uint32_t value) { write_word(hw::EEWR::Value(value)); });
}

/// The copy of a flash changes at once. Linux igb, e1000_i210.c, igb_write_nvm_srwr.
void Nvm::write_word(hw::EEWR::Value request) {
  const std::uint32_t address = request.get(hw::EEWR::ADDR);
  if (!request.has(hw::EEWR::START) || traits_.storage != hw::nvm::Storage::flash || address >= kWords) return;
  words_[address] = static_cast<std::uint16_t>(request.get(hw::EEWR::DATA));
  registers_.set<hw::EEWR>(request.without(hw::EEWR::START).with(hw::EEWR::DONE));
}

/// The pins are connected while access is requested. The grant comes at once. A card with a flash has none, and reports
/// that it has updated the flash.
void Nvm::write_pins(hw::EECD::Value written) {
  if (traits_.storage != hw::nvm::Storage::eeprom) return;
  const auto keep =
      hw::EECD::PRES | hw::EECD::AUTO_RD | hw::EECD::ADDR_BITS | hw::EECD::SIZE(hw::EECD::SIZE.max()) | hw::EECD::DO;
  hw::EECD::Value stored(written.without(keep).raw() |
                         (registers_.get<hw::EECD>().without(hw::EECD::DO).raw() & keep.mask()));
  if (written.has(hw::EECD::REQ)) {
    const bool out = pins_.set(written.has(hw::EECD::CS), written.has(hw::EECD::SK), written.has(hw::EECD::DI));
    stored = out ? stored.with(hw::EECD::GNT | hw::EECD::DO) : stored.with(hw::EECD::GNT);
  } else {
    pins_.reset();
    stored = stored.without(hw::EECD::GNT);
  }
  registers_.set<hw::EECD>(stored);
}

void Nvm::program(std::array<std::uint8_t, 6> mac, std::uint16_t device_id, std::uint32_t port) {
  port_ = port;
  if (traits_.storage == hw::nvm::Storage::one_time) return program_records(mac);
  for (std::uint32_t section = 0; section < traits_.sections; ++section) {
    std::array<std::uint8_t, 6> own = mac;
    if (traits_.sections != 1) own[4] = static_cast<std::uint8_t>(mac[4] + section - port);
    program_section(hw::nvm::section_of(traits_, section), own, device_id);
  }
}

void Nvm::program_section(std::uint16_t first, std::array<std::uint8_t, 6> mac, std::uint16_t device_id) {
  namespace layout = hw::nvm;
  const auto words = std::span(words_).subspan(first);
  for (std::size_t i = 0; i < 3; ++i) {
    words[layout::kMacAddress + i] = static_cast<std::uint16_t>(mac[2 * i] | mac[2 * i + 1] << 8);
  }
  for (std::size_t i = 3; i <= traits_.checksum; ++i) words[i] = 0;
  words[layout::kSubsystemId] = device_id;
  words[layout::kSubsystemVendorId] = hw::kVendorId;
  words[layout::kDeviceId] = device_id;
  words[layout::kVendorId] = hw::kVendorId;
  words[layout::kVersion] = kImageVersion;
  words[layout::kInitControl2] = layout::kPauseBoth;
  if (traits_.alternate_mac_pointer) words[*traits_.alternate_mac_pointer] = 0xFFFF;
  words[traits_.checksum] = layout::checksum_for(words.first(traits_.checksum));
}

/// The iNVM of a card without a flash has the address alone: Linux igb, e1000_i210.c, igb_read_invm_i210.
void Nvm::program_records(std::array<std::uint8_t, 6> mac) {
  for (std::uint32_t i = 0; i < 3; ++i) {
    words_[i] = static_cast<std::uint16_t>(mac[2 * i] | mac[2 * i + 1] << 8);
  }
}

std::array<std::uint8_t, 6> Nvm::mac() const {
  const auto words = std::span(words_).subspan(hw::nvm::section_of(traits_, port_));
  return hw::nvm::mac_address(words.first<3>());
}

void Nvm::reset() {
  timers_.cancel(done_);
  pins_.reset();
  loaded_ = false;
  waiting_ = false;
  auto state = hw::EECD::Value(hw::EECD::SIZE(traits_.size));
  if (traits_.long_addresses) state = state.with(hw::EECD::ADDR_BITS);
  if (traits_.storage != hw::nvm::Storage::one_time) state = state.with(hw::EECD::PRES);
  if (traits_.storage == hw::nvm::Storage::flash) state = state.with(hw::EECD::FLASH_DETECTED | hw::EECD::FLUDONE);
  registers_.set<hw::EECD>(state);
  if (traits_.storage != hw::nvm::Storage::one_time) return;
  std::uint32_t record = 0;
  for (const std::uint32_t i : {0U, 1U, 2U, hw::phy::kPllWord}) {
    if (i > 2 && words_[i] == 0xFFFF) continue;  // erased
    registers_.set<hw::INVM>(record++, hw::INVM::WORD | hw::INVM::WORD_ADDRESS(i) | hw::INVM::DATA(words_[i]));
  }
}

void Nvm::set_loaded(bool loaded) {
  loaded_ = loaded;
  if (loaded && std::exchange(waiting_, false)) timers_.start(done_, read_time_);
  const hw::EECD::Value eecd = registers_.get<hw::EECD>();
  registers_.set<hw::EECD>(loaded ? eecd.with(hw::EECD::AUTO_RD) : eecd.without(hw::EECD::AUTO_RD));
}

void Nvm::start_read(hw::EERD::Value request) {
  registers_.set<hw::EERD>(hw::EERD::ADDR(request.get(hw::EERD::ADDR)));
  if (!request.has(hw::EERD::START)) return;
  const Duration delay = begin_read_();
  if (traits_.storage == hw::nvm::Storage::one_time) return;  // there is nothing to read
  waiting_ = !loaded_;
  if (loaded_) timers_.start(done_, delay + read_time_);
}

void Nvm::finish_read() {
  const std::uint32_t address = registers_.get<hw::EERD>().get(hw::EERD::ADDR);
  if (address >= kWords) return;  // never completes, as on QEMU's card (igb_core.c, igb_set_eerd)
  registers_.set<hw::EERD>(hw::EERD::ADDR(address) | hw::EERD::DATA(words_[address]) | hw::EERD::DONE);
}

}  // namespace pollux::models::igb
