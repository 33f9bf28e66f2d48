// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <vector>

namespace pollux::tool {

/// Asks all running programs for their counters, at each scrape. docs/prometheus has rules for alerts on them. A scrape
/// takes at most some 8 seconds, and has at most 50,000 samples, of which a program has 10,000, and a directory half of
/// what those before it have left. Programs of another user than root and this one have the label `user`.
class ProgramMetrics final : public prometheus::Collectable {
 public:
  /// `directories` returns where programs have their sockets.
  explicit ProgramMetrics(std::function<std::vector<std::string>()> directories)
      : directories_(std::move(directories)) {}

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  std::function<std::vector<std::string>()> directories_;
};

}  // namespace pollux::tool
