// SPDX-License-Identifier: BSD-3-Clause
#include "l2fwd/options.hpp"

#include <fmt/format.h>

#include "common/command_line.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux::examples {

using namespace tools;

std::optional<int> read_options(int argc, char** argv, L2fwdOptions& options) {
  cli::App app("Forwards Ethernet frames between two ports, or back out of one", "l2fwd");
  app.footer(
      "A port is vfio:0000:01:00.0, the bare PCI address, or sim:0. A sent frame has the sending port's address as\n"
      "source and 02:00:00:00:00:N as destination, where N is the number of that port. Ctrl-C ends the program with\n"
      "a summary. The status is 1 if a received frame is not accounted for (sent, named drop, in flight), if a port\n"
      "fails or if the output cannot be written, and 2 after a wrong command line. Frames that a card missed are\n"
      "reported; they do not change the status.");
  app.add_option("PORT", options.ports, "One or two ports")->required()->expected(1, 2);
  app.add_flag("!--no-mac-updating", options.update_macs, "Leave the addresses in the frames as they are");
  app.add_option("--packets", options.packets, "End after forwarding this many frames")->check(cli::count());
  app.add_option("--circulate", options.circulate,
                 "Send this many frames at the start; they circulate forever if the two ports are wired to each other")
      ->check(cli::range(1, 4096));
  app.add_flag("--fused", options.port.fused,
               fmt::format("Exchange buffers between the rings instead of going through the pool; needs cards of one "
                           "driver, and --burst is {} at most",
                           ForwardPath::kMaxBurst));
  app.add_option(
      "--hand-over", options.port.handover,
      "Path of a socket: take the ports over from the program that offers them there, if there is one, then\n"
      "offer them there to the next one, and end when it has them");
  add_port_options(app, options.port);
  add_queue_options(app, options.port);
  add_run_options(app, options.run);
  app.callback([&options] {
    check_queue_options(options.port);
    if (options.port.fused && options.port.queues > 1)
      throw cli::UsageError("--queues", "forward paths (--fused) have one queue a port in this program");
    if (options.packets && options.port.cores.size() > 1)
      throw cli::UsageError("--packets", "several --cores do not count frames together; use --seconds");
    if (options.port.fused && options.port.burst > ForwardPath::kMaxBurst) {
      throw cli::UsageError("--burst", fmt::format("{} is too many with --fused, which moves at most {} frames a poll",
                                                   options.port.burst, ForwardPath::kMaxBurst));
    }
  });
  return parse(app, argc, argv);
}

}  // namespace pollux::examples
