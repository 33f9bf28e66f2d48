// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <utility>

#include "models/intel/igb/package.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/timers.hpp"

namespace pollux::models::igb {

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
