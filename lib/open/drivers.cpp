// SPDX-License-Identifier: BSD-3-Clause
#include "open/drivers.hpp"

#include <utility>

#include <fmt/format.h>

#include "open/registry.hpp"

namespace pollux {

Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device) {
  const Registry& registry = context.service<Registry>();
  const PciIdentity card = device->identity();
  const auto found = registry.find(card);
  if (!found) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: no driver knows the card {:04x}:{:04x}", device->name(), card.vendor, card.device),
                "supported: " + registry.describe());
  }
  if (!found->card->not_driven.empty()) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the {} is not supported", device->name(), found->card->name),
                found->card->not_driven);
  }
  return found->driver->probe(context, std::move(device));
}

}  // namespace pollux
