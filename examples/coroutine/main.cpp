// SPDX-License-Identifier: BSD-3-Clause
// Forwards between two ports, and prints a line every second: a coroutine for each of these, in one Poller.
#include "command_line.hpp"
#include "ports.hpp"

using namespace pollux;
using namespace pollux::examples;

namespace {

constexpr const char* kUsage =
    "usage: coroutine PORT PORT\n"
    "\n"
    "Forwards frames between two ports, such as tap:plx0 or vfio:0000:01:00.0, each direction in a coroutine.\n"
    "Ctrl-C ends the program with a summary.\n";

struct Direction {
  std::string name;
  std::uint64_t frames = 0;
  DropCounter ring_full{"coroutine_ring_full"};
};

Task<> forward(RxQueue& from, TxQueue& to, MempoolCache& cache, Direction& direction) {
  for (;;) {
    Burst<32> burst = co_await packets(from);
    direction.frames += burst.size();
    to.tx_burst(burst);
    burst.drop(direction.ring_full, cache);  // what the ring has no room for
  }
}

Task<> print_each_second(const Direction& there, const Direction& back) {
  for (;;) {
    co_await sleep_for(std::chrono::seconds(1));
    for (const Direction* one : {&there, &back}) fmt::print("{}: {} frames\n", one->name, one->frames);
  }
}

/// Services the ports when they are due, and at least every 100 ms. Returns after a failure.
Task<> service(Context& context, Result<void>& outcome) {
  for (;;) {
    const auto next = context.control().run_due();
    if (!next) {
      outcome = tl::unexpected(next.error());
      co_return;
    }
    co_await sleep_until(std::min(*next, context.clock().now() + std::chrono::milliseconds(100)));
  }
}

Result<void> serve(Ports& own, Direction& there, Direction& back) {
  Poller poller(own.context);
  Result<void> serviced;
  std::vector<Task<>> tasks;
  tasks.push_back(forward(own.ports[0].rx(0), own.ports[1].tx(0), *own.cache, there));
  tasks.push_back(forward(own.ports[1].rx(0), own.ports[0].tx(0), *own.cache, back));
  tasks.push_back(print_each_second(there, back));
  tasks.push_back(service(own.context, serviced));
  for (Task<>& task : tasks) {
    if (auto started = task.start(poller); !started) return started;
  }
  while (!stopped) {
    const auto frames = poller.run_once(own.context.clock().now() + std::chrono::milliseconds(100));
    if (!frames) return tl::unexpected(frames.error());
    for (const Task<>& task : tasks) {
      if (task.is_done()) return serviced ? task.outcome() : serviced;
    }
  }
  return {};
}

Result<void> coroutine(Words& words) {
  const std::vector<std::string> uris = words.ports(2, 2);
  if (!words.mistake()) return words.mistake();
  const auto opened = Ports::open(uris, true);
  if (!opened) return tl::unexpected(opened.error());
  const std::string left = (*opened)->ports[0].info().name;
  const std::string right = (*opened)->ports[1].info().name;
  Direction there{.name = left + " -> " + right};
  Direction back{.name = right + " -> " + left};
  fmt::print(stderr, "forwarding between {} and {}\n", left, right);
  auto served = serve(**opened, there, back);
  for (const Direction* one : {&there, &back})
    fmt::print("{}: {} frames, no room to send: {}\n", one->name, one->frames, one->ring_full.value());
  return served;
}

}  // namespace

int main(int argc, char** argv) { return run_example(argc, argv, kUsage, coroutine); }
