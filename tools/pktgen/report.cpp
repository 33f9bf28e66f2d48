// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace pollux::tools {
namespace {

nlohmann::ordered_json as_json(const Rate& rate) { return {{"mpps", rate.mpps}, {"mbps", rate.mbps}}; }

/// One burst has no time between its frames.
std::string text_of(const Rate& rate, std::uint64_t frames) {
  if (rate.mpps == 0 && frames != 0) return "too few for a rate";
  return fmt::format("{:.6f} Mpps, {:.2f} Mb/s", rate.mpps, rate.mbps);
}

double to_microseconds(Duration span) { return std::chrono::duration<double, std::micro>(span).count(); }

/// The sums over all receivers.
struct Sequences {
  std::uint64_t unique = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t missing = 0;
  std::size_t flows = 0;

  void add(const FlowSequences& more) {
    unique += more.unique();
    duplicated += more.duplicated();
    reordered += more.reordered();
    missing += more.missing();
    flows += more.count();
  }
};

void add_senders(PktgenResult& result, const Generator& generator, double ticks_per_second) {
  TimeSpan busy;
  Traffic taken;
  for (const Sender& sender : generator.senders()) {
    result.account.made += sender.built();
    taken.add(sender.taken().frames, sender.taken().bytes);
    busy.include(sender.busy());
    if (sender.pacer().unlimited()) continue;
    result.longest_delay = std::max(result.longest_delay.value_or(Duration(0)), sender.pacer().longest_delay());
    result.slipped = std::max(result.slipped, sender.pacer().slipped());
  }
  result.tx = rate_of(taken, static_cast<double>(busy.ticks()) / ticks_per_second);
  if (taken.frames == 0) return;
  // Ports may have dropped some of the frames that they took, whose lengths they do not tell.
  const double share = static_cast<double>(result.account.sent) / static_cast<double>(taken.frames);
  result.tx = {.mpps = result.tx.mpps * share, .mbps = result.tx.mbps * share};
}

Sequences add_receivers(PktgenResult& result, const Generator& generator, double ticks_per_second) {
  TimeSpan busy;
  Traffic received;
  Sequences sequences;
  std::uint64_t polls = 0;
  std::uint64_t empty = 0;
  for (const Receiver& receiver : generator.receivers()) {
    received.add(receiver.received().frames, receiver.received().bytes);
    result.rx_queues.push_back(receiver.received().frames);
    result.good += receiver.good();
    result.corrupt += receiver.corrupt();
    result.foreign += receiver.foreign();
    sequences.add(receiver.sequences());
    busy.include(receiver.busy());
    polls += receiver.polls();
    empty += receiver.empty_polls();
  }
  result.account.kept = received.frames;
  result.rx = rate_of(received, static_cast<double>(busy.ticks()) / ticks_per_second);
  result.duplicated = sequences.duplicated;
  result.reordered = sequences.reordered;
  result.flows = sequences.flows;
  if (polls != 0) result.empty_polls = static_cast<double>(empty) / static_cast<double>(polls);
  return sequences;
}

}  // namespace

bool PktgenResult::as_expected(bool expect_all) const {
  return corrupt == 0 && duplicated == 0 && reordered == 0 && (!expect_all || lost == 0) && !all_foreign();
}

PktgenResult make_result(Account account, double seconds, double ticks_per_second, const Generator& generator,
                         bool check) {
  PktgenResult result;
  result.account = std::move(account);
  result.seconds = seconds;
  if (!generator.senders().empty()) add_senders(result, generator, ticks_per_second);
  if (generator.receivers().empty()) return result;
  const Sequences sequences = add_receivers(result, generator, ticks_per_second);
  const std::uint64_t sent = result.account.sent;
  const std::uint64_t came = check ? sequences.unique + result.corrupt : result.account.kept;
  // Without a sender: the frames that are missing between the first and the last received one.
  result.lost = generator.senders().empty() ? sequences.missing : sent - std::min(sent, came);
  return result;
}

PktgenReport::PktgenReport(const PktgenOptions& options, std::string frames, ProgramSetup& setup, Output& output)
    : options_(options),
      frames_(std::move(frames)),
      setup_(setup),
      output_(output),
      start_(setup.clock().now()),
      last_at_(start_) {}

PktgenReport::Counts PktgenReport::count() {
  Counts counts;
  for (Port& port : setup_.ports()) {
    const Stats stats = port.stats();
    counts.sent += stats.tx_burst_packets - stats.tx_dropped;
    counts.received += stats.rx_burst_packets;
  }
  return counts;
}

void PktgenReport::line(Duration now) {
  const Counts next = count();
  const double span = to_seconds(now - last_at_);
  const double tx_mpps = static_cast<double>(next.sent - last_.sent) / span / 1e6;
  const double rx_mpps = static_cast<double>(next.received - last_.received) / span / 1e6;
  last_at_ = now;
  last_ = next;
  if (options_.run.quiet) return;

  const Drops drops = collect_drops(setup_.ports(), {});
  if (options_.run.json) {
    output_.line(nlohmann::ordered_json{
        {"seconds", elapsed(now)},
        {"sent", next.sent},
        {"received", next.received},
        {"tx_mpps", tx_mpps},
        {"rx_mpps", rx_mpps},
        {"drops",
         drops}}.dump());
  } else {
    output_.line(fmt::format("{:6.1f} s  sent {} ({:.6f} Mpps)  received {} ({:.6f} Mpps)  dropped: {}", elapsed(now),
                             next.sent, tx_mpps, next.received, rx_mpps, describe(drops)));
  }
}

void PktgenReport::summary(const PktgenResult& result) {
  if (options_.run.json) return print_json(result);
  if (options_.send) print_sent(result);
  if (options_.receive) print_received(result);
  for (const std::string& remark : card_remarks(setup_.ports())) output_.line(remark);
  output_.line(fmt::format("dropped: {}; in flight {}; conserved: {}", describe(result.account.drops),
                           result.account.in_flight, result.account.conservation()));
}

void PktgenReport::print_json(const PktgenResult& result) {
  const Account& account = result.account;
  nlohmann::ordered_json summary{{"seconds", result.seconds},
                                 {"frames", frames_},
                                 {"size", options_.sizes.largest()},
                                 {"sent", account.sent},
                                 {"received", account.received},
                                 {"good", result.good},
                                 {"lost", result.lost},
                                 {"corrupt", result.corrupt},
                                 {"duplicated", result.duplicated},
                                 {"reordered", result.reordered},
                                 {"foreign", result.foreign},
                                 {"flows", result.flows},
                                 {"tx", as_json(result.tx)},
                                 {"rx", as_json(result.rx)},
                                 {"drops", account.drops},
                                 {"in_flight", account.in_flight},
                                 {"conserved", account.conserved()},
                                 {"mbufs_in_use", account.mbufs_in_use},
                                 {"empty_polls", result.empty_polls},
                                 {"rx_queues", result.rx_queues},
                                 {"cards", card_counters(setup_.ports())}};
  if (options_.sizes.sequence.size() > 1 || !options_.template_file.empty() || !options_.replay_file.empty())
    summary.erase("size");
  if (result.longest_delay) {
    summary["pacing"] = {{"longest_delay_us", to_microseconds(*result.longest_delay)},
                         {"slipped_us", to_microseconds(result.slipped)}};
  }
  output_.line(nlohmann::ordered_json{{"summary", std::move(summary)}}.dump());
}

void PktgenReport::print_sent(const PktgenResult& result) {
  output_.line(fmt::format("sent {} ({}): {}", result.account.sent, frames_, text_of(result.tx, result.account.sent)));
  if (!result.longest_delay) return;
  output_.line(fmt::format("a frame left at most {:.3f} us after its slot began; the slots were put off by {:.3f} us",
                           to_microseconds(*result.longest_delay), to_microseconds(result.slipped)));
}

void PktgenReport::print_received(const PktgenResult& result) {
  output_.line(fmt::format("received {}: {}, empty polls {:.1f} %", result.account.received,
                           text_of(result.rx, result.account.received), result.empty_polls * 100));
  if (result.rx_queues.size() > 1)
    output_.line(fmt::format("received by queue: {}", fmt::join(result.rx_queues, ", ")));
  if (options_.check) {
    output_.line(fmt::format("good {}, lost {}, corrupt {}, duplicated {}, reordered {}, foreign {}", result.good,
                             result.lost, result.corrupt, result.duplicated, result.reordered, result.foreign));
  } else if (options_.send) {
    output_.line(fmt::format("lost {}", result.lost));
  }
}

}  // namespace pollux::tools
