// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/make_forward_path.hpp"

#include <fmt/format.h>

#include "drivers/intel/forward/forward_queue.hpp"
#include "net/config_check.hpp"

namespace pollux::drivers::intel {
namespace {

tl::unexpected<Error> no_queue(const PortDriver& port, const char* kind, std::uint16_t queue) {
  return refuse(port.info().name, fmt::format("forward_path: there is no {} queue {}", kind, queue),
                "configure the port with more queues, or use a lower queue index");
}

tl::unexpected<Error> taken(const PortDriver& port, const char* kind, std::uint16_t queue) {
  return refuse(port.info().name, fmt::format("forward_path: {} queue {} already has a path", kind, queue),
                "destroy that path first, or use another queue");
}

tl::unexpected<Error> observed(const PortDriver& port, const char* kind, std::uint16_t queue) {
  return refuse(port.info().name, fmt::format("forward_path: {} queue {} has an observer", kind, queue),
                "detach it first: a forward path has no bursts, so an observer would see nothing");
}

tl::unexpected<Error> copies(const PortDriver& port, std::uint16_t queue) {
  return refuse(port.info().name, fmt::format("forward_path: receive queue {} has copy_break", queue),
                "configure the queue without it: a forward path exchanges buffers and copies nothing");
}

tl::unexpected<Error> splits(const PortDriver& port, std::uint16_t queue) {
  return refuse(port.info().name, fmt::format("forward_path: receive queue {} has header_pool", queue),
                "configure the queue without it: a forward path exchanges buffers of whole frames");
}

tl::unexpected<Error> headed(const PortDriver& port, std::uint16_t queue) {
  return refuse(port.info().name, fmt::format("forward_path: transmit queue {} has head_write_back", queue),
                "configure the queue without it: a forward path looks for done bits in the descriptors");
}

}  // namespace

Result<std::unique_ptr<ForwardPath>> make_forward_path(QueuePort& in, std::uint16_t rx_queue, PortDriver& out,
                                                       std::uint16_t tx_queue) {
  auto* const to = dynamic_cast<QueuePort*>(&out);
  if (to == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: no forward path to {}, which has another driver", in.info().name, out.info().name),
                "forward with rx_burst and tx_burst, which works between all ports");
  }
  RxQueue* const rx = in.queues()->rx(rx_queue);
  TxQueue* const tx = to->queues()->tx(tx_queue);
  if (rx == nullptr) return no_queue(in, "receive", rx_queue);
  if (tx == nullptr) return no_queue(out, "transmit", tx_queue);
  if (rx->is_lent()) return taken(in, "receive", rx_queue);
  if (tx->is_lent()) return taken(out, "transmit", tx_queue);
  if (rx->copies_frames()) return copies(in, rx_queue);
  if (rx->splits_frames()) return splits(in, rx_queue);
  if (tx->has_head_write_back()) return headed(out, tx_queue);
  if (rx->is_observed()) return observed(in, "receive", rx_queue);
  if (tx->is_observed()) return observed(out, "transmit", tx_queue);
  return std::make_unique<ForwardQueue>(in.queues(), *rx, to->queues(), *tx);
}

}  // namespace pollux::drivers::intel
