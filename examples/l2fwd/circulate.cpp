// SPDX-License-Identifier: BSD-3-Clause
#include "l2fwd/circulate.hpp"

#include <fmt/format.h>

#include <chrono>

#include "common/frame.hpp"

namespace pollux::examples {

using namespace tools;

namespace {

constexpr MacAddress kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
/// The time limit to send each circulating frame.
constexpr Duration kSendLimit = std::chrono::seconds(1);
/// The time limit for the first circulating frame to return.
constexpr Duration kReturnLimit = std::chrono::milliseconds(500);

}  // namespace

Result<void> circulate(ProgramSetup& setup, const L2fwdOptions& options) {
  Port& port = setup.ports().front();
  TxQueue& queue = port.tx(options.port.fused ? 1 : 0);  // the first one belongs to the forward path
  FrameBuilder builder(frame::kMinLength, kBroadcast, port.mac());
  Burst<1> burst;
  for (std::uint32_t sequence = 0; sequence < options.circulate; ++sequence) {
    MbufPtr mbuf = setup.cache().allocate();
    if (mbuf == nullptr || !builder.build(*mbuf, setup.cache(), sequence) || !burst.push(mbuf)) {
      return fail(ErrorCode::no_memory,
                  fmt::format("the pool has no buffers for {} frames beside its rings", options.circulate),
                  "raise --mbufs or lower --circulate");
    }
    auto sent = wait_until(setup.clock(), port.info().name + ": room in the transmit ring", kSendLimit,
                           [&] { return queue.tx_burst(burst) == 1; });
    if (!sent) return sent;
  }
  return {};
}

void ReturnWatch::check(Duration now, bool have_returned) {
  if (have_returned || now >= start_ + kReturnLimit) end(have_returned);
}

void ReturnWatch::end(bool have_returned) {
  if (!over_ && !have_returned) {
    log_.warn(
        "none of the {} circulating frames returned: the ports must be each other's link partner, as sim:0 and sim:1 "
        "are",
        circulating_);
  }
  over_ = true;
}

}  // namespace pollux::examples
