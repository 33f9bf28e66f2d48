// SPDX-License-Identifier: BSD-3-Clause
// What one port receives, the other one sends, with the addresses that DPDK's l2fwd writes. This file is the whole
// idea. What makes a comfortable program of it is beside it: options.cpp has the command line, fused.cpp forwards from
// ring to ring, workers.cpp on several threads, circulate.cpp makes frames where nobody sends some, and report.cpp
// prints.
#include "l2fwd/l2fwd.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "common/account.hpp"
#include "common/log.hpp"
#include "common/program_setup.hpp"
#include "common/stop_signals.hpp"
#include "l2fwd/circulate.hpp"
#include "l2fwd/report.hpp"
#include "l2fwd/workers.hpp"

namespace pollux::examples {

using namespace tools;

MacPair l2fwd_macs(std::uint8_t index, const MacAddress& source) {
  MacPair macs{0x02, 0, 0, 0, 0, index};
  std::copy(source.begin(), source.end(), macs.begin() + 6);
  return macs;
}

Forwarder::Forwarder(std::vector<Route> routes, const Options& options, MempoolCache& cache)
    : routes_(std::move(routes)), options_(options), cache_(&cache) {}

void Forwarder::poll() noexcept {
  for (const Route& route : routes_) forward(route);
}

void Forwarder::forward(const Route& route) noexcept {
  const std::uint64_t left = options_.limit - frames_.value();
  const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.burst, left));
  if (route.path != nullptr) return forward_fused(route, limit);
  const std::uint32_t received = route.rx->rx_burst(burst_, limit);
  polls_.add(1);
  if (received == 0) {
    empty_polls_.add(1);
    route.tx->tx_done_cleanup();
    return;
  }
  std::uint64_t bytes = 0;
  for (Mbuf& mbuf : burst_) {
    // Every buffer has room for an Ethernet header, so this stays inside the buffer for any frame length.
    if (options_.update_macs) std::memcpy(mbuf.data(), route.macs.data(), route.macs.size());
    bytes += mbuf.packet_length();
  }
  std::uint32_t sent = route.tx->tx_burst(burst_);
  for (int tries = 1; !burst_.empty() && tries < kTxTries; ++tries) [[unlikely]] {
      io::relax();
      sent += route.tx->tx_burst(burst_);
    }
  for (const Mbuf& unsent : burst_) bytes -= unsent.packet_length();
  count(sent, bytes);
  burst_.drop(ring_full_, *cache_);  // no frame is lost without a name
}

namespace {

/// Polls between two reads of the clock, which costs more than an empty poll.
constexpr int kPollsPerClockRead = 256;

/// Forwards until the end is requested or reached. Fails if a card fails.
Result<void> forward(const L2fwdOptions& options, ProgramSetup& setup, Workers& workers, L2fwdReport& report,
                     const StopSignals& stop) {
  if (auto started = workers.start(); !started) return started;
  const Duration start = setup.clock().now();
  const Duration end = options.run.seconds ? start + from_seconds(*options.run.seconds) : Duration::max();
  for (Duration now = start; now < end && !stop.raised() && !workers.limit_reached() && !setup.is_handed_over();) {
    workers.run(kPollsPerClockRead, setup.clock());
    now = setup.clock().now();
    if (auto serviced = setup.service(now); !serviced) return serviced;  // the ports' own work, when it is due
    report.tick(now);
  }
  report.end();
  return workers.stop();
}

/// Telemetry asks for the account between two bursts, so no frame is in the hands of a forwarder.
std::optional<TelemetryAccount> account_between_bursts(ProgramSetup& setup, Workers& workers, std::uint64_t made) {
  Account account;
  const auto taken =
      workers.between_bursts([&] { account = take_account(setup.ports(), setup.pool(), workers.drops()); });
  if (!taken) return std::nullopt;
  account.made = made;
  return telemetry_account(account);
}

}  // namespace

int l2fwd(L2fwdOptions& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  const auto setup = ProgramSetup::open(options.ports, options.port, to_log(log));  // started ports on one pool
  if (!setup) return report_failure(*log, setup.error());
  std::vector<Port>& ports = (*setup)->ports();
  const StopSignals stop;
  const auto links = (*setup)->wait_for_links(from_seconds(options.port.wait_link), [&] { return stop.raised(); });
  if (!links) return report_failure(*log, links.error());
  if (stop.raised()) options.circulate = 0;  // nothing more is sent

  const auto workers = Workers::create(
      **setup, options.port,
      {.burst = options.port.burst, .update_macs = options.update_macs, .limit = options.packets.value_or(UINT64_MAX)});
  if (!workers) return report_failure(*log, workers.error());
  if (auto circulating = circulate(**setup, options); !circulating) return report_failure(*log, circulating.error());
  L2fwdReport report(options, **setup, **workers, *log, output);

  (*setup)->set_account([&] { return account_between_bursts(**setup, **workers, options.circulate); });
  (*setup)->set_drops([&] { return (*workers)->drops(); });
  const Result<void> forwarded = forward(options, **setup, **workers, report, stop);
  (*setup)->set_account({});
  (*setup)->set_drops({});
  if (!forwarded) static_cast<void>((*workers)->stop());
  const Duration ended = (*setup)->clock().now();
  // Only stop_all can tell when the queues of a forward path are empty.
  const bool handed_over = (*setup)->is_handed_over();
  if (forwarded && !options.port.fused && !handed_over) drain(ports, (*setup)->clock(), kDrainLimit);
  const Result<void> stopped = handed_over ? Result<void>() : stop_all(ports);
  if (handed_over) log->info("another program has the ports");

  // Each frame is in exactly one place now: sent, dropped by name, or in flight.
  Account account = take_account(ports, (*setup)->pool(), (*workers)->drops());
  account.made = options.circulate;
  if (handed_over) account.mbufs_in_use = 0;  // the successor has those that were in the rings
  report.summary(ended, account);
  if (!forwarded) return report_failure(*log, forwarded.error());
  if (!stopped) return report_failure(*log, stopped.error());
  if (account.conserved()) return 0;
  log->error("conserved: {}", account.conservation());
  return 1;
}

}  // namespace pollux::examples
