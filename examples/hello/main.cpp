// SPDX-License-Identifier: BSD-3-Clause
// Two ports at the ends of a wire pass one frame back and forth; each port prints what it receives.
#include <pollux/pollux.hpp>

#include <cstdio>
#include <cstring>

int main() {
  pollux::Context context;                      // owns what would otherwise be global
  auto left = pollux::open(context, "sim:0");   // a card in this process; "vfio:0000:01:00.0" is a real one
  auto right = pollux::open(context, "sim:1");  // the other end of its wire
  for (auto* port : {&left, &right}) {
    const auto link = port->and_then([](auto& opened) { return opened.wait_for_link(std::chrono::seconds(10)); });
    if (!link) return std::fprintf(stderr, "%s\n", link.error().message().c_str()), 1;  // what failed and how to fix it
  }
  pollux::MbufPtr mbuf = left->rx_pool()->allocate();  // from the pool that the port made
  const char frame[60] = "\xFF\xFF\xFF\xFF\xFF\xFF\x02\x00\x00\x00\x00\x01\x88\xB5Hello";  // broadcast
  std::memcpy(mbuf->append(sizeof frame), frame, sizeof frame);
  pollux::Burst<32> burst;  // owns its mbufs
  if (burst.push(mbuf)) left->tx(0).tx_burst(burst);
  for (unsigned received = 0; received < 4;) {
    for (auto* port : {&*right, &*left}) {
      received += port->rx(0).rx_burst(burst);  // what has arrived; never waits
      for (pollux::Mbuf& m : burst)
        std::printf("%s: %u bytes, %.5s\n", port->info().name.c_str(), m.length(), m.data() + 14);
      port->tx(0).tx_burst(burst);  // takes what fits; the rest stays in the burst
    }
  }
  return std::fflush(stdout) == 0 ? 0 : 1;  // a full disk is an error, too
}
