// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/open_sim.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "backends/sim/device.hpp"

namespace pollux::sim {

std::shared_ptr<Wire> Fabric::wire(Clock& clock, unsigned number, ModelFactory make_card) {
  const std::lock_guard guard(lock_);
  std::shared_ptr<Wire>& wire = wires_[number / 2];
  if (wire == nullptr) {
    const unsigned even = number & ~1U;
    wire = Wire::create(clock, make_card(even), make_card(even + 1));
  }
  return wire;
}

Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which, ModelFactory make_card) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), number);
  if (error != std::errc() || end != which.data() + which.size() || number >= Fabric::kCards) {
    return fail(
        ErrorCode::invalid_argument, fmt::format("sim:{}: no such in-process card", which),
        fmt::format("write sim:0 to sim:{}; an even number and the next are joined by a wire", Fabric::kCards - 1));
  }
  auto device = SimDevice::create(context, fmt::format("sim:{}", number),
                                  context.service<Fabric>().wire(context.clock(), number, make_card), number % 2);
  if (!device) return pass_on(std::move(device));
  return std::unique_ptr<Device>(*std::move(device));
}

}  // namespace pollux::sim
