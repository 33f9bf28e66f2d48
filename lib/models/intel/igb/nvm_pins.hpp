// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "models/intel/igb/timers.hpp"

namespace pollux::models::igb {

/// A serial EEPROM at the pins of EECD: 512 bytes, addressed by 8 bits and bit 3 of the instruction, in pages of 8
/// bytes. The protection in its status register outlives every reset. Instructions: hw/intel/igb/eeprom.hpp; their use:
/// DPDK e1000, e1000_nvm.c, e1000_read_nvm_spi and e1000_write_nvm_spi. [I-M-SPI]
class NvmPins {
 public:
  static constexpr std::size_t kBytes = 512;
  static constexpr std::size_t kPageBytes = 8;
  /// Time of a write, from the end of its instruction. Serial EEPROMs need up to 5 ms.
  static constexpr Duration kWriteTime = std::chrono::milliseconds(5);

  NvmPins(Timers& timers, std::span<std::uint16_t> words);

  /// Sets the pins: chip select (active low), clock and data in. Returns the data out.
  bool set(bool select_high, bool clock, bool data_in);
  /// Ends an instruction without executing it.
  void reset();

 private:
  enum class Phase : std::uint8_t { instruction, address, read, write, status, new_status, ignored };

  void rising_clock(bool data_in);
  void take_byte(std::uint8_t byte);
  void begin(std::uint8_t instruction);
  [[nodiscard]] std::uint8_t next_out();
  void deselected();
  void begin_write();
  [[nodiscard]] std::uint8_t read_byte(std::size_t address) const;
  void write_byte(std::size_t address, std::uint8_t value);

  Timers& timers_;
  std::span<std::uint16_t> words_;
  Timers::Id written_;
  Phase phase_ = Phase::instruction;
  std::uint8_t instruction_ = 0;
  std::size_t address_ = 0;
  std::array<std::uint8_t, kPageBytes> page_{};
  std::array<bool, kPageBytes> page_changed_{};
  unsigned bits_ = 0;         // of the byte that is being shifted in or out
  std::uint8_t shifted_ = 0;  // its value so far, or what is left of it
  bool high_ = true;          // chip select
  bool clock_ = false;
  bool out_ = false;
  bool write_enabled_ = false;
  unsigned protection_ = 0;  // 0 to 3, see eeprom::first_protected
  std::optional<unsigned> new_protection_;
};

}  // namespace pollux::models::igb
