// SPDX-License-Identifier: BSD-3-Clause
// ethtool -S. For a card of the igb driver the counters come first that Linux's igb has, under its names, in its order
// and with its meaning (Linux, igb_ethtool.c); then those that only Pollux has.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/printable.hpp"
#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

struct Statistic {
  std::string name;
  std::uint64_t value = 0;
};
using Statistics = std::vector<Statistic>;

/// A counter of Linux's igb, and the one of Pollux that counts the same. A counter that Pollux has not is left out.
struct SameCounter {
  std::string_view linux_name;
  std::string_view name;
};

constexpr std::array kSameCounters{
    SameCounter{"rx_packets", "GPRC"},
    SameCounter{"tx_packets", "GPTC"},
    SameCounter{"rx_bytes", "GORC"},
    SameCounter{"tx_bytes", "GOTC"},
    SameCounter{"rx_broadcast", "BPRC"},
    SameCounter{"tx_broadcast", "BPTC"},
    SameCounter{"rx_multicast", "MPRC"},
    SameCounter{"tx_multicast", "MPTC"},
    SameCounter{"multicast", "MPRC"},
    SameCounter{"collisions", "COLC"},
    SameCounter{"rx_crc_errors", "CRCERRS"},
    SameCounter{"rx_no_buffer_count", "RNBC"},
    SameCounter{"rx_missed_errors", "MPC"},
    SameCounter{"tx_aborted_errors", "ECOL"},
    SameCounter{"tx_carrier_errors", "TNCRS"},
    SameCounter{"tx_window_errors", "LATECOL"},
    SameCounter{"tx_abort_late_coll", "LATECOL"},
    SameCounter{"tx_deferred_ok", "DC"},
    SameCounter{"tx_single_coll_ok", "SCC"},
    SameCounter{"tx_multi_coll_ok", "MCC"},
    SameCounter{"tx_timeout_count", "tx_timeouts"},
    SameCounter{"rx_long_length_errors", "ROC"},
    SameCounter{"rx_short_length_errors", "RUC"},
    SameCounter{"rx_align_errors", "ALGNERRC"},
    SameCounter{"tx_tcp_seg_good", "TSCTC"},
    SameCounter{"rx_flow_control_xon", "XONRXC"},
    SameCounter{"rx_flow_control_xoff", "XOFFRXC"},
    SameCounter{"tx_flow_control_xon", "XONTXC"},
    SameCounter{"tx_flow_control_xoff", "XOFFTXC"},
    SameCounter{"rx_long_byte_count", "GORC"},
    SameCounter{"tx_smbus", "MGTPTC"},
    SameCounter{"rx_smbus", "MGTPRC"},
    SameCounter{"dropped_smbus", "MGTPDC"},
    SameCounter{"rx_errors", "rx_errors"},
    SameCounter{"tx_errors", "tx_errors"},
    SameCounter{"tx_dropped", "tx_dropped"},
    SameCounter{"rx_length_errors", "rx_length_errors"},
    SameCounter{"rx_over_errors", "rx_over_errors"},
    SameCounter{"rx_frame_errors", "rx_frame_errors"},
    SameCounter{"rx_fifo_errors", "rx_missed_no_descriptor"},
    SameCounter{"tx_fifo_errors", "tx_fifo_errors"},
    SameCounter{"tx_heartbeat_errors", "tx_heartbeat_errors"},
};

std::string queue_name(const char* direction, std::size_t index, const char* counter) {
  return std::string(direction) + "_queue_" + std::to_string(index) + "_" + counter;
}

/// Linux's igb has the bytes of each queue always; Pollux only where the program asked for it.
void add_queues(const Json& queues, Statistics& all) {
  for (const char* const direction : {"tx", "rx"}) {
    const Json& list = member(queues, direction);
    for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) {
      all.push_back({queue_name(direction, i, "packets"), number(list[i], "packets")});
      if (member(list[i], "bytes").is_number())
        all.push_back({queue_name(direction, i, "bytes"), number(list[i], "bytes")});
      // What the card dropped for want of descriptors.
      if (direction == std::string_view("rx"))
        all.push_back({queue_name(direction, i, "drops"), number(list[i], "missed_at_least")});
    }
  }
  // What the library dropped, by queue. Linux has no such counters.
  for (const char* const direction : {"tx", "rx"}) {
    const Json& list = member(queues, direction);
    for (std::size_t i = 0; list.is_array() && i < list.size(); ++i)
      all.push_back({queue_name(direction, i, "software_drops"), number(list[i], "drops")});
  }
}

bool has(const Statistics& all, std::string_view name) {
  return std::ranges::any_of(all, [&](const Statistic& one) { return one.name == name; });
}

/// Pollux's counters of queues, which add_queues has.
bool is_of_queue(std::string_view name) { return name.starts_with("rx_queue_") || name.starts_with("tx_queue_"); }

Statistics of_igb(const Json& counters, const Json& queues) {
  Statistics all;
  for (const SameCounter& same : kSameCounters) {
    const auto found = counters.find(same.name);
    if (found != counters.end()) all.push_back({std::string(same.linux_name), number(*found)});
  }
  add_queues(queues, all);
  for (const auto& [name, value] : counters.items()) {
    if (!is_of_queue(name) && !has(all, name)) all.push_back({printable(name), number(value)});
  }
  return all;
}

int statistics_of(Port& port, Statistics& all) {
  Json info;
  Json xstats;
  if (const int error = port.ask("port.info", info)) return error;
  if (const int error = port.ask("port.xstats", xstats)) return error;
  const Json& counters = member(xstats, "counters");
  if (!counters.is_object()) return 0;
  if (text(info, "driver") == "igb") {
    Json queues;
    if (const int error = port.ask("port.queues", queues)) return error;
    all = of_igb(counters, queues);
    return 0;
  }
  for (const auto& [name, value] : counters.items()) all.push_back({printable(name), number(value)});
  return 0;
}

int statistics(Port& port, void* data) {
  Statistics all;
  if (const int error = statistics_of(port, all)) return error;
  auto& request = *static_cast<ethtool_stats*>(data);
  request.n_stats = std::min(request.n_stats, static_cast<std::uint32_t>(all.size()));
  for (std::uint32_t i = 0; i < request.n_stats; ++i) request.data[i] = all[i].value;
  return 0;
}

constexpr std::array kStatisticsVerbs{Verb{ETHTOOL_GSTATS, statistics}};

}  // namespace

std::vector<std::string> statistics_names(Port& port) {
  Statistics all;
  std::vector<std::string> names;
  if (statistics_of(port, all) != 0) return names;
  for (Statistic& one : all) names.push_back(std::move(one.name));
  return names;
}

std::span<const Verb> statistics_verbs() { return kStatisticsVerbs; }

}  // namespace pollux::ethtool
