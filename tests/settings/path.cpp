// SPDX-License-Identifier: BSD-3-Clause
// Sets the MTU of a started port, or lets it hang and be reset, stops it and starts it: count_files watches what is
// executed.
#include <chrono>

#include "support/fixture.hpp"

int main() {
  using std::chrono::seconds;
  pollux::test::CardFixture fixture;
  bool done = fixture.port.set_mtu(4000) && fixture.port.mtu() == 4000;
  fixture.card.with([](auto& card) { card.transmitter().queue(0).hang(); });
  done = done && fixture.transmit(pollux::test::counting_frame(60));
  for (int second = 0; second < 7; ++second) {
    done = done && fixture.port.service();
    fixture.clock->advance(seconds(1));
  }
  done = done && fixture.counter("tx_timeouts") == 1 && fixture.port.stop() && fixture.port.start();
  return done ? 0 : 1;
}
