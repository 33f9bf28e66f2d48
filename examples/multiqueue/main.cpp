// SPDX-License-Identifier: BSD-3-Clause
// Sends every frame of a port back to its sender, on a thread for each queue: a card's RSS, and run loops on threads.
#include <deque>

#include "command_line.hpp"
#include "ports.hpp"

using namespace pollux;
using namespace pollux::examples;

namespace {

constexpr const char* kUsage =
    "usage: multiqueue PORT [--queues 4] [--cores 0,2-3]\n"
    "\n"
    "Sends the frames of a port of a card, such as vfio:0000:01:00.0 or sim:0, back: with a thread for each queue, or\n"
    "one on each core. A card sends each flow to one queue by the hash of its addresses and ports (RSS), so the "
    "frames\n"
    "of a flow stay in order. Ctrl-C ends the program with the frames of each queue.\n";

/// What one queue has in its thread. No other thread writes it.
struct Worker {
  std::atomic<std::uint64_t> frames{0};
  DropCounter ring_full{"multiqueue_ring_full"};
};

std::vector<RunLoopThreadOptions> threads_on(Words& words, std::uint16_t queues) {
  std::string cores = words.value("--cores");
  if (cores.empty()) return std::vector<RunLoopThreadOptions>(queues);
  std::vector<RunLoopThreadOptions> threads;
  for (std::size_t comma = 0; comma != std::string::npos; cores.erase(0, comma + 1)) {
    comma = cores.find(',');
    const std::string part = cores.substr(0, comma);
    const std::size_t dash = std::min(part.find('-'), part.size());
    const auto first = read_number(part.substr(0, dash), 0U, 1023U);
    const auto last = dash == part.size() ? first : read_number(part.substr(dash + 1), 0U, 1023U);
    if (!first || !last || *last < *first)
      words.refuse(fmt::format("--cores: '{}' is not a list of cores; write it like 0,1 or 0-3", cores));
    for (unsigned core = first.value_or(1); core <= last.value_or(0); ++core) threads.push_back({.core = core});
    if (comma == std::string::npos) break;
  }
  return threads;
}

/// Queue q is polled by thread q modulo their number, with that thread's cache.
Result<void> start(Port& port, const Mempool& pool, const std::deque<MempoolCache>& caches, std::uint16_t queues) {
  const bool promiscuous = port.info().supports.test(Setting::promiscuous);
  auto configured = port.change([&](Settings& settings) {
    settings.rx.clear();
    settings.tx.clear();
    for (std::uint16_t queue = 0; queue < queues; ++queue) {
      const MempoolCache& cache = caches[queue % caches.size()];
      settings.rx.push_back({.pool = pool, .cache = cache});
      settings.tx.push_back({.cache = cache});
    }
    settings.promiscuous = promiscuous;
  });
  return configured ? port.start() : configured;
}

/// Sends back what `queue` receives, in the thread of `loop`.
Result<void> add_queue(RunLoop& loop, Port& port, std::uint16_t queue, Worker& worker, MempoolCache& cache) {
  const auto polled = loop.poller().add(port.rx(queue), [&, &tx = port.tx(queue)](Burst<64>& burst) {
    for (Mbuf& frame : burst) std::swap_ranges(frame.data(), frame.data() + 6, frame.data() + 6);
    worker.frames.fetch_add(burst.size(), std::memory_order_relaxed);
    tx.tx_burst(burst);
    burst.drop(worker.ring_full, cache);
  });
  if (!polled) return tl::unexpected(polled.error());
  loop.add(port.tx(queue));
  return {};
}

/// The loops work on threads of their own; this one services the port.
Result<void> serve(Context& context, RunLoopThreads& loops) {
  if (auto started = loops.start(); !started) return started;
  while (!stopped) {
    if (const auto next = context.control().run_due(); !next) return tl::unexpected(next.error());
    if (auto failed = loops.failure(); !failed) return failed;
    context.clock().sleep_for(std::chrono::milliseconds(100));
  }
  return loops.stop();
}

Result<void> multiqueue(Words& words) {
  const auto queues = words.number<std::uint16_t>("--queues", 4, 1, 256);
  std::vector<RunLoopThreadOptions> threads = threads_on(words, queues);
  const std::vector<std::string> uris = words.ports(1, 1);
  if (!words.mistake()) return words.mistake();

  Context context({.log = print_message});
  auto port = open_unconfigured(context, uris.front());
  if (!port) return pass_on(std::move(port));
  auto pool = Mempool::create(context, {.count = 8192});
  if (!pool) return pass_on(std::move(pool));
  std::deque<MempoolCache> caches;
  for (std::size_t i = 0; i < threads.size(); ++i) caches.emplace_back(*pool);
  if (auto started = start(*port, *pool, caches, queues); !started) return started;
  stop_at_ctrl_c();
  std::deque<Worker> workers(queues);
  auto loops = RunLoopThreads::create(context, std::move(threads));
  if (!loops) return pass_on(std::move(loops));
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    const std::size_t thread = queue % (*loops)->size();
    auto added = add_queue((*loops)->loop(thread), *port, queue, workers[queue], caches[thread]);
    if (!added) return added;
  }
  fmt::print(stderr, "returning frames on {} queues of {}\n", queues, port->info().name);
  if (auto served = serve(context, **loops); !served) return served;
  for (std::size_t queue = 0; queue < queues; ++queue) {
    fmt::print("queue {}: {} frames, no room to send: {}\n", queue, workers[queue].frames.load(),
               workers[queue].ring_full.value());
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) { return run_example(argc, argv, kUsage, multiqueue); }
