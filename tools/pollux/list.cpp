// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>
#include "common/cli.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/printable.hpp"
#include "commands.hpp"
#include "host/names.hpp"
#include "pci/device_info.hpp"
#include "pci_facts.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct ListOptions {
  bool json = false;
  bool all = false;
};

constexpr std::size_t kColumns = 7;
using Row = std::array<std::string, kColumns>;

std::string short_name(const pci::DeviceInfo& device) {
  if (!device.device_name.empty()) return joined(device.vendor_name, device.device_name);
  return joined(fmt::format("{:04x}:{:04x}", device.vendor, device.device), device.vendor_name);
}

Row row_of(const pci::DeviceInfo& device, const Environment& environment) {
  return {device.address.to_string(),
          or_dash(environment.driver_of(device.vendor, device.device)),
          or_dash(printable(device.driver)),
          device.iommu_group ? std::to_string(*device.iommu_group) : "-",
          device.numa_node < 0 ? "-" : std::to_string(device.numa_node),
          or_dash(printable(fmt::format("{}", fmt::join(device.interfaces, ",")))),
          printable(short_name(device))};
}

void print_table(const std::vector<pci::DeviceInfo>& devices, const Environment& environment) {
  std::vector<Row> rows{{"ADDRESS", "POLLUX", "KERNEL", "GROUP", "NUMA", "INTERFACE", "NAME"}};
  for (const pci::DeviceInfo& device : devices) rows.push_back(row_of(device, environment));
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < kColumns; ++i) environment.out << fmt::format("{:<{}}  ", row[i], widths[i]);
    environment.out << row.back() << '\n';
  }
}

int run_list(const Environment& environment, const ListOptions& options) {
  auto devices = pci::list_devices(environment.paths);
  if (!devices) return report(environment, devices.error());
  if (!options.all) std::erase_if(*devices, [](const auto& device) { return !device.is_network_controller(); });
  host::Names names(environment.paths.pci_ids);
  for (auto& device : *devices) names.name(device);
  if (options.json) {
    nlohmann::json listed = nlohmann::json::array();
    for (const auto& device : *devices) listed.push_back(to_json(device, environment.driver_of));
    environment.out << nlohmann::json{{"devices", std::move(listed)}}.dump(2, ' ', true, kReplaceBadText) << '\n';
  } else if (devices->empty()) {
    environment.out << "no network controllers; --all lists every PCI device\n";
  } else {
    print_table(*devices, environment);
  }
  return kSuccess;
}

}  // namespace

void add_list(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<ListOptions>();
  cli::App* command = app.add_subcommand("list", "List the machine's network controllers and their drivers");
  command->add_flag("--json", options->json, "Print JSON");
  command->add_flag("--all", options->all, "List every PCI device");
  command->footer(
      "pollux list\n"
      "pollux list --all --json\n"
      "\"POLLUX\" is the driver in Pollux, \"KERNEL\" the one that has the card now.");
  command->callback([options, &environment, &exit_code] { exit_code = run_list(environment, *options); });
}

}  // namespace pollux::tool
