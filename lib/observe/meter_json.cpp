// SPDX-License-Identifier: BSD-3-Clause
#include "observe/port_json.hpp"

#include <cmath>

namespace pollux::observe {
namespace {

/// The buckets up to the last one that is not zero.
template <std::size_t Buckets>
Json counts_of(const PowerHistogram<Buckets>& histogram) {
  std::size_t used = Buckets;
  while (used > 0 && histogram.count(used - 1) == 0) --used;
  Json counts = Json::array();
  for (std::size_t i = 0; i < used; ++i) counts.push_back(histogram.count(i));
  return counts;
}

Json rx_json(const RxMeter& meter) {
  const std::uint64_t frames = meter.busy_frames();
  Json json{{"bursts", meter.bursts()}, {"empty_polls", meter.empty_polls()}, {"frames", meter.frames()}};
  json["busy_cycles"] = meter.busy_cycles();
  json["busy_frames"] = frames;
  json["cycles_per_frame"] =
      frames == 0 ? Json(nullptr) : Json(static_cast<double>(meter.busy_cycles()) / static_cast<double>(frames));
  json["burst_sizes"] = counts_of(meter.burst_sizes());
  json["poll_interval_cycles"] = counts_of(meter.poll_intervals());
  return json;
}

Json tx_json(const TxMeter& meter) {
  return {{"bursts", meter.bursts()},
          {"frames", meter.frames()},
          {"refused", meter.refused()},
          {"burst_sizes", counts_of(meter.burst_sizes())}};
}

}  // namespace

Json meters_json(const PortMeters::Queues& meters, double cycles_per_second) {
  Json rx = Json::array();
  for (const RxMeter* const meter : meters.rx) rx.push_back(meter == nullptr ? Json(nullptr) : rx_json(*meter));
  Json tx = Json::array();
  for (const TxMeter* const meter : meters.tx) tx.push_back(meter == nullptr ? Json(nullptr) : tx_json(*meter));
  return {{"cycles_per_second", std::round(cycles_per_second)}, {"rx", std::move(rx)}, {"tx", std::move(tx)}};
}

}  // namespace pollux::observe
