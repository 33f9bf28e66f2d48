// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/forward_path.hpp"

#include <mutex>

#include "net/forward_ports.hpp"

namespace pollux {

ForwardPath::ForwardPath() noexcept : gate_(&idle) {}

ForwardPath::~ForwardPath() = default;

ForwardPath::ControlLocks ForwardPath::lock_ports() const {
  return ports_ == nullptr ? ControlLocks{} : ports_->lock();
}

// std::lock avoids a deadlock: two threads may lock the same two ports in opposite order. Each port is locked once on
// its own first, so that an overdue service is reported without holding the other lock.
ForwardPath::ControlLocks ForwardPorts::lock() const {
  if (in_ == out_) return {in_->lock(), {}};
  ForwardPath::ControlLocks locks{in_->lock(), {}};
  locks[0].unlock();
  locks[1] = out_->lock();
  locks[1].unlock();
  std::lock(locks[0], locks[1]);
  return locks;
}

}  // namespace pollux
