// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/rfc2544.hpp"

namespace pollux::tool::bench {

/// Loads are kept in millionths of the line rate.
inline constexpr double kMillionthsPerPercent = 1e4;

/// A measurement with what is needed to read it.
struct Report {
  std::string sending;  ///< as the user named it
  std::string receiving;
  std::string device;  ///< as the user named it
  bool virtual_time = false;
  std::uint64_t line_rate = 0;  ///< bits per second, with preamble and gap
  TableOptions options;
  std::vector<SizeResult> table;
};

/// The percentiles that are reported, in millionths, with their names.
struct Percentile {
  std::uint32_t share;
  const char* name;
};
inline constexpr Percentile kPercentiles[] = {
    {500'000, "p50"}, {900'000, "p90"}, {990'000, "p99"}, {999'000, "p99.9"}, {999'900, "p99.99"}};

/// Frames lost of those sent, in percent.
[[nodiscard]] double loss_percent(const TrialCounts& counts) noexcept;
/// The mean of the repeats, rounded down.
[[nodiscard]] std::uint64_t mean_burst(const SizeResult& result) noexcept;

[[nodiscard]] std::string to_text(const Report& report);
[[nodiscard]] nlohmann::ordered_json to_json(const Report& report);

}  // namespace pollux::tool::bench
