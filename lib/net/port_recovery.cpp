// SPDX-License-Identifier: BSD-3-Clause
// PortMachine: suspends and detaches the port, resets it, and restores what it, or another port, was.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "net/config_check.hpp"
#include "net/port_machine.hpp"
#include "net/settings_check.hpp"
#include "pollux/net/transmit_watch.hpp"

namespace pollux {

void PortMachine::remember() { before_ = {state_, stopped_rx_, stopped_tx_}; }

tl::unexpected<Error> PortMachine::enter_failed(Error why, const Before& before) {
  auto failed = enter_failed(std::move(why));
  before_ = before;
  return failed;
}

// A port that does not start for want of mbufs has failed, too: it must not seem to run. Detaching and attaching tries
// again.
Result<void> PortMachine::restore() {
  const Before before = before_;
  state_ = before.state == PortState::opened ? PortState::opened : PortState::configured;
  if (before.state != PortState::started) return {};
  auto restored = start();
  for (const std::uint16_t index : before.stopped_rx) {
    if (restored) restored = stop_queue({QueueDirection::receive, index});
  }
  for (const std::uint16_t index : before.stopped_tx) {
    if (restored) restored = stop_queue({QueueDirection::transmit, index});
  }
  if (restored) return restored;
  if (state_ != PortState::failed) return enter_failed(restored.error(), before);
  before_ = before;
  return restored;
}

Result<void> PortMachine::suspend() {
  const auto awake = {PortState::opened, PortState::configured, PortState::started};
  if (auto fits = expect(awake, "suspend"); !fits) return fits;
  remember();
  const Before before = before_;
  if (state_ == PortState::started) {
    if (auto stopped = stop(); !stopped) return stopped;
  }
  if (auto asleep = driver_->suspend(); !asleep) return enter_failed(asleep.error(), before);
  before_ = before;
  state_ = PortState::suspended;
  return {};
}

Result<void> PortMachine::resume() {
  if (auto fits = expect({PortState::suspended}, "resume"); !fits) return fits;
  if (auto awake = driver_->resume(); !awake) return enter_failed(awake.error());
  return restore();
}

// A port that failed has noted what it was. A card that does not stop fails here, and may be forced to then.
Result<void> PortMachine::detach() {
  const auto open = {PortState::opened, PortState::configured, PortState::started, PortState::suspended,
                     PortState::failed};
  if (auto fits = expect(open, "detach"); !fits) return fits;
  if (!driver_->can_attach()) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the {} driver keeps its device", info().name, info().driver),
                "close the port and open it again");
  }
  if (state_ != PortState::suspended && state_ != PortState::failed) remember();
  const Before before = before_;
  if (state_ == PortState::started) {
    if (auto stopped = stop(); !stopped && state_ == PortState::started) return stopped;
  }
  const bool failed = state_ == PortState::failed;
  if (failed) {
    if (poller_stuck_ && !driver_->close_queues(kPollerLimit)) {
      return fail(ErrorCode::busy, fmt::format("{}: a thread is still polling", info().name), "stop polling first");
    }
    poller_stuck_ = false;
    if (!driver_->make_harmless()) return tl::unexpected<Error>(failure_);
  }
  auto released = driver_->release(failed);
  if (filled_) drain_rings(DrainReason::removed);
  forget_stopped_queues();
  before_ = before;
  failure_ = {};
  state_ = PortState::detached;
  return released;
}

Result<void> PortMachine::attach(std::unique_ptr<Device> device) {
  if (auto fits = expect({PortState::detached}, "attach"); !fits) return fits;
  if (device == nullptr) return refuse(info().name, "attach: there is no device", "open one with open_device");
  if (auto attached = driver_->attach(std::move(device)); !attached) return attached;
  return restore();
}

Result<Duration> PortMachine::watch_transmit(Duration within) {
  auto* const watch = driver_->capability<TransmitWatch>();
  if (watch == nullptr) return within;
  const TransmitWatch::Report report = watch->watch_transmit(settings().tx_timeout);
  if (report.progress == TransmitWatch::Progress::idle) return within;
  if (report.progress == TransmitWatch::Progress::stalled) {
    if (auto reset = reset_hung(report.queue); !reset) return pass_on(std::move(reset));
  }
  return std::min(within, settings().tx_timeout);
}

// The program decides what to do: a restart of the queue may lose less than a reset of the port.
void PortMachine::watch_receive() {
  auto* const watch = driver_->capability<ReceiveWatch>();
  if (watch == nullptr) return;
  hung_rx_queue_ = watch->watch_receive(settings().rx_timeout);
  if (hung_rx_queue_) ++rx_timeouts_;
}

// Linux, igb_main.c, igb_tx_timeout and igb_reset_task. If a thread does not leave its burst, the next service tries
// again.
Result<void> PortMachine::reset_hung(std::uint16_t queue) {
  if (!driver_->close_queues(kPollerLimit)) return {};
  remember();
  if (auto halted = halt(); !halted) return enter_failed(halted.error());
  drain_rings(DrainReason::stopped);
  forget_stopped_queues();
  ++tx_timeouts_;
  hung_queue_ = queue;
  return restore();
}

}  // namespace pollux
