// SPDX-License-Identifier: BSD-3-Clause
#include "top/sample.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <span>
#include <utility>

namespace pollux::tool::top {
namespace {

/// A program that does not answer in this time is shown as such, so that others stay live.
constexpr std::chrono::milliseconds kTopAnswerLimit{1000};

std::uint64_t count_of(const TelemetryJson& json, const char* name) {
  const TelemetryJson& value = member(json, name);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

Buckets buckets_of(const TelemetryJson& json) {
  Buckets buckets;
  for (std::size_t i = 0; json.is_array() && i < json.size(); ++i)
    buckets.push_back(json[i].is_number_unsigned() ? json[i].get<std::uint64_t>() : 0);
  return buckets;
}

std::optional<MeterSample> meter_of(const TelemetryJson& histograms, const char* direction, std::size_t queue) {
  const TelemetryJson& all = member(histograms, direction);
  if (!all.is_array() || queue >= all.size() || !all[queue].is_object()) return std::nullopt;
  const TelemetryJson& meter = all[queue];
  const bool polls = member(meter, "empty_polls").is_number_unsigned();
  return MeterSample{.bursts = count_of(meter, "bursts"),
                     .empty_polls = polls ? std::optional(count_of(meter, "empty_polls")) : std::nullopt,
                     .frames = count_of(meter, "frames"),
                     .busy_cycles = count_of(meter, "busy_cycles"),
                     .busy_frames = count_of(meter, "busy_frames"),
                     .burst_sizes = buckets_of(member(meter, "burst_sizes"))};
}

std::vector<QueueSample> queues_of(const TelemetryJson& queues, const TelemetryJson& histograms,
                                   const char* direction) {
  std::vector<QueueSample> all;
  const TelemetryJson& list = member(queues, direction);
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) {
    QueueSample& queue = all.emplace_back();
    queue.packets = count_of(list[i], "packets");
    queue.drops = count_of(list[i], "drops");
    if (member(list[i], "bytes").is_number_unsigned()) queue.bytes = count_of(list[i], "bytes");
    queue.meter = meter_of(histograms, direction, i);
  }
  return all;
}

double pool_share(const TelemetryJson& pools, const std::string& port) {
  double most = -1;
  for (std::size_t i = 0; pools.is_array() && i < pools.size(); ++i) {
    const TelemetryJson& ports = member(pools[i], "ports");
    const bool feeds = ports.is_array() && std::ranges::find(ports, TelemetryJson(port)) != ports.end();
    const std::uint64_t count = count_of(pools[i], "count");
    if (!feeds || count == 0) continue;
    most = std::max(most, static_cast<double>(count_of(pools[i], "in_use")) / static_cast<double>(count));
  }
  return most;
}

Result<PortSample> sample_of(TelemetryClient& client, const RunningPort& port, const TelemetryJson& pools) {
  PortSample sample{.port = port};
  const TelemetryJson params{{"port", port.name}};
  auto link = client.call("port.link", params, kTopAnswerLimit);
  if (!link) return tl::unexpected<Error>(link.error());
  const auto stats = client.call("port.stats", params, kTopAnswerLimit);
  if (!stats) return tl::unexpected<Error>(stats.error());
  const auto queues = client.call("port.queues", params, kTopAnswerLimit);
  if (!queues) return tl::unexpected<Error>(queues.error());
  const auto histograms = client.call("port.histograms", params, kTopAnswerLimit);
  sample.link_up = member(*link, "up") == true;
  sample.link_speed = count_of(*link, "speed");
  sample.seconds = static_cast<double>(count_of(*stats, "time_ns")) / 1e9;
  sample.rx_packets = count_of(*stats, "rx_packets");
  sample.rx_bytes = count_of(*stats, "rx_bytes");
  sample.tx_packets = count_of(*stats, "tx_packets");
  sample.tx_bytes = count_of(*stats, "tx_bytes");
  sample.missed = count_of(*stats, "rx_missed_errors");
  const TelemetryJson& drops = member(*stats, "drops");
  if (drops.is_object()) {
    for (const auto& [reason, count] : drops.items()) sample.drops[printable(reason)] = count_of(drops, reason.c_str());
  }
  const TelemetryJson measured = histograms ? *histograms : TelemetryJson(nullptr);
  sample.rx = queues_of(*queues, measured, "rx");
  sample.tx = queues_of(*queues, measured, "tx");
  sample.pool_used = pool_share(pools, port.name);
  return sample;
}

/// What the program drops itself: its account has the drops of its ports, too.
void add_program_drops(TelemetryClient& client, std::span<PortSample> ports) {
  const auto account = client.call("account", TelemetryJson::object(), kTopAnswerLimit);
  const TelemetryJson& drops = account ? member(*account, "drops") : TelemetryJson();
  if (!drops.is_object()) return;
  std::map<std::string, std::uint64_t> own;
  for (const auto& [reason, count] : drops.items()) own[printable(reason)] = count_of(drops, reason.c_str());
  for (const PortSample& port : ports) {
    for (const auto& [reason, count] : port.drops) own.erase(reason);
  }
  for (PortSample& port : ports) port.program_drops = own;
}

PortSample without_answer(RunningPort port, const Error& error) {
  const bool is_late = error.code == ErrorCode::timeout;
  return {.port = std::move(port), .answers = false, .failure = is_late ? std::string() : error.what};
}

/// Stands for the ports of a program that has not named them.
RunningPort unknown_port(const std::string& socket) {
  const std::string stem = std::filesystem::path(socket).stem().string();
  RunningPort port{.name = "-", .uri = socket, .driver = "-", .state = "-", .program = "-", .socket = socket};
  std::from_chars(stem.data(), stem.data() + stem.size(), port.pid);
  return port;
}

}  // namespace

bool Sampler::ask(const std::string& socket, Program& program, bool measures, std::vector<PortSample>& samples) {
  auto ports = ports_of(*program.client, socket, kTopAnswerLimit);
  if (!ports) {
    for (const RunningPort& port : program.ports) samples.push_back(without_answer(port, ports.error()));
    if (program.ports.empty()) samples.push_back(without_answer(unknown_port(socket), ports.error()));
    return ports.error().code == ErrorCode::timeout;
  }
  program.ports = *std::move(ports);
  const auto answer = program.client->call("pools", TelemetryJson::object(), kTopAnswerLimit);
  const TelemetryJson pools = answer ? *answer : TelemetryJson(nullptr);
  const std::size_t first = samples.size();
  for (const RunningPort& port : program.ports) {
    // A forward path cannot be measured; then only what is measured is missing.
    static_cast<void>(program.client->call("port.watch", {{"port", port.name}, {"on", measures}}, kTopAnswerLimit));
    auto sample = sample_of(*program.client, port, pools);
    samples.push_back(sample ? *std::move(sample) : without_answer(port, sample.error()));
  }
  add_program_drops(*program.client, std::span(samples).subspan(first));
  return true;
}

std::vector<PortSample> Sampler::sample(bool measures) {
  const auto sockets = telemetry_sockets(telemetry_directories());
  std::erase_if(programs_, [&](const auto& entry) { return !std::ranges::binary_search(sockets, entry.first); });
  std::vector<PortSample> samples;
  for (const std::string& socket : sockets) {
    auto found = programs_.find(socket);
    if (found == programs_.end()) {
      auto client = TelemetryClient::connect(socket);
      if (!client) {
        // It has ended without removing its socket.
        if (client.error().code == ErrorCode::not_found) continue;
        samples.push_back(without_answer(unknown_port(socket), client.error()));
        continue;
      }
      found = programs_.emplace(socket, Program{std::make_unique<TelemetryClient>(*std::move(client)), {}}).first;
    }
    if (!ask(socket, found->second, measures, samples)) programs_.erase(found);
  }
  return samples;
}

}  // namespace pollux::tool::top
