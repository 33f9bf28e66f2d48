// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/nvm.hpp"

#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "drivers/intel/gigabit/addresses.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"
#include "hw/intel/gigabit/nvm.hpp"
#include "net/port_identity.hpp"

namespace pollux::drivers::gigabit {
namespace {

namespace words = hw::gigabit::nvm;

/// The NVM has four clients: the card itself, both ports and firmware (82575 manual, p. 51). Linux, e1000_nvm.c,
/// igb_poll_eerd_eewr_done, and DPDK wait as long for a word: 100,000 polls, 5 us apart.
constexpr Duration kReadLimit = milliseconds(500);
/// A word that takes longer than this waits for another client, and is polled less often.
constexpr Duration kUsualReadTime = milliseconds(1);
/// Before words with a bad checksum are read a second time.
constexpr Duration kSecondLook = milliseconds(10);

// 82575 manual, "Signature and CRC Fields": write the address with START, wait for DONE, read DATA. All ones is a
// failed read and must not be taken for a damaged word.
Result<std::uint16_t> read_word(const GigabitCard& card, std::uint16_t address) {
  card.regs.write<reg::EERD>(reg::EERD::ADDR(address) | reg::EERD::START);
  reg::EERD::Value answer;
  const auto answered = [&] {
    answer = card.regs.read<reg::EERD>();
    return answer.has(reg::EERD::DONE) && !answer.all_ones();
  };
  auto read = wait_for(card, "EERD.DONE", kUsualReadTime, answered, microseconds(5));
  if (!read) {
    const std::string what = fmt::format("EERD.DONE for NVM word {:#04x}", address);
    read = wait_for(card, what, kReadLimit, answered, milliseconds(1));
  }
  if (!read) return pass_on(std::move(read));
  return static_cast<std::uint16_t>(answer.get(reg::EERD::DATA));
}

// [I-MAC] Linux, e1000_mac.c, igb_check_alt_mac_addr. There is no alternate address if the pointer is 0 or 0xFFFF, or
// if the address is a multicast one.
Result<std::optional<MacAddress>> alternate_mac(const GigabitCard& card) {
  const words::NvmTraits& nvm = card.family.nvm;
  if (!nvm.alternate_mac_pointer) return std::optional<MacAddress>();
  std::array<std::uint16_t, 1> pointer{};
  if (auto read = read_nvm(card, *nvm.alternate_mac_pointer, pointer); !read) return pass_on(std::move(read));
  if (pointer[0] == 0 || pointer[0] == 0xFFFF) return std::optional<MacAddress>();
  const std::uint32_t port = card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID);
  std::array<std::uint16_t, 3> address{};
  const auto first = static_cast<std::uint16_t>(pointer[0] + port * nvm.alternate_mac_step);
  if (!reg::EERD::ADDR.fits(first + address.size() - 1u)) return std::optional<MacAddress>();
  if (auto read = read_nvm(card, first, address); !read) return pass_on(std::move(read));
  const MacAddress mac = words::mac_address(address);
  return is_station_address(mac) ? std::optional(mac) : std::nullopt;
}

bool has_nvm(const GigabitCard& card) { return card.regs.read<reg::EECD>().has(reg::EECD::PRES); }

std::uint32_t port_of(const GigabitCard& card) { return card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID); }

}  // namespace

Result<void> read_nvm(const GigabitCard& card, std::uint16_t first, std::span<std::uint16_t> into) {
  std::optional<SharedResource> held;
  Duration since{0};
  for (std::uint16_t& word : into) {
    if (held && card.clock().now() - since >= kHoldLimit) {
      held.reset();
      card.clock().sleep_for(kPauseForOthers);
    }
    if (!held) {
      auto acquired = SharedResource::acquire(card, Shared::nvm);
      if (!acquired) return pass_on(std::move(acquired));
      held.emplace(*std::move(acquired));
      since = card.clock().now();
    }
    auto read = read_word(card, first++);
    if (!read) return pass_on(std::move(read));
    word = *read;
  }
  return {};
}

// Linux igb, e1000_i210.c, igb_get_flash_presence_i210. Without a flash an I210 has the words of its iNVM alone, and no
// checksum.
bool has_words(const GigabitCard& card) {
  return card.family.nvm.storage == words::Storage::eeprom ||
         card.regs.read<reg::EECD>().has(reg::EECD::FLASH_DETECTED);
}

namespace {

// [I-MAC] A reset clears RAL[0], and the card loads it from the NVM afterwards (82575 manual, p. 380). The second port
// inverts the lowest bit of the words' address (DPDK, e1000_82540.c, e1000_read_mac_addr_82540, for older dual cards).
Result<MacAddress> mac_in_nvm(const GigabitCard& card) {
  std::array<std::uint16_t, 3> address{};
  if (!has_words(card)) return MacAddress{};
  const std::uint32_t port = port_of(card);
  const auto first = static_cast<std::uint16_t>(words::section_of(card.family.nvm, port) + words::kMacAddress);
  if (auto read = read_nvm(card, first, address); !read) return pass_on(std::move(read));
  MacAddress mac = words::mac_address(address);
  if (card.family.nvm.sections == 1) mac[5] = static_cast<std::uint8_t>(mac[5] ^ (port & 1));
  return mac;
}

// Checks the words whose checksum belongs to the port with this section.
Result<void> check_section(const GigabitCard& card, std::uint16_t first) {
  std::vector<std::uint16_t> content(card.family.nvm.checksum + std::size_t{1});
  if (auto read = read_nvm(card, first, content); !read) return read;
  if (words::checksum_holds(content)) return {};
  // DPDK, igb_ethdev.c, eth_igb_dev_init: some parts fail the first time since their bus is in a sleep state.
  card.log(LogLevel::info, "the NVM's checksum is wrong; reading it again");
  card.clock().sleep_for(kSecondLook);
  if (auto read = read_nvm(card, first, content); !read) return read;
  if (words::checksum_holds(content)) return {};
  const auto sum = static_cast<std::uint16_t>(std::accumulate(content.begin(), content.end(), 0u));
  return fail(ErrorCode::device_fault,
              fmt::format("{}: the NVM's words {:#04x} to {:#04x} sum to {:#06x}, not {:#06x}", card.name, first,
                          first + card.family.nvm.checksum, sum, words::kSum),
              "the card's settings are damaged; rewrite its NVM with the vendor's tool");
}

}  // namespace

// Linux, e1000_nvm.c, igb_validate_nvm_checksum, and e1000_82575.c, igb_validate_nvm_checksum_i350. Without an EEPROM
// nothing configures the PHY: Linux then runs a script of PHY writes (e1000_phy.c, igb_phy_init_script_igp3). No such
// board is known, so the port is refused.
Result<void> check_nvm(const GigabitCard& card) {
  if (!has_words(card)) return {};
  if (!has_nvm(card)) {
    return fail(
        ErrorCode::not_supported, fmt::format("{}: the card has no EEPROM (EECD.PRES is 0)", card.name),
        "use a card whose EEPROM configures its PHY and holds its address; on such a card the EEPROM is defective");
  }
  for (std::uint32_t port = 0; port < card.family.nvm.sections; ++port) {
    if (auto held = check_section(card, words::section_of(card.family.nvm, port)); !held) return held;
  }
  return {};
}

Result<MacAddress> permanent_mac(const GigabitCard& card) {
  auto alternate = alternate_mac(card);
  if (!alternate) return pass_on(std::move(alternate));
  if (*alternate) return **alternate;
  // [I-MAC] The two ports of a package share the NVM's address words. The address that the card has loaded is this
  // port's (Linux, e1000_mac.c, igb_read_mac_addr).
  const MacAddress loaded = read_own_address(card);
  if (card.regs.removed()) return fail_removed(card.name);
  if (is_station_address(loaded)) return loaded;
  auto written = mac_in_nvm(card);
  if (!written) return pass_on(std::move(written));
  if (is_station_address(*written)) {
    card.log(LogLevel::info, fmt::format("the card has not loaded its address; its NVM has {}", to_string(*written)));
    return *written;
  }
  const MacAddress mac = random_station_address();
  card.log(LogLevel::warning, fmt::format("{} is not a valid port address; using {} until the port is opened again",
                                          to_string(loaded), to_string(mac)));
  return mac;
}

// The pins. [I-SPI] Follows Linux, e1000_nvm.c, igb_acquire_nvm, igb_ready_nvm_eeprom, igb_write_nvm_spi and
// igb_release_nvm, and DPDK, e1000_nvm.c, the same functions. The EEPROM takes a bit when the clock rises, and is
// selected while CS is low.
namespace {

namespace eeprom = hw::gigabit::eeprom;

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

eeprom::Geometry NvmPins::geometry(const GigabitCard& card) {
  const auto eecd = card.regs.read<reg::EECD>();
  return eeprom::geometry(eecd.get(reg::EECD::SIZE), eecd.has(reg::EECD::ADDR_BITS));
}

Result<NvmPins> NvmPins::acquire(const GigabitCard& card) {
  auto resource = SharedResource::acquire(card, Shared::nvm);
  if (!resource) return pass_on(std::move(resource));
  NvmPins pins(card, *std::move(resource));
  auto granted = wait_for(
      card, "EECD.GNT after EECD.REQ", kGrantLimit, [&] { return card.regs.read<reg::EECD>().has(reg::EECD::GNT); },
      microseconds(5));
  if (!granted) return pass_on(std::move(granted));
  return pins;
}

NvmPins::NvmPins(const GigabitCard& card, SharedResource resource)
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
  const GigabitCard& card = *request_.card;
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

/// Ends the instruction before, as the destructor ends the last one, and begins one.
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
  return static_cast<std::uint8_t>(shift_in(8));
}

Result<std::vector<std::uint16_t>> NvmPins::read(std::uint32_t first, std::uint32_t count) {
  if (auto ready = wait_ready(); !ready) return pass_on(std::move(ready));
  send_address(eeprom::kRead, first);
  std::vector<std::uint16_t> words(count);
  for (std::uint16_t& word : words) word = swapped(shift_in(16));
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
  return wait_ready();
}

Result<void> NvmPins::write_status(std::uint8_t status) {
  if (auto enabled = enable_writing(); !enabled) return enabled;
  begin(eeprom::kWriteStatus);
  shift_out(status & eeprom::kProtection, 8);
  return wait_ready();
}

}  // namespace pollux::drivers::gigabit
