// SPDX-License-Identifier: BSD-3-Clause
// Runs the workload on the kernel's packet interfaces, with the kernel's driver for the card. Ports are network
// interfaces.
#include "af_packet.hpp"
#include "af_packet_ring.hpp"
#include "af_xdp.hpp"
#include "cases.hpp"
#include "pktgen.hpp"

namespace {

constexpr const char* kKinds = "name af_packet, af_packet_ring, af_xdp or pktgen, then the rest";

template <class Side>
void run_side(const baselines::Options& options) {
  Side side(options.ports);
  baselines::run(side, options);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) baselines::give_up(kKinds);
  const std::string_view kind = argv[1];
  const baselines::Options options = baselines::read_options(argc - 1, argv + 1);
  if (kind == "af_packet") {
    run_side<baselines::AfPacketSide>(options);
  } else if (kind == "af_packet_ring") {
    run_side<baselines::AfPacketRingSide>(options);
  } else if (kind == "af_xdp") {
    run_side<baselines::AfXdpSide>(options);
  } else if (kind == "pktgen") {
    for (const unsigned burst : options.bursts) baselines::run_pktgen(options.ports.front(), burst, options.frames);
  } else {
    baselines::give_up(kKinds);
  }
  return 0;
}
