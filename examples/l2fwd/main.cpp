// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <functional>
#include <optional>

#include "common/log.hpp"
#include "common/output.hpp"
#include "common/stop_signals.hpp"
#include "l2fwd/circulate.hpp"
#include "l2fwd/report.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

/// Polls between two reads of the clock, which costs more than an empty poll.
constexpr int kPollsPerClockRead = 256;
/// The time limit to send each circulating frame.
constexpr Duration kCirculateLimit = std::chrono::seconds(1);
/// The time limit for the first circulating frame to return.
constexpr Duration kReturnLimit = std::chrono::milliseconds(500);

/// Warns once, and early, if the circulating frames do not return.
class ReturnWatch {
 public:
  ReturnWatch(std::uint32_t circulating, Duration start, spdlog::logger& log)
      : circulating_(circulating), limit_(start + kReturnLimit), log_(log), over_(circulating == 0) {}

  void check(Duration now, bool have_returned) {
    if (over_ || (!have_returned && now < limit_)) return;
    end(have_returned);
  }
  void end(bool have_returned) {
    if (!over_ && !have_returned) {
      log_.warn(
          "none of the {} circulating frames returned: the ports must be each other's link partner, as sim:0 and sim:1 "
          "are",
          circulating_);
    }
    over_ = true;
  }

 private:
  std::uint32_t circulating_;
  Duration limit_;
  spdlog::logger& log_;
  bool over_;
};

/// Telemetry asks for the account between two bursts, so no frame is in the hands of a forwarder.
std::function<std::optional<TelemetryAccount>()> account_of(ProgramSetup& setup, Workers& workers, std::uint64_t made) {
  return [&setup, &workers, made]() -> std::optional<TelemetryAccount> {
    Account account;
    const auto taken =
        workers.between_bursts([&] { account = take_account(setup.ports(), setup.pool(), workers.drops()); });
    if (!taken) return std::nullopt;
    account.made = made;
    return telemetry_account(account);
  };
}

/// Forwards until the end is requested or reached. Fails if a card fails.
Result<void> forward(const L2fwdOptions& options, ProgramSetup& setup, Workers& workers, L2fwdReport& report,
                     const StopSignals& stop, spdlog::logger& log) {
  if (auto started = workers.start(); !started) return started;
  const Duration start = setup.clock().now();
  const Duration end = options.run.seconds ? start + from_seconds(*options.run.seconds) : Duration::max();
  Duration line_due = start + std::chrono::seconds(1);
  ReturnWatch returns(options.circulate, start, log);
  while (!stop.raised() && !workers.limit_reached()) {
    workers.run(kPollsPerClockRead, setup.clock());
    const Duration now = setup.clock().now();
    if (auto serviced = setup.service(now); !serviced) return serviced;
    returns.check(now, workers.forwarded().frames != 0);
    if (now >= line_due) {
      report.line(now);
      for (const std::string& change : setup.link_changes()) log.info("{}", change);
      line_due += std::chrono::seconds(1);
    }
    if (now >= end) break;
  }
  returns.end(workers.forwarded().frames != 0);
  return workers.stop();
}

int run(L2fwdOptions& options, const std::shared_ptr<spdlog::logger>& shared_log, Output& output) {
  spdlog::logger& log = *shared_log;
  auto setup = ProgramSetup::open(options.ports, options.port, to_log(shared_log));
  if (!setup) return report_failure(log, setup.error());
  const StopSignals stop;
  std::vector<Port>& ports = (*setup)->ports();
  const auto links = (*setup)->wait_for_links(from_seconds(options.port.wait_link), [&] { return stop.raised(); });
  if (!links) return report_failure(log, links.error());
  if (stop.raised()) options.circulate = 0;  // nothing more is sent

  const Forwarder::Options forwarding{
      .burst = options.port.burst, .update_macs = options.update_macs, .limit = options.packets.value_or(UINT64_MAX)};
  const auto workers = Workers::create(**setup, options.port, forwarding);
  if (!workers) return report_failure(log, workers.error());
  if (options.circulate != 0) {
    const auto circulating = circulate(ports.front(), options.port.fused ? 1 : 0, options.circulate, (*setup)->cache(),
                                       (*setup)->clock(), kCirculateLimit);
    if (!circulating) return report_failure(log, circulating.error());
  }
  L2fwdReport report(options, **setup, **workers, output);
  log.info("forwarding {} <-> {}, bursts of {}, {}{}", ports.front().info().name, ports.back().info().name,
           options.port.burst, options.update_macs ? "addresses rewritten" : "addresses unchanged",
           options.port.fused ? ", from ring to ring" : "");

  (*setup)->set_account(account_of(**setup, **workers, options.circulate));
  (*setup)->set_drops([&] { return (*workers)->drops(); });
  const Result<void> forwarded = forward(options, **setup, **workers, report, stop, log);
  (*setup)->set_account({});
  (*setup)->set_drops({});
  if (!forwarded) static_cast<void>((*workers)->stop());
  const Duration ended = (*setup)->clock().now();
  // Only stop_all can tell when the queues of a forward path are empty.
  if (forwarded && !options.port.fused) drain(ports, (*setup)->clock(), kDrainLimit);
  const Result<void> stopped = stop_all(ports);

  Account account = take_account(ports, (*setup)->pool(), (*workers)->drops());
  account.made = options.circulate;
  report.summary(ended, account);
  if (!forwarded) return report_failure(log, forwarded.error());
  if (!stopped) return report_failure(log, stopped.error());
  if (!account.conserved()) {
    log.error("conserved: {}", account.conservation());
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("l2fwd", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    L2fwdOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
