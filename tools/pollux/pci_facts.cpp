// SPDX-License-Identifier: BSD-3-Clause
#include "pci_facts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/names.hpp"
#include "pci/iommu_group.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

std::string id(std::uint16_t value) { return fmt::format("{:04x}", value); }

std::vector<std::string> member_texts(const Environment& environment, std::uint32_t number, pci::Address self) {
  std::vector<std::string> texts;
  const auto group = pci::read_group(environment.paths, number);
  if (!group) return texts;
  for (const pci::GroupMember& member : group->members) {
    texts.push_back(fmt::format("{} ({}{})", member.name, member.driver.empty() ? "no driver" : member.driver,
                                member.viable() || member.address == self ? "" : ", blocks VFIO"));
  }
  return texts;
}

std::string group_text(const Environment& environment, const pci::DeviceInfo& device) {
  if (!device.iommu_group) return "none";
  return fmt::format("{}: {}", *device.iommu_group,
                     fmt::join(member_texts(environment, *device.iommu_group, device.address), ", "));
}

}  // namespace

nlohmann::json to_json(const pci::DeviceInfo& device, const DriverOf& driver_of) {
  const std::string pollux_driver = driver_of(device.vendor, device.device);
  nlohmann::json json{
      {"address", device.address.to_string()},
      {"vendor_id", id(device.vendor)},
      {"device_id", id(device.device)},
      {"subsystem_vendor_id", id(device.subsystem_vendor)},
      {"subsystem_device_id", id(device.subsystem_device)},
      {"class", fmt::format("{:06x}", device.class_code)},
      {"revision", device.revision},
      {"vendor", device.vendor_name},
      {"device", device.device_name},
      {"class_name", device.class_name},
      {"iommu_group", nullptr},
      {"numa_node", nullptr},
      {"driver", nullptr},
      {"driver_override", nullptr},
      {"interfaces", device.interfaces},
      {"supported", !pollux_driver.empty()},
      {"pollux_driver", nullptr},
  };
  if (device.iommu_group) json["iommu_group"] = *device.iommu_group;
  if (device.numa_node >= 0) json["numa_node"] = device.numa_node;
  if (!device.driver.empty()) json["driver"] = device.driver;
  if (!device.driver_override.empty()) json["driver_override"] = device.driver_override;
  if (!pollux_driver.empty()) json["pollux_driver"] = pollux_driver;
  return json;
}

Result<Facts> pci_facts(const Environment& environment, pci::Address address) {
  host::Names names(environment.paths.pci_ids);
  auto device = pci::read_device(environment.paths, address);
  if (!device) return pass_on(std::move(device));
  names.name(*device);
  const std::string pollux_driver = environment.driver_of(device->vendor, device->device);
  Facts facts{"pci", "PCI device " + address.to_string(), {}, to_json(*device, environment.driver_of)};
  facts.lines = {
      {"name", or_dash(joined(device->vendor_name, device->device_name))},
      {"class", joined(fmt::format("{:06x}", device->class_code), device->class_name)},
      {"ids", fmt::format("{:04x}:{:04x}, subsystem {:04x}:{:04x}, revision {:02x}", device->vendor, device->device,
                          device->subsystem_vendor, device->subsystem_device, device->revision)},
      {"kernel driver", or_dash(device->driver)},
      {"driver override", or_dash(device->driver_override)},
      {"interfaces", or_dash(fmt::format("{}", fmt::join(device->interfaces, ", ")))},
      {"IOMMU group", group_text(environment, *device)},
      {"NUMA node", device->numa_node < 0 ? "not told" : std::to_string(device->numa_node)},
      {"driver in Pollux", pollux_driver.empty() ? "none" : pollux_driver},
  };
  return facts;
}

}  // namespace pollux::tool
