// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/port.hpp"

#include <chrono>
#include <string>

#include "mem/context_state.hpp"

namespace pollux {

Result<std::unique_ptr<ForwardPath>> PortDriver::forward_path(std::uint16_t, PortDriver&, std::uint16_t) {
  return fail(ErrorCode::not_supported, info().name + ": the " + info().driver + " driver has no forward path",
              "forward with rx_burst and tx_burst, which every port has");
}

Result<Link> Port::wait_for_link(Duration limit) {
  Link link;
  const auto waited = wait_until(
      context_->clock(), info().name + ": link up", limit,
      [&] {
        link = driver_->link();
        return link.up;
      },
      std::chrono::milliseconds(1));
  if (waited) return link;
  return fail(ErrorCode::timeout, waited.error().what, "check the cable and the other end, or wait longer");
}

}  // namespace pollux
