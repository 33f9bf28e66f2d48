// SPDX-License-Identifier: BSD-3-Clause
// A forward path from one port to another: what must hold before two queues become one.
#include <fmt/format.h>

#include <memory>

#include "drivers/igb/forward_queue.hpp"
#include "drivers/igb/port.hpp"
#include "net/config_check.hpp"

namespace pollux::igb {
namespace {

tl::unexpected<Error> no_queue(std::string_view port, const char* kind, std::uint16_t queue) {
  return refuse(port, fmt::format("forward_path: there is no {} queue {}", kind, queue),
                "configure the port with more queues, or name a lower one");
}

tl::unexpected<Error> taken(std::string_view port, const char* kind, std::uint16_t queue) {
  return refuse(port, fmt::format("forward_path: {} queue {} has a path already", kind, queue),
                "destroy that path first, or name another queue");
}

}  // namespace

Result<std::unique_ptr<ForwardPath>> Port::forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                        std::uint16_t tx_queue) {
  auto* const other = dynamic_cast<Port*>(&out);
  if (other == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: a forward path to {} leads to another driver", card_.name, out.info().name),
                "forward with rx_burst and tx_burst, which works between all ports");
  }
  if (auto fits = expect({PortState::configured}, "forward_path"); !fits) return pass_on(std::move(fits));
  if (auto fits = other->expect({PortState::configured}, "forward_path"); !fits) return pass_on(std::move(fits));
  if (other->card_.context != card_.context) {
    return refuse(card_.name, fmt::format("forward_path: {} belongs to another Context", other->card_.name),
                  "open both ports in one Context: only then can both cards reach the buffers");
  }
  RxQueue* const rx = queues_->rx(rx_queue);
  TxQueue* const tx = other->queues_->tx(tx_queue);
  if (rx == nullptr) return no_queue(card_.name, "receive", rx_queue);
  if (tx == nullptr) return no_queue(other->card_.name, "transmit", tx_queue);
  if (rx->is_forwarding()) return taken(card_.name, "receive", rx_queue);
  if (tx->is_forwarding()) return taken(other->card_.name, "transmit", tx_queue);
  return std::make_unique<ForwardQueue>(queues_, *rx, other->queues_, *tx);
}

}  // namespace pollux::igb
