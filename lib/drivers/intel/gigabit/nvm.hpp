// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/gigabit/card.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"
#include "hw/intel/gigabit/nvm.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::gigabit {

/// After this time who reads or writes releases the NVM for others. They take it away from an owner that holds it for a
/// second.
inline constexpr Duration kHoldLimit = milliseconds(200);
/// Longer than the interval at which others try to acquire the NVM (SharedResource).
inline constexpr Duration kPauseForOthers = milliseconds(10);

/// Reads NVM words from `first` on. Errors: device_removed, timeout.
[[nodiscard]] Result<void> read_nvm(const GigabitCard& card, std::uint16_t first, std::span<std::uint16_t> words);

/// Whether the card has the words of an NVM. Otherwise read_nvm would wait for them in vain.
[[nodiscard]] bool has_words(const GigabitCard& card);

/// Checks that there is an NVM, and its checksum. Errors: not_supported (the card has no NVM), device_fault (the NVM is
/// damaged, and so are the settings that the card loaded from it), device_removed, timeout.
[[nodiscard]] Result<void> check_nvm(const GigabitCard& card);

/// The port's permanent address: the alternate one if the NVM names one, otherwise the one that the card loaded into
/// RAL[0] and RAH[0] at reset, otherwise the one in the NVM's words. An invalid address is replaced by a random,
/// locally administered one, with a warning. Call it after a reset. Errors: device_removed, timeout.
[[nodiscard]] Result<MacAddress> permanent_mac(const GigabitCard& card);

/// The serial EEPROM at the pins of EECD, which this object has for itself until it is destroyed. Others wait
/// meanwhile: destroy it after less than a second (SharedResource).
class NvmPins {
 public:
  /// Acquires Shared::nvm, then the pins. Errors: those of SharedResource::acquire; timeout (EECD.GNT).
  [[nodiscard]] static Result<NvmPins> acquire(const GigabitCard& card);
  NvmPins(NvmPins&&) = default;
  NvmPins& operator=(NvmPins&&) = delete;
  ~NvmPins();

  [[nodiscard]] static hw::gigabit::eeprom::Geometry geometry(const GigabitCard& card);

  /// Errors of all: device_removed, timeout (the EEPROM stays busy).
  [[nodiscard]] Result<std::uint8_t> status();
  [[nodiscard]] Result<std::vector<std::uint16_t>> read(std::uint32_t first, std::uint32_t count);
  /// Writes words of one page, and waits until they are written. It does not read them back. Error device_fault: the
  /// EEPROM does not enable writing.
  [[nodiscard]] Result<void> write_page(std::uint32_t first, std::span<const std::uint16_t> words);
  /// Writes the bits of eeprom::kProtection. Errors: as write_page.
  [[nodiscard]] Result<void> write_status(std::uint8_t status);

 private:
  /// Holds EECD.REQ; the moved-from one does not.
  struct Request {
    const GigabitCard* card = nullptr;
    explicit Request(const GigabitCard& owner) noexcept : card(&owner) {}
    Request(Request&& other) noexcept : card(std::exchange(other.card, nullptr)) {}
  };

  NvmPins(const GigabitCard& card, SharedResource resource);

  void drive(reg::EECD::Value pins);
  void select(bool low);
  void shift_out(std::uint32_t value, unsigned bits);
  [[nodiscard]] std::uint32_t shift_in(unsigned bits);
  void begin(std::uint8_t instruction);
  void send_address(std::uint8_t instruction, std::uint32_t word);
  [[nodiscard]] Result<void> wait_ready();
  [[nodiscard]] Result<void> enable_writing();

  SharedResource resource_;  // released after the pins
  Request request_;
  hw::gigabit::eeprom::Geometry geometry_;
  reg::EECD::Value pins_;  // as last written
};

}  // namespace pollux::drivers::gigabit
