// SPDX-License-Identifier: BSD-3-Clause
#include "metrics.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <new>
#include <string_view>
#include <utility>

#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

using std::chrono::steady_clock;

/// A program that has not answered everything in this time is down. A scrape ends after 10 seconds by default.
constexpr std::chrono::milliseconds kProgramLimit{2000};
constexpr std::chrono::milliseconds kScrapeLimit{8000};
constexpr std::size_t kMostScrapedPorts = 256;

/// A number of samples, and the bytes of their labels.
struct Room {
  std::size_t samples = 0;
  std::size_t text = 0;
};
/// More than a program with 64 ports needs.
constexpr Room kOfProgram{.samples = 10'000, .text = std::size_t{2} << 20};
constexpr Room kOfAll{.samples = 5 * kOfProgram.samples, .text = 5 * kOfProgram.text};

Room least(const Room& one, const Room& other) {
  return {.samples = std::min(one.samples, other.samples), .text = std::min(one.text, other.text)};
}

/// Collects samples of metrics by the name of the metric.
class Samples {
 public:
  /// From now on the samples are those of programs in the next of several directories.
  void next_directory(std::size_t several) {
    directory_ = {.samples = share_of_next(all_.samples, several), .text = share_of_next(all_.text, several)};
  }
  /// From now on they are those of another program. False: those in this directory have no room left.
  [[nodiscard]] bool next_program() {
    program_ = least(kOfProgram, directory_);
    are_too_many_ = program_.samples == 0;
    return !are_too_many_;
  }
  [[nodiscard]] bool are_too_many() const noexcept { return are_too_many_; }
  /// What is said of a program always has room.
  void about_program(const std::string& name, const std::string& help, const Labels& labels, int value) {
    place(name, help, MetricType::Gauge, labels).gauge.value = value;
  }
  void counter(const std::string& name, const std::string& help, const Labels& labels, const TelemetryJson& value) {
    if (ClientMetric* const sample = add(name, help, MetricType::Counter, labels, value))
      sample->counter.value = value.get<double>();
  }
  void gauge(const std::string& name, const std::string& help, const Labels& labels, const TelemetryJson& value) {
    if (ClientMetric* const sample = add(name, help, MetricType::Gauge, labels, value))
      sample->gauge.value = value.get<double>();
  }
  [[nodiscard]] std::vector<prometheus::MetricFamily> take() {
    std::vector<prometheus::MetricFamily> all;
    for (auto& [name, family] : families_) all.push_back(std::move(family));
    return all;
  }

 private:
  /// nullptr: `value` is no number, since the program does not know it.
  ClientMetric* add(const std::string& name, const std::string& help, MetricType type, const Labels& labels,
                    const TelemetryJson& value) {
    if (!value.is_number() || are_too_many_) return nullptr;
    Room needed{.samples = 1, .text = 0};
    for (const ClientMetric::Label& label : labels) needed.text += label.name.size() + label.value.size();
    const auto has_place = [&](const Room& room) { return needed.samples <= room.samples && needed.text <= room.text; };
    are_too_many_ = !has_place(program_);
    if (!has_place(directory_)) directory_ = {};  // the other programs in it need not be asked
    if (are_too_many_) return nullptr;
    for (Room* room : {&program_, &directory_, &all_}) {
      room->samples -= needed.samples;
      room->text -= needed.text;
    }
    return &place(name, help, type, labels);
  }

  ClientMetric& place(const std::string& name, const std::string& help, MetricType type, const Labels& labels) {
    prometheus::MetricFamily& family = families_["pollux_" + name];
    family.name = "pollux_" + name;
    family.help = help;
    family.type = type;
    ClientMetric& sample = family.metric.emplace_back();
    sample.label = labels;
    return sample;
  }

  std::map<std::string, prometheus::MetricFamily> families_;
  Room all_ = kOfAll;  ///< that is left
  Room directory_;
  Room program_;
  bool are_too_many_ = false;
};

/// The rest of the time that a program has for its answers.
class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds limit) : end_(steady_clock::now() + limit) {}
  [[nodiscard]] std::chrono::milliseconds left() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - steady_clock::now());
    return std::max(left, std::chrono::milliseconds(0));
  }

 private:
  steady_clock::time_point end_;
};

Labels with(Labels labels, std::initializer_list<ClientMetric::Label> more) {
  labels.insert(labels.end(), more);
  return labels;
}

/// A counter of the method port.stats and its metric. The names are those of node_exporter's network metrics.
struct StatsMetric {
  const char* member;
  const char* metric;
  const char* help;
};
constexpr std::array kStatsMetrics{
    StatsMetric{"rx_packets", "port_receive_packets_total", "Good frames that the port received."},
    StatsMetric{"tx_packets", "port_transmit_packets_total", "Good frames that the port sent."},
    StatsMetric{"rx_bytes", "port_receive_bytes_total", "Bytes of good frames received, without FCS."},
    StatsMetric{"tx_bytes", "port_transmit_bytes_total", "Bytes of good frames sent, without FCS."},
    StatsMetric{"rx_errors", "port_receive_errors_total", "Bad frames that arrived."},
    StatsMetric{"tx_errors", "port_transmit_errors_total", "Frames that the card failed to send."},
    StatsMetric{"rx_missed_errors", "port_receive_missed_packets_total",
                "Frames for which the card or a ring had no room. A lower bound for some cards."},
    StatsMetric{"multicast", "port_receive_multicast_packets_total", "Multicast frames received."},
    StatsMetric{"collisions", "port_transmit_collisions_total", "Collisions, half duplex."},
    StatsMetric{"rx_burst_packets", "port_receive_burst_packets_total", "Frames that the program received."},
    StatsMetric{"tx_burst_packets", "port_transmit_burst_packets_total", "Frames that the port took from the program."},
};

void add_stats(Samples& samples, const Labels& labels, const TelemetryJson& stats) {
  for (const StatsMetric& metric : kStatsMetrics)
    samples.counter(metric.metric, metric.help, labels, member(stats, metric.member));
  samples.gauge("port_started", "Whether the port is started.", labels, text_of(stats, "state") == "started" ? 1 : 0);
  const TelemetryJson& drops = member(stats, "drops");
  if (!drops.is_object()) return;
  for (const auto& [reason, count] : drops.items()) {
    samples.counter("port_dropped_packets_total", "Frames that the library dropped, by reason.",
                    with(labels, {{"reason", printable(reason)}}), count);
  }
}

void add_queues(Samples& samples, const Labels& labels, const TelemetryJson& queues, const char* member_name,
                const std::string& direction) {
  const TelemetryJson& all = member(queues, member_name);
  for (std::size_t i = 0; all.is_array() && i < all.size(); ++i) {
    const Labels queue = with(labels, {{"queue", fmt::format("{}", i)}});
    samples.counter(fmt::format("queue_{}_packets_total", direction), fmt::format("Frames of a {} queue.", direction),
                    queue, member(all[i], "packets"));
    samples.counter(fmt::format("queue_{}_dropped_packets_total", direction),
                    fmt::format("Frames that the library dropped in a {} queue.", direction), queue,
                    member(all[i], "drops"));
    samples.gauge("queue_in_flight_descriptors", "Slots of a transmit ring whose buffers are not freed yet.", queue,
                  member(all[i], "in_flight"));
  }
}

TelemetryJson number_of(const TelemetryJson& flag) { return flag == true ? 1 : 0; }

void add_link(Samples& samples, const Labels& labels, const TelemetryJson& link) {
  constexpr double kBytesPerMegabit = 1e6 / 8;
  samples.gauge("port_link_up", "Whether the link is up.", labels, number_of(member(link, "up")));
  const TelemetryJson& speed = member(link, "speed");
  if (speed.is_number())
    samples.gauge("port_speed_bytes", "Speed of the link in bytes per second.", labels,
                  speed.get<double>() * kBytesPerMegabit);
}

void add_pools(Samples& samples, const Labels& labels, const TelemetryJson& pools) {
  for (std::size_t i = 0; pools.is_array() && i < pools.size(); ++i) {
    const Labels pool = with(labels, {{"pool", text_of(pools[i], "name")}, {"index", fmt::format("{}", i)}});
    samples.gauge("pool_mbufs", "Mbufs of a pool.", pool, member(pools[i], "count"));
    samples.gauge("pool_used_mbufs", "Mbufs that are in use.", pool, member(pools[i], "in_use"));
    samples.counter("pool_allocation_failures_total", "Allocations that failed: the pool was exhausted.", pool,
                    member(pools[i], "allocation_failures"));
    samples.counter("pool_unnamed_drops_total", "Mbufs that were freed without a reason.", pool,
                    member(pools[i], "unnamed_drops"));
  }
}

void add_account(Samples& samples, const Labels& labels, const TelemetryJson& account) {
  if (!account.is_object()) return;
  const auto count = [&](const char* name, const char* help) {
    samples.counter(fmt::format("program_{}_packets_total", name), help, labels, member(account, name));
  };
  count("received", "Frames that the ports of the program delivered.");
  count("made", "Frames that the program made.");
  count("sent", "Frames of the program that left its ports.");
  count("dropped", "Frames that the ports or the program dropped.");
  if (const TelemetryJson& drops = member(account, "drops"); drops.is_object()) {
    for (const auto& [reason, frames] : drops.items()) {
      samples.counter("program_drops_total", "Frames that the ports or the program dropped, by reason.",
                      with(labels, {{"reason", printable(reason)}}), frames);
    }
  }
  samples.gauge("program_in_flight_packets", "Frames that the ports have not sent yet.", labels,
                member(account, "in_flight"));
  samples.gauge("program_account_holds", "Whether every frame of the program is accounted for.", labels,
                number_of(member(account, "holds")));
}

/// Error: the program did not answer. A port that it answers for with an error, such as one that was closed meanwhile,
/// has no samples.
Result<void> add_port(Samples& samples, TelemetryClient& client, const Deadline& deadline, const Labels& labels,
                      const TelemetryJson& about) {
  constexpr std::array kMethods{"port.stats", "port.queues", "port.link"};
  std::array<TelemetryJson, kMethods.size()> answers;
  for (std::size_t i = 0; i < kMethods.size(); ++i) {
    auto answer = client.call(kMethods[i], {{"port", text_of(about, "name")}}, deadline.left());
    if (!answer && client.answered()) return {};
    if (!answer) return pass_on(std::move(answer));
    answers[i] = *std::move(answer);
  }
  const auto& [stats, queues, link] = answers;
  const Labels port = with(labels, {{"port", text_of(about, "name")}});
  samples.gauge(
      "port_info", "An open port.",
      with(port,
           {{"uri", text_of(about, "uri")}, {"driver", text_of(about, "driver")}, {"card", text_of(about, "card")}}),
      1);
  add_stats(samples, port, stats);
  add_queues(samples, port, queues, "rx", "receive");
  add_queues(samples, port, queues, "tx", "transmit");
  add_link(samples, port, link);
  return {};
}

tl::unexpected<Error> too_many() {
  return fail(ErrorCode::io_error, "there are too many ports or counters", "see what listens to the sockets");
}

/// Asks one program. Error: it did not answer a request, or all of them in time; or it said too much. Requests after
/// the first one without an answer are not sent.
Result<void> add_program(Samples& samples, TelemetryClient& client, const Deadline& deadline, Labels labels) {
  const auto ask = [&](const char* method) { return client.call(method, TelemetryJson::object(), deadline.left()); };
  auto process = ask("process");
  if (!process) return pass_on(std::move(process));
  labels.insert(labels.begin() + 1, {"program", text_of(*process, "program")});
  samples.gauge("program_info", "A running program.", with(labels, {{"version", text_of(*process, "version")}}), 1);
  auto pools = ask("pools");
  if (!pools) return pass_on(std::move(pools));
  add_pools(samples, labels, *pools);
  if (samples.are_too_many()) return too_many();
  auto account = ask("account");
  if (!account) return pass_on(std::move(account));
  add_account(samples, labels, *account);
  auto ports = ask("ports");
  if (!ports) return pass_on(std::move(ports));
  std::size_t asked = 0;
  for (const TelemetryJson& port : *ports) {
    if (++asked > kMostScrapedPorts || samples.are_too_many()) break;
    if (auto added = add_port(samples, client, deadline, labels, port); !added) return added;
  }
  if (asked <= kMostScrapedPorts && !samples.are_too_many()) return {};
  return too_many();
}

/// What all samples of the program behind a socket have in common.
Labels labels_of(const std::string& socket, const Result<TelemetryClient>& client) {
  Labels labels{{"pid", printable(std::filesystem::path(socket).stem().string())}};
  if (client && client->user() != 0 && client->user() != ::geteuid())
    labels.push_back({"user", user_name(client->user())});
  return labels;
}

}  // namespace

namespace {

void add_socket(Samples& samples, const std::string& socket, const Deadline& deadline) {
  const bool has_room = samples.next_program();
  auto client = TelemetryClient::connect(socket, deadline.left());
  // Nobody listens: the process has ended, and the next program removes its socket.
  if (!client && client.error().code == ErrorCode::not_found) return;
  const Labels process = labels_of(socket, client);
  Result<void> added = has_room ? Result<void>() : too_many();
  if (added) added = client ? add_program(samples, *client, deadline, process) : pass_on(std::move(client));
  samples.about_program("program_up", "Whether the program answers.", process, added ? 1 : 0);
  if (added) return;
  samples.about_program("program_error", "Why a program is not up.",
                        with(process, {{"code", std::string(to_string(added.error().code))}}), 1);
}

}  // namespace

std::vector<prometheus::MetricFamily> ProgramMetrics::Collect() const {
  try {
    Samples samples;
    const Deadline scrape(kScrapeLimit);
    const std::vector<std::string> directories = directories_();
    std::size_t directories_left = directories.size();
    for (const std::string& directory : directories) {
      samples.next_directory(directories_left);
      const Deadline share(share_of_next(scrape.left(), directories_left--));
      const std::vector<std::string> sockets = telemetry_sockets({directory});
      std::size_t sockets_left = sockets.size();
      for (const std::string& socket : sockets)
        add_socket(samples, socket, Deadline(std::min(kProgramLimit, share_of_next(share.left(), sockets_left--))));
    }
    return samples.take();
  } catch (const std::bad_alloc&) {
    return {};  // the HTTP server catches nothing
  }
}

}  // namespace pollux::tool
