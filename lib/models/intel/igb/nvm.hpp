// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
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
