// SPDX-License-Identifier: BSD-3-Clause
#include "net/port_identity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>

#include "pollux/mem/mbuf.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

Result<std::uint16_t> next_port_index(ContextState& context, std::string_view port) {
  const std::uint16_t index = context.take_port_index();
  if (index != Mbuf::kNoPort) return index;
  return fail(ErrorCode::no_memory, fmt::format("{}: the Context has no port number left", port),
              "close ports that are not needed, or use another Context");
}

Result<std::uint16_t> take_port_index(Context& context, std::string_view port) {
  return next_port_index(*context.state(), port);
}

void return_port_index(Context& context, std::uint16_t index) { context.state()->return_port_index(index); }

bool is_station_address(const MacAddress& mac) noexcept {
  return (mac[0] & 1) == 0 && std::any_of(mac.begin(), mac.end(), [](std::uint8_t byte) { return byte != 0; });
}

MacAddress random_station_address() {
  std::random_device random;
  MacAddress mac;
  for (std::uint8_t& byte : mac) byte = static_cast<std::uint8_t>(random());
  mac[0] = static_cast<std::uint8_t>((mac[0] & 0xFC) | 0x02);  // individual, locally administered
  return mac;
}

std::string_view state_name(PortState state) noexcept {
  switch (state) {
    case PortState::opened: return "opened";
    case PortState::configured: return "configured";
    case PortState::started: return "started";
    case PortState::closed: return "closed";
    case PortState::failed: return "failed";
    case PortState::suspended: return "suspended";
    case PortState::detached: return "detached";
  }
  return "unknown";
}

namespace {

/// The next call on the way from `state` to one that is allowed.
std::string_view hint_for(PortState state, std::initializer_list<PortState> allowed) {
  const auto needs = [&](PortState one) { return allowed.size() == 1 && *allowed.begin() == one; };
  if (needs(PortState::detached) && state != PortState::closed) return "detach the port first";
  const bool is_awake = state == PortState::opened || state == PortState::configured || state == PortState::started;
  if (needs(PortState::suspended) && is_awake) return "suspend the port first";
  switch (state) {
    case PortState::opened: return "configure the port first";
    case PortState::configured: return "start the port first";
    case PortState::started: return "stop the port first";
    case PortState::closed: return "open the port again";
    case PortState::failed: return "close the port and open it again";
    case PortState::suspended: return "resume the port first";
    case PortState::detached: return "attach a device first";
  }
  return "";
}

}  // namespace

Result<void> expect_state(PortState state, std::initializer_list<PortState> allowed, std::string_view port,
                          std::string_view call, const Error& failure) {
  if (std::find(allowed.begin(), allowed.end(), state) != allowed.end()) return {};
  const std::string why = state == PortState::failed ? fmt::format(" ({})", failure.what) : "";
  return fail(ErrorCode::bad_state, fmt::format("{}: {}() on a port that is {}{}", port, call, state_name(state), why),
              std::string(hint_for(state, allowed)));
}

}  // namespace pollux
