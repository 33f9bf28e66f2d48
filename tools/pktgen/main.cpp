// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/cli.hpp"
#include "common/log.hpp"
#include "common/output.hpp"
#include "common/stop_signals.hpp"
#include "common/ticks.hpp"
#include "pktgen/report.hpp"
#include "pktgen/window.hpp"

namespace {

using namespace pollux;
using namespace pollux::tools;

/// Polls between two reads of the clock, which costs more than an empty poll.
constexpr int kReceivesPerClockRead = 64;
/// How long the program's own thread sleeps while others send and receive.
constexpr Duration kRest = std::chrono::milliseconds(1);

/// Decides when the run ends: when its time is over, when all frames were sent and none has arrived for long enough, or
/// when the requested number has arrived.
class Finish {
 public:
  Finish(const PktgenOptions& options, const Generator& generator, Duration start)
      : options_(options), generator_(generator), start_(start), last_change_(start) {}

  [[nodiscard]] bool reached(Duration now) {
    if (!options_.send) return time_is_up(now) || (options_.count && generator_.received() >= *options_.count);
    // Foreign frames, which may never end, do not delay the end.
    if (const std::uint64_t ours = generator_.ours(); ours != received_) {
      received_ = ours;
      last_change_ = now;
    }
    if (!generator_.all_sent()) {
      last_change_ = now;
      return false;
    }
    return !options_.receive || (options_.count && generator_.good() >= *options_.count) ||
           now - last_change_ >= from_seconds(options_.linger);
  }
  [[nodiscard]] bool time_is_up(Duration now) const {
    return options_.run.seconds && now - start_ >= from_seconds(*options_.run.seconds);
  }

 private:
  const PktgenOptions& options_;
  const Generator& generator_;
  Duration start_;
  Duration last_change_;
  std::uint64_t received_ = 0;
};

/// Polls the program's own queues, or rests while other threads poll all of them.
void poll(Generator& generator, const Window& window, bool is_limited, Clock& clock) {
  for (int i = 0; i < kReceivesPerClockRead; ++i) {
    const bool may_send = !is_limited || window.open(generator.taken(), generator.received());
    if (!generator.poll(may_send)) return clock.sleep_for(kRest);
  }
}

/// Runs to the end. Fails if a card or a thread fails.
Result<void> generate(const PktgenOptions& options, ProgramSetup& setup, Generator& generator, PktgenReport& report,
                      const StopSignals& stop, spdlog::logger& log) {
  if (auto started = generator.start(); !started) return started;
  const Duration start = setup.clock().now();
  Duration line_due = start + std::chrono::seconds(1);
  Finish finish(options, generator, start);
  Window window(options.window, start);
  while (!stop.raised()) {
    poll(generator, window, options.window.has_value(), setup.clock());
    const Duration now = setup.clock().now();
    window.update(now, generator.taken(), generator.received());
    if (auto serviced = setup.service(now); !serviced) return serviced;
    if (now >= line_due) {
      report.line(now);
      for (const std::string& change : setup.link_changes()) log.info("{}", change);
      while (line_due <= now) line_due += std::chrono::seconds(1);  // the program may have been stopped for long
    }
    if (finish.time_is_up(now)) generator.stop_sending();
    if (finish.reached(now)) break;
  }
  return {};
}

/// The MTU that the longest frame needs, unless the user gave one.
Result<void> fit_mtu(PktgenOptions& options, std::uint32_t largest) {
  const std::uint32_t needed = largest - std::min(largest, kMtuOverhead);
  if (options.mtu_given && needed > options.port.mtu) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("a frame of {} bytes needs an MTU of {}, but --mtu is {}", largest, needed, options.port.mtu),
        "leave out --mtu");
  }
  options.port.mtu = std::max(options.port.mtu, needed);
  return {};
}

/// After an interruption nothing is sent, so no rate is needed, which a port without a link may not have.
void send_nothing(PktgenOptions& options) {
  options.count = 0;
  options.rate.reset();
}

int run_pktgen(PktgenOptions& options, const std::shared_ptr<spdlog::logger>& shared_log, Output& output) {
  spdlog::logger& log = *shared_log;
  const auto supply = FrameSupply::load(options);
  if (!supply) return report_failure(log, supply.error());
  if (auto fits = fit_mtu(options, supply->largest()); !fits) {
    return report_failure(log, fits.error());
  }
  auto setup = ProgramSetup::open(options.ports, options.port, to_log(shared_log));
  if (!setup) return report_failure(log, setup.error());
  const StopSignals stop;
  std::vector<Port>& ports = (*setup)->ports();
  const auto links = (*setup)->wait_for_links(from_seconds(options.port.wait_link), [&] { return stop.raised(); });
  if (!links) return report_failure(log, links.error());
  if (stop.raised()) send_nothing(options);

  const double ticks_per_second = measure_ticks_per_second();
  const auto generator = Generator::create(**setup, options, *supply);
  if (!generator) return report_failure(log, generator.error());
  PktgenReport report(options, supply->text(), **setup, output);
  if (options.send) log.info("sending {} on {}", supply->text(), ports.front().info().name);
  if (options.receive) log.info("receiving on {}", ports.back().info().name);

  (*setup)->set_drops([&] { return (*generator)->drops(); });
  (*setup)->set_account([&]() -> std::optional<TelemetryAccount> {
    const auto account = (*generator)->account(**setup);
    return account ? std::optional(telemetry_account(*account)) : std::nullopt;
  });
  const Result<void> generated = generate(options, **setup, **generator, report, stop, log);
  const Duration end = (*setup)->clock().now();
  const double seconds = report.elapsed(end);
  const Result<void> ended = (*generator)->stop();
  // Telemetry answers what was asked meanwhile, with the frames that remained unsent.
  const Result<void> serviced = generated ? (*setup)->service(end) : Result<void>();
  (*setup)->set_account({});
  (*setup)->set_drops({});
  if (generated) drain(ports, (*setup)->clock(), kDrainLimit);
  const Result<void> stopped = stop_all(ports);

  const PktgenResult result = make_result(take_account(ports, (*setup)->pool(), (*generator)->drops()), seconds,
                                          ticks_per_second, **generator, options.check);
  report.summary(result);
  for (const Result<void>& step : {generated, ended, serviced, stopped}) {
    if (!step) return report_failure(log, step.error());
  }
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
