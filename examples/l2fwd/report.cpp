// SPDX-License-Identifier: BSD-3-Clause
#include "l2fwd/report.hpp"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

namespace pollux::examples {

using namespace tools;

namespace {

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

L2fwdReport::L2fwdReport(const L2fwdOptions& options, ProgramSetup& setup, const Workers& workers, spdlog::logger& log,
                         Output& output)
    : options_(options),
      setup_(setup),
      workers_(workers),
      log_(log),
      output_(output),
      start_(snapshot(setup.clock().now())),
      last_(start_),
      line_due_(start_.at + std::chrono::seconds(1)),
      returns_(options.circulate, start_.at, log) {
  const std::vector<Port>& ports = setup.ports();
  log.info("forwarding {} <-> {}, bursts of {}, {}{}", ports.front().info().name, ports.back().info().name,
           options.port.burst, options.update_macs ? "addresses rewritten" : "addresses unchanged",
           options.port.fused ? ", from ring to ring" : "");
}

void L2fwdReport::tick(Duration now) {
  returns_.check(now, workers_.forwarded().frames != 0);
  if (now < line_due_) return;
  line(now);
  for (const std::string& change : setup_.link_changes()) log_.info("{}", change);
  while (line_due_ <= now) line_due_ += std::chrono::seconds(1);  // the program may have been stopped for long
}

L2fwdReport::Snapshot L2fwdReport::snapshot(Duration now) const {
  return {now, workers_.forwarded(), workers_.polls(), workers_.empty_polls()};
}

void L2fwdReport::line(Duration now) {
  const Snapshot next = snapshot(now);
  const Rate rate = rate_of(next.forwarded - last_.forwarded, to_seconds(next.at - last_.at));
  const double empty = share(next.empty_polls - last_.empty_polls, next.polls - last_.polls);
  last_ = next;
  if (options_.run.quiet) return;

  const Drops drops = collect_drops(setup_.ports(), workers_.drops());
  const double elapsed = to_seconds(now - start_.at);
  if (options_.run.json) {
    output_.line(nlohmann::ordered_json{
        {"seconds", elapsed},
        {"mpps", rate.mpps},
        {"mbps", rate.mbps},
        {"forwarded", next.forwarded.frames},
        {"drops", drops},
        {"empty_polls",
         empty}}.dump());
  } else {
    output_.line(fmt::format("{:6.1f} s  {:9.6f} Mpps  {:8.2f} Mb/s  forwarded {}  dropped: {}  empty polls {:.1f} %",
                             elapsed, rate.mpps, rate.mbps, next.forwarded.frames, describe(drops), empty * 100));
  }
}

void L2fwdReport::summary(Duration now, const Account& account) {
  const Snapshot end = snapshot(now);
  const double elapsed = to_seconds(now - start_.at);
  const Rate rate = rate_of(end.forwarded, elapsed);
  const double empty = share(end.empty_polls, end.polls);
  if (options_.run.json) {
    const nlohmann::ordered_json summary{{"seconds", elapsed},
                                         {"mpps", rate.mpps},
                                         {"mbps", rate.mbps},
                                         {"made", account.made},
                                         {"received", account.received},
                                         {"sent", account.sent},
                                         {"drops", account.drops},
                                         {"in_flight", account.in_flight},
                                         {"conserved", account.conserved()},
                                         {"mbufs_in_use", account.mbufs_in_use},
                                         {"polls", end.polls},
                                         {"empty_polls", empty},
                                         {"cards", card_counters(setup_.ports())}};
    output_.line(nlohmann::ordered_json{{"summary", summary}}.dump());
    return;
  }
  output_.line(fmt::format("ran {:.3f} s: {:.6f} Mpps, {:.2f} Mb/s, empty polls {:.1f} %", elapsed, rate.mpps,
                           rate.mbps, empty * 100));
  const std::string made = account.made == 0 ? "" : fmt::format("made {} + ", account.made);
  output_.line(fmt::format("{}received {} = sent {} + dropped {} ({}) + in flight {}", made, account.received,
                           account.sent, account.dropped(), describe(account.drops), account.in_flight));
  for (const std::string& remark : card_remarks(setup_.ports())) output_.line(remark);
  output_.line(fmt::format("conserved: {}", account.conservation()));
}

}  // namespace pollux::examples
