// SPDX-License-Identifier: BSD-3-Clause
#include "fake_machine.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace pollux::pci::test {

namespace fs = std::filesystem;

FakeMachine::FakeMachine() {
  std::string name = (fs::temp_directory_path() / "pollux-pci-XXXXXX").string();
  root_ = ::mkdtemp(name.data());
  paths = SystemPaths::below(root_);
  fs::create_directories(paths.sys / "bus/pci/devices");
  fs::create_directories(paths.sys / "bus/pci/drivers");
  fs::create_directories(paths.sys / "kernel/iommu_groups");
  fs::create_directories(paths.proc);
  fs::create_directories(paths.dev / "vfio");
  fs::create_directories(paths.run);
  fs::permissions(paths.run, fs::perms{0755});  // whatever the umask
  write(paths.sys / "bus/pci/drivers_probe", "");
  clock.follow([this](Duration now) { react(now); });
}

FakeMachine::~FakeMachine() { fs::remove_all(root_); }

Address FakeMachine::add(const FakeDevice& made) {
  const Address address = Address::parse(made.address).value();
  const fs::path directory = device(address);
  fs::create_directories(directory);
  write(directory / "vendor", made.vendor + "\n");
  write(directory / "device", made.device + "\n");
  write(directory / "subsystem_vendor", "0x8086\n");
  write(directory / "subsystem_device", "0xa03c\n");
  write(directory / "class", made.class_code + "\n");
  write(directory / "revision", "0x01\n");
  write(directory / "numa_node", "1\n");
  write(directory / "driver_override", "(null)\n");
  if (!made.interface.empty()) fs::create_directories(directory / "net" / made.interface);
  if (made.group) {
    const fs::path group = paths.sys / "kernel/iommu_groups" / std::to_string(*made.group);
    fs::create_directories(group / "devices");
    fs::create_directory_symlink(directory, group / "devices" / made.address);
    fs::create_directory_symlink(group, directory / "iommu_group");
  }
  natural_[made.address] = made.driver;
  if (!made.driver.empty()) {
    load_driver(made.driver);
    fs::create_directory_symlink(paths.sys / "bus/pci/drivers" / made.driver, directory / "driver");
  }
  return address;
}

Address FakeMachine::add_function(Address physical, const FakeDevice& function) {
  const Address address = add(function);
  int number = 0;
  while (fs::exists(device(physical) / ("virtfn" + std::to_string(number)))) ++number;
  fs::create_directory_symlink(device(address), device(physical) / ("virtfn" + std::to_string(number)));
  return address;
}

void FakeMachine::load_driver(const std::string& name) {
  const fs::path directory = paths.sys / "bus/pci/drivers" / name;
  if (!fs::create_directories(directory)) return;
  write(directory / "unbind", "");
}

void FakeMachine::unload_driver(const std::string& name) { fs::remove_all(paths.sys / "bus/pci/drivers" / name); }

void FakeMachine::add_process(int number, const std::string& name, const fs::path& target) {
  const fs::path directory = paths.proc / std::to_string(number);
  fs::create_directories(directory / "fd");
  write(directory / "comm", name + "\n");
  if (!fs::exists(target)) write(target, "");
  fs::create_symlink(target, directory / "fd/5");
}

void FakeMachine::write(const fs::path& file, const std::string& text) const {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

std::string FakeMachine::read(const fs::path& file) const {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

fs::path FakeMachine::device(Address address) const { return paths.sys / "bus/pci/devices" / address.to_string(); }

fs::path FakeMachine::record(Address address) const { return paths.run / "pollux/drivers" / address.to_string(); }

std::string FakeMachine::driver_of(Address address) const {
  std::error_code error;
  const fs::path target = fs::read_symlink(device(address) / "driver", error);
  return error ? "" : target.filename().string();
}

std::string FakeMachine::take(const fs::path& file) const {
  std::string text = read(file);
  if (!text.empty()) write(file, "");
  return text;
}

void FakeMachine::react(Duration now) {
  if (now - last_ < std::chrono::milliseconds(1)) return;
  last_ = now;
  react_to_unbind();
  react_to_probe();
}

void FakeMachine::react_to_unbind() {
  for (const auto& driver : fs::directory_iterator(paths.sys / "bus/pci/drivers")) {
    const std::string name = driver.path().filename();
    const std::string address = take(driver.path() / "unbind");
    if (address.empty() || clinging_.contains(name)) continue;
    events_.push_back("unbind " + name + " " + address);
    fs::remove(paths.sys / "bus/pci/devices" / address / "driver");
  }
}

void FakeMachine::react_to_probe() {
  const std::string address = take(paths.sys / "bus/pci/drivers_probe");
  if (address.empty()) return;
  events_.push_back("probe " + address);
  const fs::path directory = paths.sys / "bus/pci/devices" / address;
  std::string wanted = read(directory / "driver_override");
  wanted.erase(wanted.find_last_not_of('\n') + 1);
  if (wanted.empty() || wanted == "(null)") wanted = natural_[address];
  const fs::path driver = paths.sys / "bus/pci/drivers" / wanted;
  if (wanted.empty() || !fs::exists(driver) || refusing_.contains(wanted)) return;
  fs::create_directory_symlink(driver, directory / "driver");
}

}  // namespace pollux::pci::test
