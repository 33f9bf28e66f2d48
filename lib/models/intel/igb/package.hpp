// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "hw/intel/igb/nvm.hpp"
#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/register_file.hpp"
#include "pollux/base/clock.hpp"

namespace pollux::models::igb {

namespace hw = pollux::hw::igb;

/// What firmware does with the resources of its package. Off by default.
struct FirmwareOptions {
  Duration interval{0};                            ///< from one use of a resource to the next; 0: never
  Duration hold = std::chrono::microseconds(200);  ///< how long it keeps a resource
  hw::SW_FW_SYNC::Setting resource = hw::SW_FW_SYNC::FW_EEP;
};

/// What the ports of one package share: the semaphores SWSM and FWSM, SW_FW_SYNC, the bus of the NVM, and the firmware.
/// It counts what software does against the rules of the 82575 manual, p. 414, and of the I210 datasheet, 4.6 and 8.7.
/// Thread rule: the ports of one package run under one lock.
class Package {
 public:
  /// Ports are numbered from 0. Firmware is an owner, too.
  using Port = unsigned;
  /// A holder of a semaphore that keeps it for so long counts as dead, and others may take it away. An owner in
  /// SW_FW_SYNC: I210 datasheet, 4.6.1. The semaphores are held for microseconds.
  static constexpr Duration kDeadSemaphore = std::chrono::milliseconds(100);
  static constexpr Duration kDeadOwner = std::chrono::seconds(1);
  /// How long firmware holds its semaphore to change SW_FW_SYNC. An estimate.
  static constexpr Duration kFirmwareStep = std::chrono::microseconds(20);

  struct Violations {
    std::uint64_t without_semaphores = 0;  ///< SW_FW_SYNC written without SMBI and SWESMBI
    std::uint64_t firmware_bits = 0;       ///< one of firmware's bits written as set
    std::uint64_t taken_from_living = 0;   ///< a semaphore or resource whose holder may still use it
    std::uint64_t nvm_without_owner = 0;   ///< NVM read without SW_EEP
    std::uint64_t phy_without_owner = 0;   ///< PHY accessed or reset without its bit
    std::uint64_t semaphore_kept = 0;      ///< SWESMBI held for over 10 ms: firmware may take it away
    [[nodiscard]] std::uint64_t total() const noexcept {
      return without_semaphores + firmware_bits + taken_from_living + nvm_without_owner + phy_without_owner +
             semaphore_kept;
    }
  };

  // Accesses of a port's software.
  [[nodiscard]] hw::SWSM::Value read_swsm(Port port, Duration now);
  void write_swsm(Port port, hw::SWSM::Value value, Duration now);
  [[nodiscard]] hw::FWSM::Value fwsm() const;
  [[nodiscard]] hw::SW_FW_SYNC::Value sync() const noexcept { return sync_; }
  void write_sync(Port port, hw::SW_FW_SYNC::Value value, Duration now);
  /// A read of the NVM begins. Returns how long it waits for firmware.
  [[nodiscard]] Duration begin_nvm_read(Port port, Duration now);
  /// An access to the PHY of `port`, or a reset of it.
  void access_phy(Port port);

  /// Runs firmware until `now`; returns when it acts next, Duration::max() for never.
  Duration run_firmware(Duration now);
  void set_firmware(const FirmwareOptions& options, Duration now);

  /// For tests: sets what a killed driver leaves behind. `port` has held it since `now`.
  void leave(Port port, hw::SWSM::Value semaphores, hw::SW_FW_SYNC::Value resources, Duration now);

  [[nodiscard]] const Violations& violations() const noexcept { return violations_; }
  /// The number of times that firmware has used its resource.
  [[nodiscard]] std::uint64_t firmware_turns() const noexcept { return firmware_turns_; }

 private:
  struct Held {
    std::optional<Port> by;
    Duration since{0};
  };
  static constexpr std::uint32_t kSoftwareBits = 16;

  [[nodiscard]] bool holds_semaphores(Port port) const { return smbi_.by == port && swesmbi_.by == port; }
  void release(Held& semaphore, Port port, Duration now, Duration dead);

  Held smbi_;
  Held swesmbi_;
  bool firmware_semaphore_ = false;
  hw::SW_FW_SYNC::Value sync_;
  std::array<Held, kSoftwareBits> owners_;
  FirmwareOptions firmware_;
  Duration firmware_due_ = Duration::max();
  std::uint64_t firmware_turns_ = 0;
  Violations violations_;
};

/// A port's access to what it shares with the other ports of its package and with firmware.
class Semaphores {
 public:
  Semaphores(RegisterFile& registers, Timers& timers, std::shared_ptr<Package> shared, Package::Port port)
      : timers_(timers), package_(std::move(shared)), port_(port) {
    registers.on_read<hw::SWSM>([this](std::uint32_t) { return package().read_swsm(port_, timers_.now()).raw(); });
    registers.on_write<hw::SWSM>([this](std::uint32_t, std::uint32_t value) {
      package().write_swsm(port_, hw::SWSM::Value(value), timers_.now());
    });
    registers.on_read<hw::FWSM>([this](std::uint32_t) { return package().fwsm().raw(); });
    registers.on_read<hw::SW_FW_SYNC>([this](std::uint32_t) { return package().sync().raw(); });
    registers.on_write<hw::SW_FW_SYNC>([this](std::uint32_t, std::uint32_t value) {
      package().write_sync(port_, hw::SW_FW_SYNC::Value(value), timers_.now());
    });
  }

  /// Returns the package after its firmware has run up to the current time.
  [[nodiscard]] Package& package() {
    package_->run_firmware(timers_.now());
    return *package_;
  }
  void share(const Semaphores& other) { package_ = other.package_; }
  [[nodiscard]] Duration begin_nvm_read() { return package().begin_nvm_read(port_, timers_.now()); }
  void access_phy() { package().access_phy(port_); }

 private:
  Timers& timers_;
  std::shared_ptr<Package> package_;
  Package::Port port_;
};

/// A serial EEPROM at the pins of EECD: on an 82576 512 bytes, addressed by 8 bits and bit 3 of the instruction, in
/// pages of 8 bytes. The protection in its status register outlives every reset. Instructions:
/// hw/intel/gigabit/nvm.hpp; their use: DPDK e1000, e1000_nvm.c, e1000_read_nvm_spi and e1000_write_nvm_spi. [I-M-SPI]
class NvmPins {
 public:
  /// Time of a write, from the end of its instruction. Serial EEPROMs need up to 5 ms.
  static constexpr Duration kWriteTime = std::chrono::milliseconds(5);

  NvmPins(Timers& timers, std::span<std::uint16_t> words, const hw::eeprom::Geometry& geometry);

  /// Sets the pins: chip select (active low), clock and data in. Returns the data out.
  bool set(bool select_high, bool clock, bool data_in);
  /// Ends an instruction without executing it.
  void reset();

 private:
  enum class Phase : std::uint8_t { instruction, address, address_rest, read, write, status, new_status, ignored };
  static constexpr std::size_t kMaxPage = 32;

  void rising_clock(bool data_in);
  void take_byte(std::uint8_t byte);
  void take_address(std::size_t address);
  [[nodiscard]] std::size_t bytes() const noexcept { return std::size_t{geometry_.words} * 2; }
  void begin(std::uint8_t instruction);
  [[nodiscard]] std::uint8_t next_out();
  void deselected();
  void begin_write();
  [[nodiscard]] std::uint8_t read_byte(std::size_t address) const;
  void write_byte(std::size_t address, std::uint8_t value);

  Timers& timers_;
  std::span<std::uint16_t> words_;
  hw::eeprom::Geometry geometry_;
  Timers::Id written_;
  Phase phase_ = Phase::instruction;
  std::uint8_t instruction_ = 0;
  std::size_t address_ = 0;
  std::array<std::uint8_t, kMaxPage> page_{};
  std::array<bool, kMaxPage> page_changed_{};
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
  void program(std::array<std::uint8_t, 6> mac, std::uint16_t device_id, std::uint32_t port);
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
  void program_section(std::uint16_t first, std::array<std::uint8_t, 6> mac, std::uint16_t device_id);
  void program_records(std::array<std::uint8_t, 6> mac);
  void start_read(hw::EERD::Value request);
  void finish_read();
  void write_word(hw::EEWR::Value request);
  void write_pins(hw::EECD::Value written);

  RegisterFile& registers_;
  Timers& timers_;
  hw::nvm::NvmTraits traits_;
  std::function<Duration()> begin_read_;
  Timers::Id done_;
  Duration read_time_ = kReadTime;
  bool loaded_ = false;
  bool waiting_ = false;  // a read waits until the card has read its configuration
  std::uint32_t port_ = 0;
  std::array<std::uint16_t, kWords> words_{};
  NvmPins pins_;
};

}  // namespace pollux::models::igb
