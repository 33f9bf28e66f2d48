// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux {

/// Stands for a queue that the port does not have (builds with POLLUX_CHECKED). Its bursts are empty.
class MissingRxQueue final : public RxQueue {
 public:
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override {
    return fail(ErrorCode::invalid_argument, "there is no such receive queue", "configure the port with more queues");
  }
};

class MissingTxQueue final : public TxQueue {
 public:
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override {
    return fail(ErrorCode::invalid_argument, "there is no such transmit queue", "configure the port with more queues");
  }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }
};

}  // namespace pollux
