// SPDX-License-Identifier: BSD-3-Clause
// What count_files watches: opens a port and passes one frame; sets the MTU of a started port, lets it hang and be
// reset, stops it and starts it.
#include <chrono>
#include <cstring>

#include "pollux/open.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace {

pollux::Result<pollux::Port> watched_opening(pollux::Context& context) { return pollux::open(context, "sim:0"); }

bool watched_frame(pollux::Port& from, pollux::Port& to, pollux::Burst<1>& burst) {
  if (from.tx(0).tx_burst(burst) != 1) return false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (to.rx(0).rx_burst(burst) == 0) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

pollux::Result<void> watched_mtu(pollux::Port& port) { return pollux::test::set_mtu(port, 4000); }

bool open_and_forward() {
  pollux::Context context;
  auto left = watched_opening(context);
  auto right = pollux::open(context, "sim:1");
  for (auto* port : {&left, &right}) {
    if (!port->has_value() || !(*port)->wait_for_link(std::chrono::seconds(10))) return false;
  }
  pollux::MbufPtr frame = left->rx_pool()->allocate();
  std::memset(frame->append(60), 0xFF, 60);  // broadcast
  pollux::Burst<1> burst;
  return burst.push(frame) && watched_frame(*left, *right, burst);
}

bool change_and_hang() {
  using std::chrono::seconds;
  pollux::test::CardFixture fixture;
  bool done = watched_mtu(fixture.port) && fixture.port.settings().mtu == 4000;
  fixture.card.with([](auto& card) { card.transmitter().queue(0).hang(); });
  done = done && fixture.transmit(pollux::test::counting_frame(60));
  for (int second = 0; second < 7; ++second) {
    done = done && fixture.port.service();
    fixture.clock->advance(seconds(1));
  }
  return done && fixture.counter("tx_timeouts") == 1 && fixture.port.stop() && fixture.port.start();
}

}  // namespace

int main() { return open_and_forward() && change_and_hang() ? 0 : 1; }
