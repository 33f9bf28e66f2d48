// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "bench/report.hpp"

namespace pollux::tool::bench {
namespace {

constexpr double kMega = 1e6;

using Text = std::back_insert_iterator<std::string>;

/// "20 ms", "1.5 s"
std::string span_text(Duration span) {
  if (span < std::chrono::seconds(1))
    return fmt::format("{:g} ms", std::chrono::duration<double, std::milli>(span).count());
  return fmt::format("{:g} s", std::chrono::duration<double>(span).count());
}

/// Microseconds.
std::string micros(std::uint64_t nanoseconds) {
  return fmt::format("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000);
}

void write_head(Text out, const Report& report) {
  fmt::format_to(out, "RFC 2544 from {} through {} to {}\n", report.sending, report.device, report.receiving);
  fmt::format_to(out, "line rate {:g} Mbit/s; {}; trials of {}{}\n", static_cast<double>(report.line_rate) / kMega,
                 report.virtual_time ? "virtual time, in which software costs nothing"
                                     : "real time: rates and latencies include this machine's scheduling",
                 span_text(report.options.duration),
                 report.options.duration < rfc_options().duration ? " (RFC 2544 asks for 60 s)" : "");
}

void write_throughput(Text out, const Report& report) {
  fmt::format_to(out, "\nThroughput: the highest load without loss, to {:g} % of the line rate\n",
                 report.options.search.resolution / kMillionthsPerPercent);
  fmt::format_to(out, "{:>6} {:>9} {:>12} {:>12} {:>12}\n", "bytes", "load %", "frames/s", "Mbit/s", "line frames/s");
  for (const SizeResult& result : report.table) {
    const Throughput& found = *result.throughput;
    const std::uint64_t frames = frames_per_second(report.line_rate, result.size, found.load);
    fmt::format_to(out, "{:>6} {:>9.4g} {:>12} {:>12.2f} {:>13}{}{}\n", result.size, found.load / kMillionthsPerPercent,
                   frames, static_cast<double>(frames * result.size * 8) / kMega, result.line_frames,
                   found.sender_limited() ? "  (the sender is the limit)" : "",
                   result.contradicted() ? "  (a load at or below it lost frames, too)" : "");
  }
}

void write_latency(Text out, const Report& report) {
  fmt::format_to(out, "\nLatency at the throughput, in us, from tx_burst to rx_burst\n{:>6} {:>10} {:>10}", "bytes",
                 "min", "mean");
  for (const Percentile& one : kPercentiles) fmt::format_to(out, " {:>10}", one.name);
  fmt::format_to(out, " {:>10} {:>10}\n", "max", "frames");
  for (const SizeResult& result : report.table) {
    if (!result.latency) {
      fmt::format_to(out, "{:>6}  not measured: every load lost frames\n", result.size);
      continue;
    }
    const LatencyHistogram& latency = *result.latency;
    fmt::format_to(out, "{:>6} {:>10} {:>10}", result.size, micros(latency.min()), micros(latency.mean()));
    for (const Percentile& one : kPercentiles) fmt::format_to(out, " {:>10}", micros(latency.percentile(one.share)));
    fmt::format_to(out, " {:>10} {:>10}\n", micros(latency.max()), latency.count());
  }
}

void write_frame_loss(Text out, const Report& report) {
  fmt::format_to(out, "\nFrame loss rate in %, by load in % of the line rate\n{:>6}", "bytes");
  std::size_t columns = 0;
  const SizeResult* longest = nullptr;
  for (const SizeResult& result : report.table) {
    if (result.frame_loss.size() <= columns) continue;
    columns = result.frame_loss.size();
    longest = &result;
  }
  if (longest == nullptr) return;
  for (const LoadTrial& trial : longest->frame_loss)
    fmt::format_to(out, " {:>8.4g}", trial.load / kMillionthsPerPercent);
  fmt::format_to(out, "\n");
  for (const SizeResult& result : report.table) {
    fmt::format_to(out, "{:>6}", result.size);
    for (const LoadTrial& trial : result.frame_loss) {
      fmt::format_to(out, " {:>7.3f}{}", loss_percent(trial.counts), trial.counts.sender_limited() ? '*' : ' ');
    }
    fmt::format_to(out, "\n");
  }
  const bool limited = std::ranges::any_of(report.table, [](const SizeResult& result) {
    return std::ranges::any_of(result.frame_loss, [](const LoadTrial& one) { return one.counts.sender_limited(); });
  });
  if (limited) fmt::format_to(out, "* the sender offered less than this load\n");
}

void write_bursts(Text out, const Report& report) {
  fmt::format_to(out, "\nBack-to-back: frames with the smallest gap of which none is lost, mean of {} searches\n",
                 report.options.burst_repeats);
  fmt::format_to(out, "{:>6} {:>10} {:>10} {:>10}\n", "bytes", "frames", "least", "most");
  for (const SizeResult& result : report.table) {
    const auto [least, most] = std::ranges::minmax(result.bursts);
    fmt::format_to(out, "{:>6} {:>10} {:>10} {:>10}{}\n", result.size, mean_burst(result), least, most,
                   most == result.burst_limit ? "  (no longer burst was tried)" : "");
  }
}

void write_remarks(Text out, const Report& report) {
  for (const SizeResult& result : report.table) {
    if (result.duplicated + result.reordered + result.corrupt == 0) continue;
    fmt::format_to(out, "\n{} bytes, all trials: {} frames duplicated, {} reordered, {} corrupt", result.size,
                   result.duplicated, result.reordered, result.corrupt);
  }
}

}  // namespace

double loss_percent(const TrialCounts& counts) noexcept {
  return counts.sent == 0 ? 0 : static_cast<double>(counts.lost()) * 100 / static_cast<double>(counts.sent);
}

std::uint64_t mean_burst(const SizeResult& result) noexcept {
  if (result.bursts.empty()) return 0;
  return std::accumulate(result.bursts.begin(), result.bursts.end(), std::uint64_t{0}) / result.bursts.size();
}

std::string to_text(const Report& report) {
  std::string text;
  const Text out(text);
  write_head(out, report);
  const TableOptions& options = report.options;
  if (options.throughput || options.latency) write_throughput(out, report);
  if (options.latency) write_latency(out, report);
  if (options.frame_loss) write_frame_loss(out, report);
  if (options.back_to_back) write_bursts(out, report);
  write_remarks(out, report);
  return text;
}

}  // namespace pollux::tool::bench
