// SPDX-License-Identifier: BSD-3-Clause
// Measures the igb driver, the minimal loop and, if it was built with it, DPDK's igb driver on the same work: short
// runs in turns, each on new rings and buffers. Prints a JSON object: the machine, and a record for each case and
// contender with the cycles of every run.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "cycles.hpp"
#include "fixture.hpp"
#include "machine.hpp"
#include "measure.hpp"
#include "workload.hpp"
#if defined(POLLUX_BENCH_DPDK)
#include "dpdk/workloads.hpp"
#endif

namespace pollux::bench {
namespace {

struct Row {
  std::string_view name;
  std::uint32_t burst = 32;
  bool cold = false;
  bool marked = false;
  std::string_view minimal = name;  ///< the minimal loop has no offloads
};

constexpr std::array kRows = {
    Row{"forward", 32},
    Row{"forward", 1},
    Row{"forward", 32, true},
    Row{"forward", 1, true},
    Row{"rx"},
    Row{"tx"},
    Row{"empty_poll"},
    Row{"forward_checksums", 32, false, false, "forward"},
    Row{"forward_checksums", 1, false, false, "forward"},
    Row{"forward_offload", 32, false, true, "forward"},
};

struct Contender {
  const Case* one;
  Setup setup;
  std::vector<double> cycles{};
};

// Adds the case in each of `modes` that the processor has.
void add(std::vector<Contender>& contenders, std::span<const Case> from, const Row& row, std::string_view name,
         std::string_view who, std::initializer_list<BurstMode> modes) {
  for (const Case& one : from) {
    if (one.name != name || one.who != who) continue;
    for (const BurstMode mode : modes) {
      const bool scalar = mode == BurstMode::scalar;
      if (!scalar && !processor_has(mode)) continue;
      contenders.push_back({&one, {.mode = mode, .burst = row.burst, .cold = row.cold, .marked = row.marked}});
    }
  }
}

std::vector<Contender> contenders_of(const Row& row) {
  const BurstMode best = best_of(BurstMode::best);
  const BurstMode widest = processor_has(BurstMode::avx512) ? BurstMode::avx512 : BurstMode::avx2;
  std::vector<Contender> contenders;
  if (best != BurstMode::scalar) add(contenders, cases(), row, row.name, kPollux, {best});
  add(contenders, cases(), row, row.name, kPollux, {BurstMode::scalar});
#if defined(POLLUX_BENCH_DPDK)
  add(contenders, dpdk_cases(), row, row.name, kDpdkPackaged, {BurstMode::scalar});
  add(contenders, dpdk_cases(), row, row.name, kDpdkNative, {BurstMode::scalar});
#endif
  add(contenders, cases(), row, row.minimal, kMinimalLoop, {BurstMode::scalar});
  if (row.burst != 1) add(contenders, cases(), row, row.minimal, kMinimalLoop, {widest});
  return contenders;
}

double measure_once(const Contender& contender) {
  constexpr std::uint32_t kFrames = 100'000;
  static const double overhead = overhead_cycles();
  const std::unique_ptr<Workload> workload = contender.one->make(contender.setup);
  const std::uint32_t count = kFrames / workload->operations();
  std::vector<double> rounds;
  for (std::uint32_t i = 0; i < count / 4; ++i) static_cast<void>(cycles_of_round(*workload, overhead));
  for (std::uint32_t i = 0; i < count; ++i) rounds.push_back(cycles_of_round(*workload, overhead));
  return median(std::move(rounds)) / workload->operations();
}

// What is counted is the same warm and cold. Counting takes longer than all else, so it is done once.
std::string counts_of(const Row& row, const Contender& contender) {
  if (row.cold) return {};
  const Counts counts = counts_of(*contender.one, contender.setup);
  std::string text = fmt::format(R"("instructions":{:.2f},)", counts.instructions);
  if (counts.descriptors == 0) return text;
  return text + fmt::format(R"("doorbells":{:.4f},"descriptors":{:.4f},"write_backs":{:.4f},)", counts.doorbells,
                            counts.descriptors, counts.write_backs);
}

std::string record_of(const Row& row, const Contender& contender) {
  return fmt::format(
      R"({{"where":"native-{}","case":"{}","who":"{}","instruction_set":"{}","burst":{},{}"cycles":[{:.3f}]}})",
      row.cold ? "cold" : "warm", row.name, contender.one->who, pollux::name(contender.setup.mode), row.burst,
      counts_of(row, contender), fmt::join(contender.cycles, ","));
}

std::vector<std::string> measure(const Row& row, unsigned long runs) {
  std::vector<Contender> contenders = contenders_of(row);
  for (unsigned long run = 0; run < runs; ++run) {
    for (Contender& contender : contenders) contender.cycles.push_back(measure_once(contender));
    std::rotate(contenders.begin(), contenders.begin() + 1, contenders.end());
  }
  std::vector<std::string> records;
  for (const Contender& contender : contenders) records.push_back(record_of(row, contender));
  return records;
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  using namespace pollux::bench;
  const unsigned long runs = argc == 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  if (runs == 0) give_up("name the number of runs");
  std::string dpdk = "none";
#if defined(POLLUX_BENCH_DPDK)
  constexpr unsigned long kNeededPages = 64;  // pools of both sides, of 20 MiB each, and what DPDK keeps for itself
  const bool enough = std::strtoul(free_huge_pages().c_str(), nullptr, 10) >= kNeededPages;
  if (!enough) fmt::print(stderr, "WITHOUT HUGE PAGES for DPDK: fewer than {} are free\n", kNeededPages);
  dpdk = start_dpdk(static_cast<unsigned>(sched_getcpu()), enough);
#endif
  const std::string pages = free_huge_pages();
  std::vector<std::string> records;
  for (const Row& row : kRows) {
    fmt::print(stderr, "[{} burst {} {}]\n", row.name, row.burst, row.cold ? "cold" : "warm");
    for (std::string& record : measure(row, runs)) records.push_back(std::move(record));
  }
  fmt::print(
      "{{\"context\":{{\"processor\":\"{}\",\"time stamp counter\":\"{:.3f} GHz\",\"compiler\":\"{}\",\"free huge "
      "pages\":\"{}\",\"dpdk\":\"{}\"}},\n\"records\":[\n{}\n]}}\n",
      processor(), cycles_per_second() / 1e9, kCompiler, pages, dpdk, fmt::join(records, ",\n"));
  return 0;
}
