// SPDX-License-Identifier: BSD-3-Clause
#include "bench/rfc2544.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pollux::tool::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

__extension__ using Wide = unsigned __int128;

/// Measures one frame size.
class SizeTable {
 public:
  SizeTable(TestBed& bed, TrialRunner& runner, const TableOptions& options, std::uint32_t size,
            const std::function<void(const std::string&)>& progress)
      : bed_(bed), runner_(runner), options_(options), progress_(progress) {
    result_.size = size;
    result_.line_frames = frames_per_second(bed.line_rate(), size, kFullLoad);
  }

  Result<SizeResult> measure() {
    Result<void> done;
    if (options_.throughput || options_.latency) done = throughput();
    if (done && options_.latency && result_.throughput->load != 0) done = latency();
    if (done && options_.frame_loss) done = frame_loss();
    if (done && options_.back_to_back) done = back_to_back();
    if (!done) return pass_on(std::move(done));
    return std::move(result_);
  }

 private:
  void tell(const char* step) const {
    if (progress_) progress_(fmt::format("{} bytes: {}", result_.size, step));
  }

  Result<TrialResult> run(Load load, std::uint64_t frames) {
    auto trial = runner_.run({.size = result_.size, .load = load, .frames = frames, .wait = options_.wait});
    if (!trial) return trial;
    result_.duplicated += trial->duplicated;
    result_.reordered += trial->reordered;
    result_.corrupt += trial->corrupt;
    return trial;
  }
  Result<TrialCounts> counts(Load load, std::uint64_t frames) {
    auto trial = run(load, frames);
    if (!trial) return pass_on(std::move(trial));
    return trial->counts;
  }
  [[nodiscard]] std::uint64_t frames(Duration duration, Load load) const {
    return frames_in(duration, bed_.line_rate(), result_.size, load);
  }

  Result<void> throughput() {
    tell("throughput");
    auto found =
        find_throughput(options_.search, [this](Load load) { return counts(load, frames(options_.duration, load)); });
    if (!found) return pass_on(std::move(found));
    result_.throughput = *std::move(found);
    return {};
  }
  Result<void> latency() {
    tell("latency");
    const Load load = result_.throughput->load;
    result_.latency.emplace();
    for (std::uint32_t i = 0; i < options_.latency_repeats; ++i) {
      auto trial = run(load, frames(options_.latency_duration, load));
      if (!trial) return pass_on(std::move(trial));
      result_.latency->merge(trial->latency);
      result_.latency_lost += trial->counts.lost();
    }
    return {};
  }
  Result<void> frame_loss() {
    tell("frame loss rate");
    auto trials = measure_frame_loss(options_.search.max,
                                     [this](Load load) { return counts(load, frames(options_.duration, load)); });
    if (!trials) return pass_on(std::move(trials));
    result_.frame_loss = *std::move(trials);
    return {};
  }
  Result<void> back_to_back() {
    tell("back-to-back frames");
    result_.burst_limit = frames(options_.burst_duration, kFullLoad);
    for (std::uint32_t i = 0; i < options_.burst_repeats; ++i) {
      const auto burst =
          find_back_to_back(result_.burst_limit, [this](std::uint64_t frames) { return counts(kFullLoad, frames); });
      if (!burst) return tl::unexpected(burst.error());
      result_.bursts.push_back(*burst);
    }
    return {};
  }

  TestBed& bed_;
  TrialRunner& runner_;
  const TableOptions& options_;
  const std::function<void(const std::string&)>& progress_;
  SizeResult result_;
};

}  // namespace

TableOptions rfc_options() {
  TableOptions options;
  options.duration = seconds(60);
  options.latency_duration = seconds(120);
  options.burst_duration = seconds(2);
  options.wait = seconds(2);
  options.latency_repeats = 20;
  options.burst_repeats = 50;
  return options;
}

TableOptions virtual_time_options() {
  TableOptions options;
  options.duration = options.latency_duration = options.burst_duration = milliseconds(20);
  options.wait = seconds(2);
  options.burst_repeats = 3;
  return options;
}

TableOptions real_time_options() {
  TableOptions options;
  options.duration = options.latency_duration = options.burst_duration = seconds(1);
  options.wait = seconds(2);
  options.burst_repeats = 3;
  return options;
}

bool SizeResult::contradicted() const {
  if (!throughput) return false;
  const Load load = throughput->load;
  const bool lost = std::ranges::any_of(
      frame_loss, [load](const LoadTrial& one) { return one.load <= load && !one.counts.passed(); });
  return lost || latency_lost != 0 || (load != 0 && throughput->contradicted());
}

std::uint64_t frames_per_second(std::uint64_t line_rate, std::uint32_t size, Load load) noexcept {
  return static_cast<std::uint64_t>(Wide{line_rate} * load / kFullLoad / tools::slot_bits(size));
}

std::uint64_t frames_in(Duration duration, std::uint64_t line_rate, std::uint32_t size, Load load) noexcept {
  const Wide bits = Wide{line_rate} * load / kFullLoad * static_cast<std::uint64_t>(duration.count()) / 1'000'000'000;
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(bits / tools::slot_bits(size)));
}

Result<std::vector<SizeResult>> measure_table(TestBed& bed, TrialRunner& runner, const TableOptions& options,
                                              const std::function<void(const std::string&)>& progress) {
  std::vector<SizeResult> table;
  for (const std::uint32_t size : options.sizes) {
    auto result = SizeTable(bed, runner, options, size, progress).measure();
    if (!result) return pass_on(std::move(result));
    table.push_back(*std::move(result));
  }
  return table;
}

}  // namespace pollux::tool::bench
