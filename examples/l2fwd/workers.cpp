// SPDX-License-Identifier: BSD-3-Clause
#include "l2fwd/workers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace pollux::examples {

using namespace tools;

namespace {

/// Polls in one run of a thread's task.
constexpr int kPollsPerRun = 256;
/// How long a thread may take to finish its bursts.
constexpr Duration kPauseLimit = std::chrono::milliseconds(100);
/// How long the program's own thread sleeps while others forward.
constexpr Duration kRest = std::chrono::milliseconds(5);

std::vector<Route> routes_of(ProgramSetup& setup, const PortOptions& ports, std::size_t worker) {
  std::vector<Route> routes;
  for (std::size_t queue = worker; queue < ports.queues; queue += worker_count(ports)) {
    const auto more = make_routes(setup.ports(), setup.forward_paths(), static_cast<std::uint16_t>(queue));
    routes.insert(routes.end(), more.begin(), more.end());
  }
  return routes;
}

Result<std::unique_ptr<RunLoopThreads>> make_threads(Context& context, const std::vector<unsigned>& cores) {
  std::vector<RunLoopThreadOptions> options;
  for (const unsigned core : cores)
    options.push_back(
        {.loop = {.name = fmt::format("l2fwd core {}", core), .poller = {.stall_limit = Time::max()}}, .core = core});
  return RunLoopThreads::create(context, std::move(options));
}

}  // namespace

std::vector<Route> make_routes(std::vector<Port>& ports, const std::vector<std::unique_ptr<ForwardPath>>& paths,
                               std::uint16_t queue) {
  std::vector<Route> routes;
  for (std::size_t in = 0; in < ports.size(); ++in) {
    const std::size_t out = ports.size() - 1 - in;
    routes.push_back({&ports[in].rx(queue), &ports[out].tx(queue),
                      l2fwd_macs(static_cast<std::uint8_t>(out), ports[out].mac()),
                      paths.empty() ? nullptr : paths[in].get()});
  }
  return routes;
}

Result<std::unique_ptr<Workers>> Workers::create(ProgramSetup& setup, const PortOptions& ports,
                                                 const Forwarder::Options& options) {
  std::unique_ptr<Workers> workers(new Workers);
  for (std::size_t worker = 0; worker < worker_count(ports); ++worker)
    workers->forwarders_.emplace_back(routes_of(setup, ports, worker), options, setup.cache(worker));
  if (ports.cores.empty()) return workers;
  auto threads = make_threads(setup.context(), ports.cores);
  if (!threads) return pass_on(std::move(threads));
  workers->threads_ = *std::move(threads);
  for (std::size_t worker = 0; worker < ports.cores.size(); ++worker) {
    workers->threads_->loop(worker).poller().add_task("forwarding", [&forwarder = workers->forwarders_[worker]] {
      for (int i = 0; i < kPollsPerRun; ++i) forwarder.poll();
      return true;
    });
  }
  return workers;
}

Result<void> Workers::start() { return threads_ ? threads_->start() : Result<void>(); }
Result<void> Workers::stop() { return threads_ ? threads_->stop() : Result<void>(); }

void Workers::run(int polls, Clock& clock) noexcept {
  if (threads_) return clock.sleep_for(kRest);
  for (int i = 0; i < polls && !limit_reached(); ++i) forwarders_.front().poll();
}

Result<void> Workers::between_bursts(const std::function<void()>& work) { return between_bursts_from(0, work); }

// Each thread waits in its loop for the next one, so that all wait while `work` runs.
Result<void> Workers::between_bursts_from(std::size_t thread, const std::function<void()>& work) {
  if (!threads_ || thread == threads_->size()) {
    work();
    return {};
  }
  Result<void> others;
  auto invoked = threads_->loop(thread).invoke([&] { others = between_bursts_from(thread + 1, work); }, kPauseLimit);
  return invoked ? others : invoked;
}

bool Workers::limit_reached() const noexcept { return std::ranges::all_of(forwarders_, &Forwarder::limit_reached); }

Traffic Workers::forwarded() const noexcept {
  Traffic sum;
  for (const Forwarder& one : forwarders_) sum.add(one.forwarded().frames, one.forwarded().bytes);
  return sum;
}

std::uint64_t Workers::polls() const noexcept {
  std::uint64_t sum = 0;
  for (const Forwarder& one : forwarders_) sum += one.polls();
  return sum;
}

std::uint64_t Workers::empty_polls() const noexcept {
  std::uint64_t sum = 0;
  for (const Forwarder& one : forwarders_) sum += one.empty_polls();
  return sum;
}

std::vector<const DropCounter*> Workers::drops() const {
  std::vector<const DropCounter*> drops;
  for (const Forwarder& one : forwarders_) drops.push_back(&one.ring_full());
  return drops;
}

}  // namespace pollux::examples
