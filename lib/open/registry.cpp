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

bool is_model_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

Registry::Registry() : drivers_(built_in_drivers()), models_(built_in_models()) {}

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

Result<void> Registry::add(CardModel model) {
  if (!is_model_name(model.name)) {
    return reject(fmt::format("'{}' is not a valid name for an in-process card", model.name),
                  "use lower-case letters, digits and '-'");
  }
  if (!model.make)
    return reject(fmt::format("the in-process card '{}' has no make function", model.name), "set CardModel::make");
  const std::lock_guard lock(mutex_);
  models_.push_front(std::move(model));
  return {};
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

Result<const CardModel*> Registry::find_model(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string_view> names;
  if (name.empty()) return &models_.back();
  for (const CardModel& model : models_) {
    if (model.name == name) return &model;
    names.push_back(model.name);
  }
  return fail(ErrorCode::invalid_argument, fmt::format("there is no in-process card named '{}'", name),
              fmt::format("write card={}", fmt::join(names, " or card=")));
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
