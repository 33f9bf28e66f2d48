// SPDX-License-Identifier: BSD-3-Clause
#include "net/handover/device_record.hpp"

#include <utility>

namespace pollux::handover {
namespace {

constexpr const char* kDevice = "device";
/// More than a Context has.
constexpr std::size_t kMaxRanges = 4096;

}  // namespace

void add_device(PortHandover::Offer& offer, Device& device, const ContextState& context) {
  DeviceHandover::Offer card = device.handover()->describe();
  Json used = Json::array();
  for (const IovaRange& range : context.used_iova()) {
    used.push_back(range.first);
    used.push_back(range.last);
  }
  offer.details[kDevice] = {
      {"name", device.name()}, {"access", card.access}, {"space", card.space}, {"used", std::move(used)}};
  for (auto& descriptor : card.descriptors) offer.descriptors.push_back(std::move(descriptor));
}

std::string device_of(const PortRecord& port) {
  const auto found = port.details.find(kDevice);
  auto name = found == port.details.end() ? Result<std::string>() : text(*found, "name");
  return name ? *std::move(name) : std::string();
}

Result<std::optional<DeviceRecord>> read_device(PortRecord& port) {
  const auto found = port.details.find(kDevice);
  if (found == port.details.end()) return std::optional<DeviceRecord>();
  DeviceRecord device;
  auto name = text(*found, "name");
  if (!name) return pass_on(std::move(name));
  auto access = text(*found, "access");
  if (!access) return pass_on(std::move(access));
  const auto space = number(*found, "space", ~std::uint32_t{0});
  if (!space) return tl::unexpected<Error>(space.error());
  const auto used = numbers(*found, "used", 2 * kMaxRanges, ~std::uint64_t{0});
  if (!used) return tl::unexpected<Error>(used.error());
  if (used->size() % 2 != 0) return malformed("'used' has half a range");
  for (std::size_t i = 0; i < used->size(); i += 2) device.used.push_back({(*used)[i], (*used)[i + 1]});
  device.name = *std::move(name);
  device.access = *std::move(access);
  device.space = static_cast<std::uint32_t>(*space);
  for (NamedDescriptor& one : std::exchange(port.descriptors, {}))
    device.files.emplace_back(std::move(one.name), std::move(one.file));
  return device;
}

}  // namespace pollux::handover
