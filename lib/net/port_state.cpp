// SPDX-License-Identifier: BSD-3-Clause
#include "net/port_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace pollux {

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

std::string_view hint_for(PortState state) {
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
              std::string(hint_for(state)));
}

}  // namespace pollux
