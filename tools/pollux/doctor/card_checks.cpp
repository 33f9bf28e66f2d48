// SPDX-License-Identifier: BSD-3-Clause
// The card: its driver in Pollux, its PCIe link, its Ethernet link.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/shell_words.hpp"
#include "doctor/checks.hpp"
#include "hw/intel/e1000e/ids.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"
#include "started_port.hpp"

namespace pollux::tool::doctor {
namespace {

namespace sysfs = pci::sysfs;

constexpr Duration kLongestLinkWait = std::chrono::seconds(5);

Finding list_cards(const Subject& subject) {
  const auto devices = pci::list_devices(subject.paths());
  if (!devices) return {State::error, devices.error().what, {}, devices.error().hint};
  std::vector<std::string> cards;
  for (const pci::DeviceInfo& device : *devices) {
    if (!subject.environment.driver_of(device.vendor, device.device).empty()) {
      cards.push_back(device.address.to_string());
    }
  }
  if (cards.empty()) {
    return {State::error, "no card that Pollux drives", {}, "without a card, use sim:0; `pollux list` shows all cards"};
  }
  return {State::ok,
          fmt::format("{}", fmt::join(cards, ", ")),
          {},
          fmt::format("check a port: pollux doctor {}", cards.front())};
}

/// The speed in GT/s of a text such as "5.0 GT/s PCIe"; 0 if it is not known.
double transfer_rate(const std::string& text) {
  char* end = nullptr;
  const double rate = std::strtod(text.c_str(), &end);
  return end != text.c_str() && std::string_view(end).starts_with(" GT/s") ? rate : 0;
}

// The attributes are operstate and carrier of Documentation/ABI/testing/sysfs-class-net: carrier cannot be read while
// the interface is down.
Finding link_of_interface(const std::filesystem::path& directory) {
  const std::string interface = directory.filename();
  const auto carrier = sysfs::read_number(directory / "carrier", 1);
  if (!carrier) {
    return {State::unknown, fmt::format("{} is down", interface),
            Remedy{fmt::format("ip link set {} up", shell_quoted(interface))},
            "then run `pollux doctor` again; or test the link after binding"};
  }
  const auto speed = sysfs::read_number(directory / "speed", 1'000'000);
  if (*carrier == 1) {
    return {State::ok, fmt::format("{} is up{}", interface, speed ? fmt::format(", {} Mb/s", *speed) : "")};
  }
  return {State::warning, fmt::format("{} has no link", interface), {}, "plug in a cable, and look at its other end"};
}

Finding link_of_started_port(const Subject& subject) {
  Link link;
  const auto started = with_started_port(
      subject.environment, subject.uri, [](Port&) { return Result<void>{}; },
      [&](Port& port) {
        if (const auto up = port.wait_for_link(kLongestLinkWait)) link = *up;
        return Result<void>{};
      });
  if (!started) return {State::error, started.error().what, {}, started.error().hint};
  if (link.up) return {State::ok, to_string(link)};
  return {State::warning, "down; the port itself starts", {}, "plug in a cable, and look at its other end"};
}

}  // namespace

Finding check_card(const Subject& subject) {
  if (!subject.device) return list_cards(subject);
  const pci::DeviceInfo& device = *subject.device;
  const std::string ids = fmt::format("{:04x}:{:04x}", device.vendor, device.device);
  const std::string driver = subject.environment.driver_of(device.vendor, device.device);
  if (!driver.empty()) return {State::ok, fmt::format("{}, driver {}", ids, driver)};
  return {State::error,
          fmt::format("{} has no driver in Pollux", ids),
          {},
          "`pollux list` shows the cards that have one; a program can add its own driver"};
}

Finding check_pcie(const Subject& subject) {
  const auto directory = sysfs::device(subject.paths(), subject.device->address);
  const auto text = [&](const char* name) { return sysfs::read_text(directory / name).value_or(""); };
  const double rate = transfer_rate(text("current_link_speed"));
  const double most = transfer_rate(text("max_link_speed"));
  const auto width = sysfs::read_number(directory / "current_link_width", 64).value_or(0);
  const auto widest = sysfs::read_number(directory / "max_link_width", 64).value_or(0);
  // Virtual functions report no link; 255 stands for an unknown width.
  if (rate <= 0 || width == 0) return {State::unknown, "the kernel does not know the PCIe link"};
  const std::string found = fmt::format("{} GT/s, {} lanes", rate, width);
  if (rate >= most && width >= widest) return {State::ok, found};
  return {State::warning,
          fmt::format("{}; the card can have {} GT/s, {} lanes", found, most, widest),
          {},
          "use a slot with more lanes, or see its setting in the firmware"};
}

// Documentation/ABI/testing/sysfs-bus-pci: a directory "link" has a file for each state that the link can have. Linux
// takes both states from an 82574 (e1000e, 82571.c, FLAG2_DISABLE_ASPM_L0S and _L1), FreeBSD too (em_disable_aspm).
Finding check_aspm(const Subject& subject) {
  const pci::DeviceInfo& device = *subject.device;
  const auto* const fails = hw::e1000e::find_card({.vendor = device.vendor, .device = device.device});
  const auto directory = sysfs::device(subject.paths(), device.address) / "link";
  std::vector<std::string> on;
  Invocation write{{"tee"}, "0\n"};
  bool shown = false;
  for (const char* state : {"l0s", "l1"}) {
    const auto file = directory / fmt::format("{}_aspm", state);
    const auto enabled = sysfs::read_number(file, 1);
    shown |= enabled.has_value();
    if (enabled.value_or(0) == 0) continue;
    on.emplace_back(state);
    write.words.push_back(file);
  }
  if (!on.empty() && fails != nullptr) {
    return {State::warning, fmt::format("{} on; an {} is known to hang with it", fmt::join(on, " and "), fails->name),
            Remedy{fmt::format("echo 0 | {} > /dev/null", shell_text(write)), true, {write}},
            "holds until the machine is restarted; the firmware's setup may have a setting that stays"};
  }
  if (!on.empty()) return {State::ok, fmt::format("{} on", fmt::join(on, " and "))};
  if (shown || fails == nullptr) return {State::ok, "off"};
  return {State::unknown, "the kernel does not show it", {}, "the kernel parameter pcie_aspm=off turns it off"};
}

Finding check_link(const Subject& subject) {
  const pci::DeviceInfo& device = *subject.device;
  const auto interfaces = sysfs::interfaces(subject.paths(), device.address);
  if (!interfaces.empty()) return link_of_interface(interfaces.front());
  if (!pci::is_vfio_driver(device.driver)) return {State::unknown, "no driver shows it"};
  if (subject.start) return link_of_started_port(subject);
  return {State::unknown, "shown only by the program that has the port",
          Remedy{"pollux doctor --start " + device.address.to_string(), false},
          "this opens and starts the port, if no process has it"};
}

}  // namespace pollux::tool::doctor
