// SPDX-License-Identifier: BSD-3-Clause
#include "open/registry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "open/built_in.hpp"

namespace pollux {
namespace {

Result<void> reject(std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, std::move(what), std::move(hint));
}

}  // namespace

Registry::Registry() { register_built_in(*this); }

Result<void> Registry::add(CardDriver driver) {
  if (driver.name.empty()) return reject("the driver has no name", "name it, such as \"igb\"");
  if (!driver.probe) return reject(fmt::format("the driver '{}' has no probe", driver.name), "set CardDriver::probe");
  if (driver.cards.empty()) {
    return reject(fmt::format("the driver '{}' knows no card", driver.name), "list its cards in CardDriver::cards");
  }
  const std::lock_guard lock(mutex_);
  drivers_.push_front(std::move(driver));
  return {};
}

void Registry::add_scheme(const Scheme& scheme) {
  if (find_scheme(scheme.name)) return;
  const std::lock_guard lock(mutex_);
  schemes_.push_back(scheme);
}

std::optional<Scheme> Registry::find_scheme(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(schemes_.begin(), schemes_.end(), [&](const Scheme& one) { return one.name == name; });
  return found == schemes_.end() ? std::nullopt : std::optional(*found);
}

std::vector<Scheme> Registry::schemes() const {
  const std::lock_guard lock(mutex_);
  return schemes_;
}

std::optional<Registry::Found> Registry::find(const PciIdentity& card) const {
  const std::lock_guard lock(mutex_);
  for (const CardDriver& driver : drivers_) {
    for (const KnownCard& known : driver.cards) {
      if (known.vendor == card.vendor && known.device == card.device) return Found{&driver, &known};
    }
  }
  return std::nullopt;
}

const CardLayout* Registry::find_layout(const PciIdentity& card) const {
  const auto found = find(card);
  return found ? found->driver->layout : nullptr;
}

std::vector<const CardDriver*> Registry::drivers() const {
  const std::lock_guard lock(mutex_);
  std::vector<const CardDriver*> all;
  for (const CardDriver& driver : drivers_) all.push_back(&driver);
  return all;
}

std::string Registry::describe() const {
  std::vector<std::string> lines;
  for (const CardDriver* driver : drivers()) {
    std::vector<std::string> cards;
    for (const KnownCard& card : driver->cards) {
      if (card.not_driven.empty())
        cards.push_back(fmt::format("{:04x}:{:04x} {}", card.vendor, card.device, card.name));
    }
    lines.push_back(fmt::format("{} ({})", driver->name, fmt::join(cards, ", ")));
  }
  return fmt::format("{}", fmt::join(lines, "; "));
}

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
