// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/open.hpp"

#include <utility>

#include "open/registry.hpp"
#include "open/uri_schemes.hpp"

namespace pollux {
namespace {

Result<Port> start(Result<Port> port, const PortConfig& config) {
  if (!port) return port;
  // A port that fails here goes out of scope, which stops and closes it.
  if (auto configured = port->configure(config); !configured) return pass_on(std::move(configured));
  if (auto started = port->start(); !started) return pass_on(std::move(started));
  return port;
}

}  // namespace

Result<Port> open_unconfigured(Context& context, std::unique_ptr<Device> device) {
  if (device == nullptr) {
    return fail(ErrorCode::invalid_argument, "there is no device to open", "pass a Device, not an empty pointer");
  }
  auto driver = probe_driver(context, std::move(device));
  if (!driver) return pass_on(std::move(driver));
  return Port(context.state(), *std::move(driver));
}

Result<Port> open_unconfigured(Context& context, std::string_view uri) {
  auto driver = open_port(context, uri);
  if (!driver) return pass_on(std::move(driver));
  return Port(context.state(), *std::move(driver));
}

Result<Port> open(Context& context, std::string_view uri, const PortConfig& config) {
  return start(open_unconfigured(context, uri), config);
}

Result<Port> open(Context& context, std::unique_ptr<Device> device, const PortConfig& config) {
  return start(open_unconfigured(context, std::move(device)), config);
}

std::vector<SupportedCard> supported_cards(Context& context) {
  std::vector<SupportedCard> all;
  for (const CardDriver* driver : context.service<Registry>().drivers()) {
    for (const KnownCard& card : driver->cards) all.push_back({.driver = driver->name, .card = card});
  }
  return all;
}

Result<void> add_driver(Context& context, CardDriver driver) {
  return context.service<Registry>().add(std::move(driver));
}

}  // namespace pollux
