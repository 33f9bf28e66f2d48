// SPDX-License-Identifier: BSD-3-Clause
// The work on what the kernel offers, over its own driver of the card. The ports are network interfaces.
#include "af_packet.hpp"
#include "af_xdp.hpp"
#include "cases.hpp"
#include "pktgen.hpp"

namespace {

template <class Side>
void run_side(const peers::Options& options) {
  Side side(options.ports);
  peers::run(side, options);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) peers::give_up("name af_packet, af_xdp or pktgen, then the rest");
  const std::string_view kind = argv[1];
  const peers::Options options = peers::read_options(argc - 1, argv + 1);
  if (kind == "af_packet") {
    run_side<peers::AfPacketSide>(options);
  } else if (kind == "af_xdp") {
    run_side<peers::AfXdpSide>(options);
  } else if (kind == "pktgen") {
    for (const unsigned burst : options.bursts) peers::run_pktgen(options.ports.front(), burst, options.frames);
  } else {
    peers::give_up("name af_packet, af_xdp or pktgen");
  }
  return 0;
}
