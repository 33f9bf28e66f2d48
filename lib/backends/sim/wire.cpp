// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/wire.hpp"

#include <utility>

namespace pollux::sim {

std::shared_ptr<Wire> Wire::create(Clock& clock, std::unique_ptr<DeviceModel> left,
                                   std::unique_ptr<DeviceModel> right) {
  std::shared_ptr<Wire> wire(new Wire(clock));
  wire->ends_[0].card = std::move(left);
  wire->ends_[1].card = std::move(right);
  wire->connect();
  return wire;
}

std::shared_ptr<Wire> Wire::create(Clock& clock, std::unique_ptr<DeviceModel> card, FrameHandler far_end) {
  std::shared_ptr<Wire> wire(new Wire(clock));
  wire->ends_[0].card = std::move(card);
  wire->ends_[1].handler = std::move(far_end);
  wire->connect();
  return wire;
}

Wire::~Wire() = default;

void Wire::connect() {
  for (unsigned end = 0; end < ends_.size(); ++end) {
    if (ends_[end].card == nullptr) continue;
    ends_[end].card->on_transmit([this, end](std::span<const std::byte> frame) { carry(end, frame); });
    ends_[end].card->set_carrier(true);
  }
  if (auto* const manual = dynamic_cast<ManualClock*>(&clock_)) {
    manual->follow([weak = weak_from_this()](Duration) {
      const std::shared_ptr<Wire> wire = weak.lock();
      if (wire == nullptr) return;
      const std::lock_guard guard(*wire->lock_);
      wire->catch_up();
    });
  }
}

bool Wire::claim(unsigned end) {
  const std::lock_guard guard(*lock_);
  if (ends_[end].card == nullptr) return false;
  return !std::exchange(ends_[end].claimed, true);
}

void Wire::release(unsigned end) {
  const std::lock_guard guard(*lock_);
  ends_[end].claimed = false;
}

void Wire::catch_up() {
  const Duration now = clock_.now();
  for (End& end : ends_) {
    if (end.card != nullptr) end.card->advance(now);
  }
}

void Wire::inject(std::span<const std::byte> frame) {
  const std::lock_guard guard(*lock_);
  catch_up();
  carry(1, frame);
}

void Wire::set_carrier(bool present) {
  const std::lock_guard guard(*lock_);
  catch_up();
  for (End& end : ends_) {
    if (end.card != nullptr) end.card->set_carrier(present);
  }
}

Wire::Counters Wire::counters(unsigned end) const {
  const std::lock_guard guard(*lock_);
  return ends_[end].sent;
}

// A card that answered a frame with a frame at once would come back in here while the first one is still on its way.
void Wire::carry(unsigned from, std::span<const std::byte> frame) {
  if (delivering_) {
    queue_.push_back({from, {frame.begin(), frame.end()}});
    return;
  }
  delivering_ = true;
  deliver(from, frame);
  while (!queue_.empty()) {
    const Frame next = std::move(queue_.front());
    queue_.pop_front();
    deliver(next.from, next.bytes);
  }
  delivering_ = false;
}

void Wire::deliver(unsigned from, std::span<const std::byte> frame) {
  End& to = ends_[1 - from];
  Counters& counters = ends_[from].sent;
  if (to.handler) {
    ++counters.carried;
    to.handler(frame);
  } else if (to.card == nullptr || !to.claimed) {
    ++counters.dropped_unopened;
  } else {
    ++counters.carried;
    to.card->receive(frame);
  }
}

}  // namespace pollux::sim
