// SPDX-License-Identifier: BSD-3-Clause
#include "net/port_event_queue.hpp"

#include <utility>

namespace pollux {
namespace {

/// Also ends with an exception of the handler.
class Delivering {
 public:
  explicit Delivering(bool& flag) noexcept : flag_(flag) { flag_ = true; }
  Delivering(const Delivering&) = delete;
  Delivering& operator=(const Delivering&) = delete;
  ~Delivering() { flag_ = false; }

 private:
  bool& flag_;
};

}  // namespace

std::string to_string(const PortEvent& event) {
  switch (event.kind) {
    case PortEventKind::link_up: return "link " + to_string(event.link);
    case PortEventKind::link_down: return "link down";
    case PortEventKind::removed: return "removed: " + event.error.message();
    case PortEventKind::tx_timeout:
      return "transmit queue " + std::to_string(event.queue) + " sent nothing; the port was reset";
    case PortEventKind::rx_timeout:
      return "receive queue " + std::to_string(event.queue) + " takes none of the frames that arrive";
    case PortEventKind::error: break;
  }
  return "error: " + event.error.message();
}

void PortEventQueue::set_handler(PortEventHandler handler) {
  auto next = handler ? std::make_shared<const PortEventHandler>(std::move(handler)) : nullptr;
  const std::lock_guard waits(delivery_);
  const std::lock_guard guard(mutex_);
  handler_.swap(next);
  events_.clear();
  link_ = {};
  failed_ = false;
}

bool PortEventQueue::has_handler() {
  const std::lock_guard guard(mutex_);
  return handler_ != nullptr;
}

void PortEventQueue::note_link(const Link& now) {
  const std::lock_guard guard(mutex_);
  failed_ = false;  // a port that works again may fail again
  if (handler_ == nullptr || now == link_) return;
  const bool changed = now.up || link_.up;
  link_ = now;
  if (changed) events_.push_back({now.up ? PortEventKind::link_up : PortEventKind::link_down, now, {}, 0});
}

void PortEventQueue::note_failure(const Error& why) {
  const std::lock_guard guard(mutex_);
  if (handler_ == nullptr || std::exchange(failed_, true)) return;
  link_ = {};
  const bool removed = why.code == ErrorCode::device_removed;
  events_.push_back({removed ? PortEventKind::removed : PortEventKind::error, {}, why, 0});
}

void PortEventQueue::note_timeout(PortEventKind kind, std::uint16_t queue) {
  const std::lock_guard guard(mutex_);
  if (handler_ != nullptr) events_.push_back({kind, {}, {}, queue});
}

void PortEventQueue::deliver() {
  if (!has_handler()) return;
  const std::lock_guard one_at_a_time(delivery_);
  if (is_delivering_) return;
  const Delivering delivering(is_delivering_);
  for (;;) {
    std::unique_lock lock(mutex_);
    if (handler_ == nullptr || events_.empty()) return;
    const auto handler = handler_;
    const PortEvent event = std::move(events_.front());
    events_.pop_front();
    lock.unlock();
    (*handler)(event);
  }
}

}  // namespace pollux
