// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/timers.hpp"
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

}  // namespace pollux::models::igb
