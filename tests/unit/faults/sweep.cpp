// SPDX-License-Identifier: BSD-3-Clause
#include "unit/faults/sweep.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string_view>
#include <vector>

#include "support/sanitized.hpp"

namespace pollux::test {
namespace {

/// A slow build tries every kSanitizedStride-th point of a fault that has more than kManyPoints points.
constexpr std::uint64_t kManyPoints = 50;
constexpr std::uint64_t kSanitizedStride = 7;

constexpr std::array kAllPhases{Phase::open, Phase::configure, Phase::start, Phase::traffic, Phase::stop, Phase::close};

/// The points of each phase, counted in a run without the fault.
class PhasePoints {
 public:
  explicit PhasePoints(const Fault& fault) : fault_(fault) {
    FaultFixtureOptions options = fault.options;
    options.device.at = options.memory.at = FaultPlan::kForEver;
    FaultFixture fixture(options);
    fixture.run();
    EXPECT_EQ(fixture.outcome(), "works");
    for (const std::string& finding : fixture.findings()) ADD_FAILURE() << "without a fault: " << finding;
    for (const Phase phase : kAllPhases) seen_[static_cast<std::size_t>(phase)] = fixture.points_after(phase);
  }

  /// Number of points up to the end of a phase.
  [[nodiscard]] std::uint64_t until_end_of(Phase phase) const {
    if (fault_.numbered != 0) return fault_.numbered;
    const FaultFixture::PointCounts& seen = seen_[static_cast<std::size_t>(phase)];
    return fault_.in_memory ? seen.memory[static_cast<std::size_t>(fault_.options.memory.what)]
                            : seen.device[static_cast<std::size_t>(point_of(fault_.options.device.kind))];
  }
  [[nodiscard]] Phase phase_of(std::uint64_t point) const {
    for (const Phase phase : kAllPhases) {
      if (point < until_end_of(phase)) return phase;
    }
    return Phase::close;
  }

 private:
  const Fault& fault_;
  std::array<FaultFixture::PointCounts, kPhases> seen_{};
};

void print(const Fault& fault, const OutcomeCounts& counts, Duration longest, double seconds) {
  std::ostringstream text;
  for (const auto& [phase, outcomes] : counts) {
    std::uint64_t sum = 0;
    std::string list;
    for (const auto& [outcome, times] : outcomes) {
      sum += times;
      list += fmt::format("{}{} x {}", list.empty() ? "" : "; ", times, outcome);
    }
    text << fmt::format("{:<24} {:<10} {:>5} points: {}\n", fault.name, to_string(phase), sum, list);
  }
  const auto virtual_ms = std::chrono::duration_cast<std::chrono::milliseconds>(longest).count();
  std::cout << text.str()
            << fmt::format("{:<24} longest call {} ms of virtual time; took {:.2f} s\n", fault.name, virtual_ms,
                           seconds);
  if (const char* const path = std::getenv("POLLUX_FAULT_SUMMARY")) std::ofstream(path, std::ios::app) << text.str();
}

/// Expects that every outcome that the page lists has occurred.
void expect_all_seen(const Fault& fault, const OutcomeCounts& counts) {
  for (const Phase phase : kAllPhases) {
    EXPECT_TRUE(counts.contains(phase) || !Page::instance().names_phase(fault.name, phase))
        << fault.name << " has no point in " << to_string(phase);
  }
  for (const auto& [phase, outcomes] : counts) {
    for (const std::string& outcome : Page::instance().outcomes(fault.name, phase)) {
      EXPECT_TRUE(outcomes.contains(outcome)) << fault.name << " (" << to_string(phase) << ") never gives: " << outcome;
    }
  }
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(' ') + 1 - first));
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  for (std::size_t at = 1; at < line.size();) {
    const std::size_t end = std::min(line.find('|', at), line.size());
    cells.push_back(trimmed(std::string_view(line).substr(at, end - at)));
    at = end + 1;
  }
  return cells;
}

std::set<std::string> quoted(const std::string& cell) {
  std::set<std::string> texts;
  std::size_t open = cell.find('`');
  while (open != std::string::npos) {
    const std::size_t close = cell.find('`', open + 1);
    if (close == std::string::npos) break;
    texts.insert(cell.substr(open + 1, close - open - 1));
    open = cell.find('`', close + 1);
  }
  return texts;
}

}  // namespace

const Page& Page::instance() {
  static const Page page;
  return page;
}

Page::Page() {
  std::ifstream file(POLLUX_FAULTS_PAGE);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| ")) continue;
    const std::vector<std::string> cells = cells_of(line);
    if (cells.size() != 3) continue;
    for (const Phase phase : kAllPhases) {
      if (cells[1] != "any" && cells[1].find(to_string(phase)) == std::string::npos) continue;
      rows_[{cells[0], phase}].merge(quoted(cells[2]));
      if (cells[1] != "any") explicit_.insert({cells[0], phase});
    }
  }
}

const std::set<std::string>& Page::outcomes(const std::string& fault, Phase phase) const {
  static const std::set<std::string> none;
  const auto found = rows_.find({fault, phase});
  return found == rows_.end() ? none : found->second;
}

void sweep(const Fault& fault) {
  const auto began = std::chrono::steady_clock::now();
  const char* const all = std::getenv("POLLUX_EVERY_FAULT");
  OutcomeCounts counts;
  Duration longest{0};
  const PhasePoints points(fault);
  const std::uint64_t end = points.until_end_of(Phase::close);
  ASSERT_NE(end, 0U) << fault.name << " is never triggered, so nothing was tested";
  const std::uint64_t coarser = kSanitized && end > kManyPoints ? kSanitizedStride : 1;
  const std::uint64_t stride = all != nullptr ? 1 : fault.stride * coarser;
  for (std::uint64_t point = 0; point < end; point += stride) {
    FaultFixtureOptions options = fault.options;
    options.device.at = options.memory.at = point;
    if (fault.prepare) fault.prepare(options, point);
    FaultFixture fixture(options);
    fixture.run();
    const Phase phase = points.phase_of(point);
    const std::string outcome = fixture.outcome();
    ++counts[phase][outcome];
    const bool triggered = fault.in_memory ? fixture.memory().triggered() : fixture.faults().triggered();
    EXPECT_TRUE(triggered || fault.numbered != 0) << fault.name << " was not injected at point " << point;
    for (const Phase each : {Phase::open, Phase::start, Phase::stop, Phase::close}) {
      longest = std::max(longest, fixture.time_of(each));
    }
    EXPECT_TRUE(Page::instance().outcomes(fault.name, phase).contains(outcome))
        << fault.name << " at point " << point << " (" << to_string(phase) << ", register " << std::hex
        << fixture.faults().trigger_register() << std::dec
        << ") has an outcome that docs/82576/faults.md does not list: " << outcome;
    for (const std::string& finding : fixture.findings()) {
      ADD_FAILURE() << fault.name << " at point " << point << " (" << to_string(phase) << ", register " << std::hex
                    << fixture.faults().trigger_register() << std::dec << "): " << finding
                    << "; the program got: " << outcome;
    }
  }
  if (stride == 1) expect_all_seen(fault, counts);
  print(fault, counts, longest, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
}

}  // namespace pollux::test
