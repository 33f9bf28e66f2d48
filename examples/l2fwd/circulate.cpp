// SPDX-License-Identifier: BSD-3-Clause
#include "l2fwd/circulate.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/frame.hpp"

namespace pollux::examples {
namespace {

constexpr MacAddress kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

}  // namespace

Result<void> circulate(Port& port, std::uint16_t queue, std::uint32_t count, MempoolCache& cache, Clock& clock,
                       Duration limit) {
  FrameBuilder builder(frame::kMinLength, kBroadcast, port.mac());
  Burst<1> burst;
  for (std::uint32_t sequence = 0; sequence < count; ++sequence) {
    MbufPtr mbuf = cache.allocate();
    if (mbuf == nullptr || !builder.build(*mbuf, cache, sequence) || !burst.push(mbuf)) {
      return fail(ErrorCode::no_memory, fmt::format("the pool has no buffers for {} frames beside its rings", count),
                  "raise --mbufs or lower --circulate");
    }
    auto sent = wait_until(clock, port.info().name + ": room in the transmit ring", limit,
                           [&] { return port.tx(queue).tx_burst(burst) == 1; });
    if (!sent) return sent;
  }
  return {};
}

}  // namespace pollux::examples
