// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/nvm.hpp"

#include <array>
#include <numeric>
#include <vector>

#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/semaphore.hpp"
#include "hw/intel/igb/nvm.hpp"
#include "net/port_identity.hpp"

namespace pollux::drivers::igb {
namespace {

namespace words = hw::igb::nvm;

constexpr Duration kReadLimit = milliseconds(5);

// 82575 manual, "Signature and CRC Fields": write the address with START, wait for DONE, read DATA. All ones is a
// failed read and must not be taken for a damaged word.
Result<std::uint16_t> read_word(const Card& card, std::uint16_t address) {
  card.regs.write<reg::EERD>(reg::EERD::ADDR(address) | reg::EERD::START);
  reg::EERD::Value answer;
  auto read = wait_for(
      card, fmt::format("EERD.DONE for NVM word {:#04x}", address), kReadLimit,
      [&] {
        answer = card.regs.read<reg::EERD>();
        return answer.has(reg::EERD::DONE) && !answer.all_ones();
      },
      microseconds(5));
  if (!read) return pass_on(std::move(read));
  return static_cast<std::uint16_t>(answer.get(reg::EERD::DATA));
}

// [I-MAC] Linux, e1000_mac.c, igb_check_alt_mac_addr. There is no alternate address if the pointer is 0 or 0xFFFF, or
// if the address is a multicast one.
Result<std::optional<MacAddress>> alternate_mac(const Card& card) {
  const words::NvmTraits& nvm = card.traits->nvm;
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

bool has_nvm(const Card& card) { return card.regs.read<reg::EECD>().has(reg::EECD::PRES); }

}  // namespace

Result<void> read_nvm(const Card& card, std::uint16_t first, std::span<std::uint16_t> into) {
  auto acquired = SharedResource::acquire(card, Shared::nvm);
  if (!acquired) return pass_on(std::move(acquired));
  for (std::uint16_t& word : into) {
    auto read = read_word(card, first++);
    if (!read) return pass_on(std::move(read));
    word = *read;
  }
  return {};
}

// Linux, e1000_nvm.c, igb_validate_nvm_checksum.
Result<void> check_nvm(const Card& card) {
  if (!has_nvm(card)) {
    card.log(LogLevel::warning,
             "the card has no NVM (EECD.PRES is 0); its address will be random unless firmware has set one");
    return {};
  }
  std::vector<std::uint16_t> content(card.traits->nvm.checksum + std::size_t{1});
  if (auto read = read_nvm(card, 0, content); !read) return read;
  if (words::checksum_holds(content)) return {};
  const auto sum = static_cast<std::uint16_t>(std::accumulate(content.begin(), content.end(), 0u));
  return fail(ErrorCode::device_fault,
              fmt::format("{}: the NVM's words 0x00 to {:#04x} sum to {:#06x}, not {:#06x}", card.name,
                          card.traits->nvm.checksum, sum, words::kSum),
              "the card's settings are damaged; rewrite its NVM with the vendor's tool");
}

Result<MacAddress> permanent_mac(const Card& card) {
  if (has_nvm(card)) {
    auto alternate = alternate_mac(card);
    if (!alternate) return pass_on(std::move(alternate));
    if (*alternate) return **alternate;
  }
  // [I-MAC] The two ports of a package share the NVM's address words. The address that the card has loaded is this
  // port's (Linux, e1000_mac.c, igb_read_mac_addr).
  const MacAddress loaded = read_own_address(card);
  if (card.regs.removed()) return fail_removed(card.name);
  if (is_station_address(loaded)) return loaded;
  const MacAddress mac = random_station_address();
  card.log(LogLevel::warning, fmt::format("{} is not a valid port address; using {} until the port is opened again",
                                          to_string(loaded), to_string(mac)));
  return mac;
}

}  // namespace pollux::drivers::igb
