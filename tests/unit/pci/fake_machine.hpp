// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci::test {

/// The properties of a device of the fake machine.
struct FakeDevice {
  std::string address;
  std::string driver = "igb";  ///< the driver that supports its ids; empty: none
  std::optional<unsigned> group = {};
  std::string class_code = "0x020000";
  std::string vendor = "0x8086";
  std::string device = "0x10c9";
  std::string interface = {};
};

/// A directory of regular files that looks like /sys, /proc, /dev and /run, and a fake kernel that reacts to writes to
/// them, once per virtual millisecond.
class FakeMachine {
 public:
  FakeMachine();
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;
  ~FakeMachine();

  /// Adds a device, bound to its driver, and the driver if it is new.
  Address add(const FakeDevice& device);
  /// Adds a virtual function of the physical function `physical`.
  Address add_function(Address physical, const FakeDevice& function);
  void load_driver(const std::string& name);
  void unload_driver(const std::string& name);
  /// From now on the driver accepts no device.
  void refuse(const std::string& driver) { refusing_.insert(driver); }
  /// From now on the driver releases no device.
  void cling(const std::string& driver) { clinging_.insert(driver); }
  /// Adds a process that has `target` open.
  void add_process(int number, const std::string& name, const std::filesystem::path& target);

  void write(const std::filesystem::path& file, const std::string& text) const;
  [[nodiscard]] std::string read(const std::filesystem::path& file) const;
  [[nodiscard]] std::filesystem::path device(Address address) const;
  [[nodiscard]] std::filesystem::path record(Address address) const;
  [[nodiscard]] std::string driver_of(Address address) const;
  /// The actions of the kernel, such as "unbind igb 0000:01:00.0" and "probe 0000:01:00.0".
  [[nodiscard]] const std::vector<std::string>& events() const { return events_; }

  SystemPaths paths;
  ManualClock clock;

 private:
  void react(Duration now);
  void react_to_unbind();
  void react_to_probe();
  [[nodiscard]] std::string take(const std::filesystem::path& file) const;

  std::filesystem::path root_;
  std::map<std::string, std::string> natural_;  ///< the driver that supports the ids of each device
  std::set<std::string> refusing_;
  std::set<std::string> clinging_;
  std::vector<std::string> events_;
  Duration last_{0};
};

}  // namespace pollux::pci::test
