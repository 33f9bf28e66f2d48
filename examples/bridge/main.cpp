// SPDX-License-Identifier: BSD-3-Clause
// A learning bridge between any ports: a Poller, a FlowTable and clones in use.
#include <random>

#include "bridge/learning_bridge.hpp"
#include "command_line.hpp"
#include "ports.hpp"

using namespace pollux;
using namespace pollux::examples;

namespace {

constexpr const char* kUsage =
    "usage: bridge PORT PORT... [--addresses 4096] [--age 300]\n"
    "\n"
    "Forwards frames between ports, such as tap:x0 vfio:0000:01:00.0, and learns behind which port an address is: so\n"
    "many at the same time, and for so many seconds after their last frame. The ports must not form a loop: there is "
    "no\n"
    "spanning tree. Ctrl-C ends the program with a summary.\n";

/// Has the poller bridge what each port receives.
Result<void> add_ports(Poller& poller, Ports& own, LearningBridge& bridge, DropCounter& ring_full) {
  const auto count = static_cast<std::uint16_t>(own.ports.size());
  for (std::uint16_t from = 0; from < count; ++from) {
    const auto queue = poller.add(own.ports[from].rx(0), [&, from, count](Burst<LearningBridge::kBurst>& burst) {
      bridge.forward(from, burst, own.context.clock().now(), *own.cache);
      for (std::uint16_t to = 0; to < count; ++to) {
        own.ports[to].tx(0).tx_burst(bridge.out(to));
        bridge.out(to).drop(ring_full, *own.cache);
      }
    });
    if (!queue) return tl::unexpected(queue.error());
    own.ports[from].on_event([&bridge, from](const PortEvent& event) {
      if (event.kind == PortEventKind::link_down) bridge.forget(from);
    });
  }
  return {};
}

Result<void> bridge_ports(Words& words) {
  LearningBridge::Options options{.seed = std::random_device()()};
  options.addresses = words.number("--addresses", 4096U, 8U, FlowTable<std::uint16_t>::kMaxFlows);
  options.max_age = std::chrono::milliseconds(static_cast<int>(words.number("--age", 300.0, 0.001, 1e6) * 1000));
  const std::vector<std::string> uris = words.ports(2, 64);
  if (!words.mistake()) return words.mistake();
  options.ports = static_cast<std::uint16_t>(uris.size());

  const auto bridge = LearningBridge::create(options);
  if (!bridge) return tl::unexpected(bridge.error());
  const auto own = Ports::open(uris, true);
  if (!own) return tl::unexpected(own.error());
  DropCounter ring_full("ring_full");
  Poller poller((*own)->context);
  if (auto added = add_ports(poller, **own, **bridge, ring_full); !added) return added;
  fmt::print(stderr, "bridging {} ports\n", uris.size());
  auto served = run_until_ctrl_c((*own)->context, poller);

  const auto [forwarded, flooded, moved, forgotten] = (*bridge)->counts();
  const FlowTableStats& table = (*bridge)->addresses().stats();
  fmt::print("frames: {} forwarded, {} flooded; dropped: {} ring_full", forwarded, flooded, ring_full.value());
  for (const DropCounter* reason : (*bridge)->drops()) fmt::print(", {} {}", reason->value(), reason->name());
  fmt::print("\naddresses: {} learned, {} moved, {} aged, {} evicted, {} forgotten since a link went down\n",
             table.stored, moved, table.aged, table.evicted, forgotten);
  return served;
}

}  // namespace

int main(int argc, char** argv) { return run_example(argc, argv, kUsage, bridge_ports); }
