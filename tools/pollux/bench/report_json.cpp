// SPDX-License-Identifier: BSD-3-Clause
#include <nlohmann/json.hpp>

#include "bench/report.hpp"

namespace pollux::tool::bench {
namespace {

using Json = nlohmann::ordered_json;

double in_seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

Json trials_json(const std::vector<LoadTrial>& trials) {
  Json json = Json::array();
  for (const LoadTrial& trial : trials) {
    json.push_back({{"load_percent", trial.load / kMillionthsPerPercent},
                    {"intended", trial.counts.intended},
                    {"sent", trial.counts.sent},
                    {"received", trial.counts.received},
                    {"loss_percent", loss_percent(trial.counts)},
                    {"offered_as_intended", !trial.counts.sender_limited()}});
  }
  return json;
}

Json throughput_json(const Report& report, const SizeResult& result) {
  const Throughput& found = *result.throughput;
  const std::uint64_t frames = frames_per_second(report.line_rate, result.size, found.load);
  return {{"load_percent", found.load / kMillionthsPerPercent},
          {"frames_per_second", frames},
          {"bits_per_second", frames * result.size * 8},
          {"sender_limited", found.sender_limited()},
          {"contradicted", result.contradicted()},
          {"trials", trials_json(found.trials)}};
}

Json latency_json(const SizeResult& result) {
  const LatencyHistogram& latency = *result.latency;
  Json json = {{"load_percent", result.throughput->load / kMillionthsPerPercent},
               {"frames", latency.count()},
               {"lost", result.latency_lost},
               {"min_ns", latency.min()},
               {"mean_ns", latency.mean()}};
  for (const Percentile& one : kPercentiles) json[std::string(one.name) + "_ns"] = latency.percentile(one.share);
  json["max_ns"] = latency.max();
  return json;
}

}  // namespace

Json to_json(const Report& report) {
  const TableOptions& options = report.options;
  Json sizes = Json::array();
  for (const SizeResult& result : report.table) {
    Json json = {{"size", result.size}, {"line_frames_per_second", result.line_frames}};
    if (result.throughput) json["throughput"] = throughput_json(report, result);
    if (result.latency) json["latency"] = latency_json(result);
    if (options.frame_loss) json["frame_loss"] = trials_json(result.frame_loss);
    if (options.back_to_back) {
      json["back_to_back"] = {
          {"frames", mean_burst(result)}, {"repeats", result.bursts}, {"longest_tried", result.burst_limit}};
    }
    json["duplicated"] = result.duplicated;
    json["reordered"] = result.reordered;
    json["corrupt"] = result.corrupt;
    sizes.push_back(std::move(json));
  }
  return {{"method", "RFC 2544"},
          {"sending", report.sending},
          {"receiving", report.receiving},
          {"device", report.device},
          {"time", report.virtual_time ? "virtual" : "real"},
          {"line_rate_bits_per_second", report.line_rate},
          {"trial_seconds", in_seconds(options.duration)},
          {"latency_seconds", in_seconds(options.latency_duration)},
          {"latency_repeats", options.latency_repeats},
          {"burst_seconds", in_seconds(options.burst_duration)},
          {"burst_repeats", options.burst_repeats},
          {"wait_seconds", in_seconds(options.wait)},
          {"resolution_percent", options.search.resolution / kMillionthsPerPercent},
          {"confirmations", options.search.confirmations},
          {"sizes", std::move(sizes)}};
}

}  // namespace pollux::tool::bench
