// SPDX-License-Identifier: BSD-3-Clause
// Adds the program's own driver and model of a card that the library does not know, then opens two such cards on a wire
// and uses them like any other port.
#include <cstdio>
#include <cstring>

#include <pollux/pollux.hpp>

#include "own_driver/card.hpp"
#include "own_driver/driver.hpp"

namespace {

int give_up(const pollux::Error& error) {
  std::fprintf(stderr, "own_driver: %s\n", error.message().c_str());
  return 1;
}

}  // namespace

int main() {
  pollux::Context context;
  if (auto added = pollux::add_driver(context, own_driver::driver()); !added) return give_up(added.error());
  auto added = pollux::add_card_model(
      context, {.name = "toy", .make = [](unsigned number) { return std::make_unique<own_driver::Card>(number); }});
  if (!added) return give_up(added.error());

  auto left = pollux::open(context, "sim:0?card=toy");
  if (!left) return give_up(left.error());
  auto right = pollux::open(context, "sim:1?card=toy");
  if (!right) return give_up(right.error());
  std::printf("%s is driven by %s\n", left->info().card.c_str(), left->info().driver.c_str());

  const char frame[60] = "\xFF\xFF\xFF\xFF\xFF\xFF\x02\x00\x00\x00\x00\x01\x88\xB5 to everybody";
  pollux::MbufPtr mbuf = left->rx_pool()->allocate();
  std::memcpy(mbuf->append(sizeof frame), frame, sizeof frame);
  pollux::Burst<32> burst;
  if (!burst.push(mbuf)) return 1;
  left->tx(0).tx_burst(burst);
  right->rx(0).rx_burst(burst);
  for (pollux::Mbuf& received : burst) {
    std::printf("%s received %u bytes:%s\n", right->info().name.c_str(), received.length(),
                reinterpret_cast<const char*>(received.data()) + 14);
  }
  return burst.size() == 1 && std::fflush(stdout) == 0 ? 0 : 1;
}
