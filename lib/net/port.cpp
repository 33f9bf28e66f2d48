// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/port.hpp"

#include <chrono>
#include <string>

#include "mem/context_state.hpp"

namespace pollux {

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
