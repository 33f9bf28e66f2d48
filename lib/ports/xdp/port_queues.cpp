// SPDX-License-Identifier: BSD-3-Clause
// The port's queues: their mbufs, and the restart of one while the others run.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "mem/mempool_core.hpp"
#include "ports/xdp/port.hpp"

namespace pollux::xdp {

Result<void> XdpPort::fill() {
  for (const PlacedRxQueue& queue : config().rx) {
    std::vector<Mbuf*> mbufs(queue.ring);
    if (auto taken = queue.pool->take_all(mbufs, "a receive ring of " + info().name); !taken) {
      static_cast<void>(drain(DrainReason::stopped));
      return taken;
    }
    filled_.push_back(std::move(mbufs));
  }
  return {};
}

std::uint32_t XdpPort::drain(DrainReason) noexcept {
  std::uint32_t freed = 0;
  for (const std::vector<Mbuf*>& mbufs : filled_) {
    for (Mbuf* const mbuf : mbufs) MbufAccess::pool(*mbuf).put({&mbuf, 1});
    freed += static_cast<std::uint32_t>(mbufs.size());
  }
  filled_.clear();
  for (XdpRxQueue& queue : rx_) freed += queue.detach();
  for (XdpTxQueue& queue : tx_) freed += queue.detach();
  return freed;
}

void XdpPort::set_up(QueueId queue) noexcept {
  ports::SoftwarePort::set_up(queue);
  if (!queue.receives()) tx_[queue.index].set_ring(config().tx[queue.index].ring);
}

// The two directions share a socket, so a queue keeps its socket, and the kernel keeps the mbufs that it has.
Result<void> XdpPort::prepare(QueueId queue, const PlacedSettings& next, bool running) {
  if (running) {
    const PlacedRxQueue* const rx = queue.receives() ? &next.queues.rx[queue.index] : nullptr;
    const std::uint32_t ring = rx != nullptr ? rx->ring : next.queues.tx[queue.index].ring;
    const std::uint32_t most = slots_for(rx != nullptr ? config().rx[queue.index].ring : config().tx[queue.index].ring);
    if (ring > most ||
        (rx != nullptr && (taken_ != nullptr || kept_memory_ != nullptr) && ring > rx_[queue.index].posted()) ||
        (rx != nullptr && rx->pool != config().rx[queue.index].pool)) {
      return fail(
          ErrorCode::not_supported,
          fmt::format("{}: a queue of a started port keeps its pool, and has a ring of at most {}", info().name, most),
          "stop the port, then configure it");
    }
    const std::uint32_t posted = rx != nullptr ? rx_[queue.index].posted() : 0;
    if (rx != nullptr && ring > posted) {
      std::vector<Mbuf*> more(ring - posted);
      if (auto taken = rx->pool->take_all(more, "a new ring of " + info().name); !taken) return taken;
      more_ = std::move(more);
    }
  }
  return ports::SoftwarePort::prepare(queue, next, running);
}

void XdpPort::discard() noexcept {
  for (Mbuf* const mbuf : std::exchange(more_, {})) MbufAccess::pool(*mbuf).put({&mbuf, 1});
  ports::SoftwarePort::discard();
}

void XdpPort::exchange(QueueId queue) noexcept {
  if (!more_.empty()) rx_[queue.index].add(std::exchange(more_, {}));
  ports::SoftwarePort::exchange(queue);
}

}  // namespace pollux::xdp
