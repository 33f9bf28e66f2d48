// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "hw/intel/igb/nvm.hpp"
#include "models/intel/igb/register_file.hpp"
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

/// The non-volatile memory: read word by word through EERD, read and written through the pins of EECD.
class Nvm {
 public:
  static constexpr std::size_t kWords = 1024;
  /// Time of a read. An estimate, so that a driver has to wait; the real time depends on the SPI clock.
  static constexpr Duration kReadTime = std::chrono::microseconds(5);

  /// `begin_read` is called when software reads a word; it returns how long the read waits for the firmware.
  Nvm(RegisterFile& registers, Timers& timers, const hw::nvm::NvmTraits& traits, std::function<Duration()> begin_read);

  /// Fills the words that a driver reads, and the checksum.
  void program(std::array<std::uint8_t, 6> mac, std::uint16_t device_id);
  [[nodiscard]] std::array<std::uint8_t, 6> mac() const;
  /// The contents, so that a test can corrupt them.
  [[nodiscard]] std::span<std::uint16_t, kWords> words() noexcept { return words_; }

  void reset();
  /// EECD.AUTO_RD: the card has read its configuration. Until then it answers no read of software, which has to wait
  /// for the other clients of the NVM (82575 manual, p. 51).
  void set_loaded(bool loaded);
  [[nodiscard]] bool loaded() const noexcept { return loaded_; }
  /// Sets the time of a read. Other clients may delay it.
  void set_read_time(Duration time) noexcept { read_time_ = time; }

 private:
  void start_read(hw::EERD::Value request);
  void finish_read();
  void write_pins(hw::EECD::Value written);

  RegisterFile& registers_;
  Timers& timers_;
  hw::nvm::NvmTraits traits_;
  std::function<Duration()> begin_read_;
  Timers::Id done_;
  Duration read_time_ = kReadTime;
  bool loaded_ = false;
  bool waiting_ = false;  // a read waits until the card has read its configuration
  std::array<std::uint16_t, kWords> words_{};
  NvmPins pins_;
};

}  // namespace pollux::models::igb
