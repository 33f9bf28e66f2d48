// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "common/log.hpp"
#include "common/output.hpp"
#include "common/stop_signals.hpp"
#include "common/ticks.hpp"
#include "pktgen/report.hpp"
#include "pktgen/window.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

/// Polls between two reads of the clock, which costs more than an empty poll.
constexpr int kPollsPerClockRead = 64;
/// The time limit for sending the last frames.
constexpr Duration kDrainLimit = std::chrono::milliseconds(200);

/// The sender and the receiver. Either may be missing, and the sender may run on its own thread.
struct Run {
  const PktgenOptions& options;
  ProgramSetup& setup;
  std::optional<MempoolCache> sender_cache;  // of the second thread
  std::optional<Sender> sender;
  std::optional<Receiver> receiver;
};

Result<void> prepare(Run& run, double ticks_per_second) {
  const PktgenOptions& options = run.options;
  Port& tx_port = run.setup.ports().front();
  Port& rx_port = run.setup.ports().back();
  if (options.send) {
    MempoolCache* cache = &run.setup.cache();
    if (options.threads == 2) {
      cache = &run.sender_cache.emplace(run.setup.pool());
      if (auto used = tx_port.tx(0).use_cache(*cache); !used) return used;
    }
    const bool arrives = &tx_port != &rx_port || options.port.loopback != LoopbackMode::none;
    const MacAddress destination = arrives ? rx_port.mac() : MacAddress{0x02, 0, 0, 0, 0, 0};
    const FrameBuilder builder(options.size - static_cast<std::uint32_t>(kFcsBytes),
                               options.destination.value_or(destination), options.source.value_or(tx_port.mac()));
    // After a delay at most four bursts are sent at once; more would overrun the receiver.
    const Pacer pacer(options.rate, ticks_per_second, 4 * options.port.burst);
    run.sender.emplace(tx_port.tx(0), *cache, builder, pacer,
                       Sender::Options{options.port.burst, options.count.value_or(UINT64_MAX)});
  }
  if (options.receive) {
    const std::uint64_t limit = options.send ? UINT64_MAX : options.count.value_or(UINT64_MAX);
    run.receiver.emplace(rx_port.rx(0), run.setup.cache(), Receiver::Options{options.port.burst, options.check, limit});
  }
  return {};
}

/// Decides when the run ends: when its time is over, when all frames were sent and none has arrived for long enough, or
/// when the requested number has arrived.
class Finish {
 public:
  Finish(const Run& run, Duration start) : run_(run), start_(start), last_change_(start) {}

  [[nodiscard]] bool reached(Duration now, bool all_sent) {
    const PktgenOptions& options = run_.options;
    if (!run_.sender) return time_is_up(now) || run_.receiver->done();
    // Foreign frames, which may never end, do not delay the end.
    if (run_.receiver && run_.receiver->ours() != received_) {
      received_ = run_.receiver->ours();
      last_change_ = now;
    }
    if (!all_sent) {
      last_change_ = now;
      return false;
    }
    return !run_.receiver || (options.count && run_.receiver->good() >= *options.count) ||
           now - last_change_ >= from_seconds(options.linger);
  }
  [[nodiscard]] bool time_is_up(Duration now) const {
    return run_.options.run.seconds && now - start_ >= from_seconds(*run_.options.run.seconds);
  }

 private:
  const Run& run_;
  Duration start_;
  Duration last_change_;
  std::uint64_t received_ = 0;
};

/// Sends on its own thread until all frames are sent or the end is requested.
class SendingThread {
 public:
  explicit SendingThread(Sender& sender) : thread_([this, &sender] { send(sender); }) {}
  SendingThread(const SendingThread&) = delete;
  SendingThread& operator=(const SendingThread&) = delete;
  ~SendingThread() { end(); }

  [[nodiscard]] bool all_sent() const { return all_sent_.load(std::memory_order_acquire); }
  void end() {
    stop_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
  }

 private:
  void send(Sender& sender) {
    while (!sender.done() && !stop_.load(std::memory_order_relaxed)) sender.poll();
    all_sent_.store(true, std::memory_order_release);
  }

  std::atomic<bool> stop_{false};
  std::atomic<bool> all_sent_{false};
  std::thread thread_;
};

/// Runs to the end. Fails if a card fails.
Result<void> generate(Run& run, PktgenReport& report, const StopSignals& stop, spdlog::logger& log) {
  const Duration start = run.setup.clock().now();
  Duration line_due = start + std::chrono::seconds(1);
  Finish finish(run, start);
  std::optional<SendingThread> thread;
  if (run.sender && run.options.threads == 2) thread.emplace(*run.sender);
  Window window(run.options.window, start);
  const auto may_send = [&] {
    return !run.receiver || window.open(run.sender->taken().frames, run.receiver->received().frames);
  };
  bool time_is_up = false;
  while (!stop.raised()) {
    for (int i = 0; i < kPollsPerClockRead; ++i) {
      if (run.sender && !thread && !time_is_up && may_send()) run.sender->poll();
      if (run.receiver) run.receiver->poll();
    }
    const Duration now = run.setup.clock().now();
    if (run.sender && run.receiver && !thread)
      window.update(now, run.sender->taken().frames, run.receiver->received().frames);
    if (auto serviced = run.setup.service(now); !serviced) return serviced;
    if (now >= line_due) {
      report.line(now);
      for (const std::string& change : run.setup.link_changes()) log.info("{}", change);
      line_due += std::chrono::seconds(1);
    }
    if (!time_is_up && finish.time_is_up(now)) {
      time_is_up = true;
      if (thread) thread->end();
    }
    const bool all_sent = time_is_up || (thread ? thread->all_sent() : run.sender && run.sender->done());
    if (finish.reached(now, all_sent)) break;
  }
  return {};
}

int run_pktgen(const PktgenOptions& options, const std::shared_ptr<spdlog::logger>& shared_log, Output& output) {
  spdlog::logger& log = *shared_log;
  const StopSignals stop;
  auto setup = ProgramSetup::open(options.ports, options.port, to_log(shared_log));
  if (!setup) return report_failure(log, setup.error());
  std::vector<Port>& ports = (*setup)->ports();
  const auto links = (*setup)->wait_for_links(from_seconds(options.port.wait_link), [&] { return stop.raised(); });
  if (!links) return report_failure(log, links.error());

  const double ticks_per_second = measure_ticks_per_second();
  Run run{options, **setup, {}, {}, {}};
  if (auto prepared = prepare(run, ticks_per_second); !prepared) return report_failure(log, prepared.error());
  PktgenReport report(options, **setup, output);
  if (options.send) log.info("sending frames of {} bytes on {}", options.size, ports.front().info().name);
  if (options.receive) log.info("receiving on {}", ports.back().info().name);

  const Result<void> generated = generate(run, report, stop, log);
  const double seconds = report.elapsed((*setup)->clock().now());
  if (run.sender) run.sender->finish();
  if (generated) drain(ports, (*setup)->clock(), kDrainLimit);
  const Result<void> stopped = stop_all(ports);

  std::vector<const DropCounter*> application;
  if (run.sender) application.push_back(&run.sender->unsent());
  const PktgenResult result =
      make_result(take_account(ports, (*setup)->pool(), application), seconds, ticks_per_second,
                  run.sender ? &*run.sender : nullptr, run.receiver ? &*run.receiver : nullptr, options.check);
  report.summary(result);
  if (!generated) return report_failure(log, generated.error());
  if (!stopped) return report_failure(log, stopped.error());
  if (!result.account.conserved()) {
    log.error("conserved: {}", result.account.conservation());
    return 1;
  }
  if (!options.check || result.as_expected(options.expect_all)) return 0;
  if (result.all_foreign()) log.error("nothing could be checked: none of the {} frames was pktgen's", result.foreign);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("pktgen", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    PktgenOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run_pktgen(options, log, output);
  });
}
