// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/core.hpp"

#include <algorithm>

namespace pollux::models::virtio {

Core::Core(const CardOptions& chosen) : options(chosen), faults(chosen.faults), moderation_(2U * chosen.pairs + 1) {
  for (unsigned number = 0; number < 2U * options.pairs + 1; ++number)
    queues.emplace_back(memory, faults, static_cast<std::uint16_t>(number), options.queue_size);
  reset();
}

void Core::reset() {
  features = 0;
  settings = {};
  mac = options.mac;
  ready = broken = false;
  for (Queue& queue : queues) queue.reset();
  moderation_.assign(moderation_.size(), {});
}

void Core::fail(const char* why) {
  if (broken) return;
  broken = true;
  last_failure = why;
  ++counters.failures;
  if (on_failure) on_failure();
}

bool Core::take(Queue& queue, Chain& chain) {
  if (!running()) return false;
  const Queue::Take taken = queue.take(chain);
  if (taken == Queue::Take::broken) fail(queue.why());
  return taken == Queue::Take::taken;
}

// 5.1.6.5.9: with both limits the driver is told after that many packets or that time.
void Core::finish(Queue& queue, std::uint32_t packets) {
  const bool lies = queue.number() != control_index();
  if (!queue.publish(lies)) return fail("a used ring cannot be written");
  if (lies && faults.strikes(FaultKind::needs_reset, queue.number() % 2 == 0)) return fail("as a fault asks for");
  Moderation& moderation = moderation_[queue.number()];
  moderation.packets += packets;
  const hw::Coalescing& limits = moderation.limits;
  if (limits.max_packets == 0 || limits.max_microseconds == 0 || moderation.packets >= limits.max_packets)
    return tell(queue.number());
  if (moderation.deadline == Duration::max() && moderation.packets != 0)
    moderation.deadline = now_ + std::chrono::microseconds(limits.max_microseconds);
}

void Core::tell(std::uint16_t queue) {
  moderation_[queue].packets = 0;
  moderation_[queue].deadline = Duration::max();
  if (!queues[queue].take_interrupt()) return;
  if (!faults.strikes(FaultKind::no_interrupt, queue % 2 == 0)) tell_driver(queues[queue]);
}

// "When the coalescing parameters change, the device needs to check if the new conditions are met."
void Core::set_coalescing(std::uint16_t queue, hw::Coalescing limits) {
  Moderation& moderation = moderation_[queue];
  moderation.limits = limits;
  if (moderation.packets != 0 &&
      (limits.max_packets == 0 || limits.max_microseconds == 0 || moderation.packets >= limits.max_packets))
    return tell(queue);
  if (moderation.packets != 0)
    moderation.deadline = std::min(moderation.deadline, now_ + std::chrono::microseconds(limits.max_microseconds));
}

void Core::restart_coalescing(std::uint16_t queue) {
  moderation_[queue] = {};
  if (queue == control_index()) return;
  moderation_[queue].limits = queue % 2 == 0 ? settings.rx_coalescing : settings.tx_coalescing;
}

void Core::advance(Duration now) {
  now_ = std::max(now_, now);
  memory.advance(now_);
  for (std::size_t queue = 0; queue < moderation_.size(); ++queue) {
    if (moderation_[queue].deadline <= now_) tell(static_cast<std::uint16_t>(queue));
  }
}

Duration Core::next_event() const noexcept {
  if (memory.intercepted()) return Duration::min();
  Duration next = Duration::max();
  for (const Moderation& moderation : moderation_) next = std::min(next, moderation.deadline);
  return next;
}

}  // namespace pollux::models::virtio
