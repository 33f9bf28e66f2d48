// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "base/undo.hpp"
#include "mem/context_state.hpp"
#include "net/port_identity.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// Makes a driver with an unused port index, by `make(index)`, and brings it up by `bring_up(driver)`. If that fails,
/// releases the driver's device and returns the index. Errors: no_memory (no index is left), and those of `bring_up`.
template <class Make, class BringUp>
[[nodiscard]] Result<std::unique_ptr<PortDriver>> new_port(ContextState& context, std::string_view name, Make make,
                                                           BringUp bring_up) {
  const auto index = next_port_index(context, name);
  if (!index) return tl::unexpected<Error>(index.error());
  Undo give_back([&] { context.return_port_index(*index); });
  auto port = make(*index);
  if (Result<void> up = bring_up(*port); !up) {
    static_cast<void>(port->release(true));
    return pass_on(std::move(up));
  }
  give_back.keep();
  return std::unique_ptr<PortDriver>(std::move(port));
}

}  // namespace pollux
