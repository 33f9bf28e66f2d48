// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/open_vfio.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "backends/vfio/device_access.hpp"
#include "pci/device_info.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"

namespace pollux::vfio {
namespace {

bool path_exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

std::string iommu_hint(const pci::DeviceInfo& device) {
  return fmt::format(
      "switch VT-d (Intel) or AMD-Vi (AMD) on in the firmware and boot with the kernel parameter intel_iommu=on or "
      "amd_iommu=on; or do without an IOMMU, where the card can access all of this machine's memory: "
      "vfio:{0}?via=noiommu; in a virtual machine: `pollux doctor {0}`",
      device.address.to_string());
}

Result<void> check_iommu(const Host& host, const pci::DeviceInfo& device) {
  if (!device.iommu_group) {
    return fail(ErrorCode::no_iommu,
                fmt::format("{} has no IOMMU group: the machine has no IOMMU, or it is switched off",
                            device.address.to_string()),
                iommu_hint(device));
  }
  if (path_exists(no_iommu_node(host, *device.iommu_group))) {
    return fail(ErrorCode::no_iommu,
                fmt::format("{} is not behind an IOMMU: its group {} belongs to VFIO's no-IOMMU mode",
                            device.address.to_string(), *device.iommu_group),
                iommu_hint(device));
  }
  return {};
}

Result<void> check_switched_on(const Host& host, const std::string& address) {
  const auto module = host.paths.sys / "module/vfio";
  const auto enabled = pci::sysfs::read_text(module / "parameters/enable_unsafe_noiommu_mode");
  if (enabled == "Y") return {};
  if (enabled) {
    return fail(
        ErrorCode::no_iommu,
        fmt::format("{} cannot be used without an IOMMU: VFIO's no-IOMMU mode is switched off", address),
        fmt::format("echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode && pollux bind {} (the card "
                    "can then access all of this machine's memory)",
                    address));
  }
  if (path_exists(module) || path_exists(host.paths.dev / "vfio/vfio")) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{} cannot be used without an IOMMU: this kernel is built without VFIO's no-IOMMU mode", address),
        "use a kernel with CONFIG_VFIO_NOIOMMU, or a machine with an IOMMU");
  }
  return fail(
      ErrorCode::module_not_loaded, fmt::format("{} cannot be opened: the kernel's VFIO is not loaded", address),
      fmt::format("modprobe vfio enable_unsafe_noiommu_mode=1 && modprobe vfio-pci && pollux bind {}", address));
}

Result<void> check_bound(const Host& host, const pci::DeviceInfo& device) {
  if (pci::is_vfio_driver(device.driver)) return {};
  const std::string address = device.address.to_string();
  if (!path_exists(host.paths.dev / "vfio/vfio") || !path_exists(host.paths.sys / "bus/pci/drivers/vfio-pci")) {
    return fail(ErrorCode::module_not_loaded,
                fmt::format("{} cannot be opened: the kernel's vfio-pci driver is not loaded", address),
                "modprobe vfio-pci && pollux bind " + address);
  }
  return fail(ErrorCode::not_bound,
              device.driver.empty()
                  ? fmt::format("{} has no driver; vfio-pci is needed", address)
                  : fmt::format("{} is bound to the kernel driver {}; vfio-pci is needed", address, device.driver),
              "pollux bind " + address);
}

/// Checks in sysfs, before anything is opened, that `device` can be used. Errors: `no_iommu`, `module_not_loaded`,
/// `not_bound`.
Result<void> check_ready(const Host& host, const pci::DeviceInfo& device) {
  if (auto checked = check_iommu(host, device); !checked) return checked;
  return check_bound(host, device);
}

/// The same for VFIO's no-IOMMU mode. Also checks that the kernel has the mode, that it is switched on, and that
/// `device` needs it. Errors: `not_supported`, `module_not_loaded`, `no_iommu`, `not_bound`.
Result<void> check_ready_without_iommu(const Host& host, const pci::DeviceInfo& device) {
  const std::string address = device.address.to_string();
  if (device.iommu_group && !path_exists(no_iommu_node(host, *device.iommu_group))) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{} is behind an IOMMU (group {}), which VFIO's no-IOMMU mode does not switch off", address,
                    *device.iommu_group),
        fmt::format("open it as vfio:{}; to measure without an IOMMU, boot with intel_iommu=off or amd_iommu=off",
                    address));
  }
  if (auto enabled = check_switched_on(host, address); !enabled) return enabled;
  if (auto bound = check_bound(host, device); !bound) return bound;
  if (device.iommu_group) return {};
  return fail(ErrorCode::not_bound,
              fmt::format("{} has no VFIO group: it was bound before the no-IOMMU mode was switched on", address),
              fmt::format("pollux unbind {0} && pollux bind {0}", address));
}

constexpr std::string_view kKey = "via=";
constexpr std::string_view kTokenKey = "vf_token=";
constexpr std::string_view kKeepKey = "keep=";
constexpr std::array kAccessModes{std::pair<std::string_view, AccessMode>{"iommufd", AccessMode::iommufd},
                                  std::pair<std::string_view, AccessMode>{"group", AccessMode::group},
                                  std::pair<std::string_view, AccessMode>{"noiommu", AccessMode::no_iommu}};

/// 8-4-4-4-12 hexadecimal digits (RFC 9562, section 4), as the kernel's uuid_parse takes them.
bool is_uuid(std::string_view text) {
  constexpr std::string_view kPattern = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
  if (text.size() != kPattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = kDigits.find(text[i]) != std::string_view::npos;
    if (kPattern[i] == 'x' ? !is_digit : text[i] != '-') return false;
  }
  return true;
}

/// Sets what one part of the query says. Returns false if it says nothing known, or says it again.
bool set_part(VfioUri& uri, std::string_view part) {
  if (part.starts_with(kTokenKey)) {
    const auto token = part.substr(kTokenKey.size());
    if (!uri.token.empty() || !is_uuid(token)) return false;
    uri.token = token;
    return true;
  }
  if (part.starts_with(kKeepKey)) {
    if (!uri.keeper.empty() || part.size() == kKeepKey.size()) return false;
    uri.keeper = part.substr(kKeepKey.size());
    return true;
  }
  if (!part.starts_with(kKey) || uri.mode != AccessMode::automatic) return false;
  for (const auto& [name, mode] : kAccessModes) {
    if (part.substr(kKey.size()) == name) uri.mode = mode;
  }
  return uri.mode != AccessMode::automatic;
}

}  // namespace

Result<VfioUri> parse_uri(std::string_view text) {
  const auto mark = text.find('?');
  auto address = pci::Address::parse(text.substr(0, mark));
  if (!address) return pass_on(std::move(address));
  if (mark == std::string_view::npos) return VfioUri{*address};
  const std::string_view query = text.substr(mark + 1);
  VfioUri uri{*address};
  bool known = true;
  for (std::string_view rest = query; known;) {
    const auto end = rest.find('&');
    known = set_part(uri, rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (known && !uri.token.empty() && uri.mode != AccessMode::automatic && uri.mode != AccessMode::group) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': vf_token needs the IOMMU group", text),
                "write ?via=group&vf_token=UUID, or only ?vf_token=UUID");
  }
  if (known && !uri.keeper.empty() && uri.mode == AccessMode::no_iommu) {
    return fail(
        ErrorCode::invalid_argument, fmt::format("'{}': a card without an IOMMU is not kept", text),
        "leave out keep=: the memory of a program that ends is the kernel's again, and the card still writes it");
  }
  if (known) return uri;
  return fail(
      ErrorCode::invalid_argument, fmt::format("'{}': unknown option '{}'", text, query),
      fmt::format(
          "write vfio:{0}, or vfio:{0}?via=iommufd, ?via=group or ?via=noiommu; ?vf_token=UUID gives a token, and "
          "?keep=PATH a keeper",
          address->to_string()));
}

namespace {

// IOMMUFD first: kernel development continues there, it has no limit on mappings, and each device of a group is opened
// on its own. The group is tried next, for a user who was given access to the group alone.
Result<OpenedDevice> open_automatically(Context& context, const Host& host, const pci::DeviceInfo& device,
                                        const std::string& token, bool alone) {
  if (!token.empty()) return open_through_group(context, host, device, token, alone);
  const bool has_iommufd = pci::sysfs::exists(host.paths.dev / "iommu") && device_node(host, device).has_value();
  if (!has_iommufd) return open_through_group(context, host, device, {}, alone);
  auto opened = open_through_iommufd(context, host, device, alone);
  const bool has_group = pci::sysfs::exists(group_node(host, *device.iommu_group));
  if (opened || opened.error().code != ErrorCode::permission_denied || !has_group) return opened;
  return open_through_group(context, host, device, {}, alone);
}

Result<OpenedDevice> open_device(const VfioUri& uri, Context& context, const Host& host,
                                 const pci::DeviceInfo& device) {
  const AccessMode mode = uri.mode;
  if (mode == AccessMode::no_iommu) {
    if (auto ready = check_ready_without_iommu(host, device); !ready) return pass_on(std::move(ready));
    return open_without_iommu(context, host, device);
  }
  if (auto ready = check_ready(host, device); !ready) return pass_on(std::move(ready));
  const bool alone = !uri.keeper.empty();
  switch (mode) {
    case AccessMode::iommufd: return open_through_iommufd(context, host, device, alone);
    case AccessMode::group: return open_through_group(context, host, device, uri.token, alone);
    default: return open_automatically(context, host, device, uri.token, alone);
  }
}

/// The device of a program that hands its port over. Its access stays what it is.
Result<OpenedDevice> take_device(const VfioUri& uri, Context& context, const Host& host, const pci::DeviceInfo& device,
                                 DeviceRecord& record) {
  const auto wanted = std::ranges::find(kAccessModes, uri.mode, [](const auto& mode) { return mode.second; });
  if (wanted != kAccessModes.end() && wanted->first != record.access) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is open with ?via={} in the program that hands it over", record.name, record.access),
                "give the same option, or none");
  }
  if (!record.ended && !uri.keeper.empty()) {
    return fail(ErrorCode::not_supported,
                fmt::format("{} is not kept: it shares the memory of the program that hands it over", record.name),
                "leave out keep=, or start after that program has ended");
  }
  if (record.access == kIommufdAccess) return take_iommufd(context, host, device, record);
  const bool has_group = device.iommu_group.has_value();
  if (has_group && (record.access == kGroupAccess || record.access == kNoIommuAccess))
    return take_group(context, host, device, record);
  return fail(ErrorCode::not_supported,
              fmt::format("{} is open in another way in the program that hands it over", record.name),
              "end that program, then start this one");
}

}  // namespace

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view uri) {
  return open_vfio(context, uri, {system_kernel(), {}});
}

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view uri, const Host& host) {
  auto parsed = parse_uri(uri);
  if (!parsed) return pass_on(std::move(parsed));
  auto info = pci::read_device(host.paths, parsed->address);
  if (!info) return pass_on(std::move(info));
  if (DeviceRecord* const taken = taken_devices(*context.state()).find("vfio:" + info->address.to_string())) {
    auto opened = take_device(*parsed, context, host, *info, *taken);
    if (!opened) return pass_on(std::move(opened));
    return make_device(context.clock(), *info, std::move(*opened), host.paths, true);
  }
  auto opened = open_device(*parsed, context, host, *info);
  if (!opened) return pass_on(std::move(opened));
  return make_device(context.clock(), *info, std::move(*opened), host.paths);
}

}  // namespace pollux::vfio
