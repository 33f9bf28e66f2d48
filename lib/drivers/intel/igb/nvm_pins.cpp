// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/nvm_pins.hpp"

// [I-SPI] Follows Linux, e1000_nvm.c, igb_acquire_nvm, igb_ready_nvm_eeprom, igb_write_nvm_spi and igb_release_nvm, and
// DPDK, e1000_nvm.c, the same functions. The EEPROM takes a bit when the clock rises, and is selected while CS is low.
namespace pollux::drivers::igb {
namespace {

namespace eeprom = hw::igb::eeprom;

/// Linux, igb_acquire_nvm: 1,000 polls (E1000_NVM_GRANT_ATTEMPTS), 5 us apart.
constexpr Duration kGrantLimit = milliseconds(5);
/// Linux: delay_usec, at each edge of the clock.
constexpr Duration kEdge = microseconds(1);
/// A write takes up to 5 ms (25LC040 datasheet). Linux polls 5,000 times.
constexpr Duration kReadyLimit = milliseconds(50);
constexpr Duration kReadyInterval = microseconds(100);

std::uint16_t swapped(std::uint32_t word) noexcept {
  return static_cast<std::uint16_t>((word >> 8 & 0xFF) | (word & 0xFF) << 8);
}

}  // namespace

eeprom::Geometry NvmPins::geometry(const Card& card) {
  const auto eecd = card.regs.read<reg::EECD>();
  return eeprom::geometry(eecd.get(reg::EECD::SIZE), eecd.has(reg::EECD::ADDR_BITS));
}

Result<NvmPins> NvmPins::acquire(const Card& card) {
  auto resource = SharedResource::acquire(card, Shared::nvm);
  if (!resource) return pass_on(std::move(resource));
  NvmPins pins(card, *std::move(resource));
  auto granted = wait_for(
      card, "EECD.GNT after EECD.REQ", kGrantLimit, [&] { return card.regs.read<reg::EECD>().has(reg::EECD::GNT); },
      microseconds(5));
  if (!granted) return pass_on(std::move(granted));
  return pins;
}

NvmPins::NvmPins(const Card& card, SharedResource resource)
    : resource_(std::move(resource)), request_(card), geometry_(geometry(card)) {
  const auto now = read_with_retry<reg::EECD>(card);
  if (!now.all_ones()) drive(now.with(reg::EECD::REQ | reg::EECD::CS).without(reg::EECD::SK | reg::EECD::DI));
}

NvmPins::~NvmPins() {
  if (request_.card == nullptr || request_.card->regs.removed()) return;
  drive(pins_.with(reg::EECD::CS).without(reg::EECD::SK));
  drive(pins_.without(reg::EECD::REQ));
}

void NvmPins::drive(reg::EECD::Value pins) {
  const Card& card = *request_.card;
  pins_ = pins;
  card.regs.write<reg::EECD>(pins);
  card.regs.flush();
  card.clock().sleep_for(kEdge);
}

void NvmPins::select(bool low) { drive(low ? pins_.without(reg::EECD::CS) : pins_.with(reg::EECD::CS)); }

void NvmPins::shift_out(std::uint32_t value, unsigned bits) {
  for (unsigned bit = bits; bit-- > 0;) {
    drive((value >> bit & 1) != 0 ? pins_.with(reg::EECD::DI) : pins_.without(reg::EECD::DI));
    drive(pins_.with(reg::EECD::SK));
    drive(pins_.without(reg::EECD::SK));
  }
  drive(pins_.without(reg::EECD::DI));
}

std::uint32_t NvmPins::shift_in(unsigned bits) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bits; ++i) {
    drive(pins_.with(reg::EECD::SK));
    value = value << 1 | (request_.card->regs.read<reg::EECD>().has(reg::EECD::DO) ? 1U : 0U);
    drive(pins_.without(reg::EECD::SK));
  }
  return value;
}

/// Ends the instruction before, and begins one.
void NvmPins::begin(std::uint8_t instruction) {
  select(false);
  select(true);
  shift_out(instruction, 8);
}

void NvmPins::send_address(std::uint8_t instruction, std::uint32_t word) {
  const std::uint32_t byte = word * 2;
  const bool has_bit8 = geometry_.address_bits == 8 && byte >= 0x100;
  begin(has_bit8 ? static_cast<std::uint8_t>(instruction | eeprom::kAddressBit8) : instruction);
  shift_out(byte, geometry_.address_bits);
}

Result<void> NvmPins::wait_ready() {
  return wait_for(
      *request_.card, "the EEPROM's end of writing", kReadyLimit,
      [&] {
        begin(eeprom::kReadStatus);
        return (shift_in(8) & eeprom::kBusy) == 0;
      },
      kReadyInterval);
}

Result<std::uint8_t> NvmPins::status() {
  if (auto ready = wait_ready(); !ready) return pass_on(std::move(ready));
  begin(eeprom::kReadStatus);
  const auto status = static_cast<std::uint8_t>(shift_in(8));
  select(false);
  return status;
}

Result<std::vector<std::uint16_t>> NvmPins::read(std::uint32_t first, std::uint32_t count) {
  if (auto ready = wait_ready(); !ready) return pass_on(std::move(ready));
  send_address(eeprom::kRead, first);
  std::vector<std::uint16_t> words(count);
  for (std::uint16_t& word : words) word = swapped(shift_in(16));
  select(false);
  if (request_.card->regs.removed()) return fail_removed(request_.card->name);
  return words;
}

Result<void> NvmPins::enable_writing() {
  if (auto ready = wait_ready(); !ready) return ready;
  begin(eeprom::kWriteEnable);
  auto now = status();
  if (!now) return pass_on(std::move(now));
  if ((*now & eeprom::kWriteEnabled) != 0) return {};
  return fail(ErrorCode::device_fault,
              fmt::format("{}: the EEPROM does not enable writing (its status is {:#04x})", request_.card->name, *now),
              "the card has no EEPROM at these pins, or it is defective; its contents are unchanged");
}

Result<void> NvmPins::write_page(std::uint32_t first, std::span<const std::uint16_t> words) {
  if (auto enabled = enable_writing(); !enabled) return enabled;
  send_address(eeprom::kWrite, first);
  for (const std::uint16_t word : words) shift_out(swapped(word), 16);
  select(false);
  return wait_ready();
}

Result<void> NvmPins::write_status(std::uint8_t status) {
  if (auto enabled = enable_writing(); !enabled) return enabled;
  begin(eeprom::kWriteStatus);
  shift_out(status & eeprom::kProtection, 8);
  select(false);
  return wait_ready();
}

}  // namespace pollux::drivers::igb
