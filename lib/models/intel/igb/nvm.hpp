// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "hw/intel/igb/nvm.hpp"
#include "models/intel/igb/nvm_pins.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/timers.hpp"

namespace pollux::models::igb {

/// The non-volatile memory: read word by word through EERD, read and written through the pins of EECD.
class Nvm {
 public:
  static constexpr std::size_t kWords = 1024;
  /// Time of a read. An estimate, so that a driver has to wait; the real time depends on the SPI clock.
  static constexpr Duration kReadTime = std::chrono::microseconds(5);

  Nvm(RegisterFile& registers, Timers& timers, const hw::nvm::NvmTraits& traits);

  /// Fills the words that a driver reads, and the checksum.
  void program(std::array<std::uint8_t, 6> mac, std::uint16_t device_id);
  [[nodiscard]] std::array<std::uint8_t, 6> mac() const;
  /// The contents, so that a test can corrupt them.
  [[nodiscard]] std::span<std::uint16_t, kWords> words() noexcept { return words_; }

  void reset();
  /// EECD.AUTO_RD: the card has read its configuration.
  void set_loaded(bool loaded);

 private:
  void start_read(hw::EERD::Value request);
  void finish_read();
  void write_pins(hw::EECD::Value written);

  RegisterFile& registers_;
  Timers& timers_;
  hw::nvm::NvmTraits traits_;
  Timers::Id done_;
  std::array<std::uint16_t, kWords> words_{};
  NvmPins pins_;
};

}  // namespace pollux::models::igb
