// SPDX-License-Identifier: BSD-3-Clause
// Measures the drivers, the minimal loop and, if it was built with them, DPDK's drivers of the same cards on the same
// work: short runs in turns, each on new rings and buffers. Prints a JSON object: the machine, and a record for each
// case and contender with the cycles of every run.
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
#include "threads.hpp"
#include "workload.hpp"
#if defined(POLLUX_BENCH_DPDK)
#include "dpdk/features.hpp"
#include "dpdk/workloads.hpp"
#endif

namespace pollux::bench {
namespace {

/// What a row is for: the tables that bench_side.py makes.
constexpr std::string_view kMain = "main";
constexpr std::string_view kBursts = "bursts";
constexpr std::string_view kQueues = "queues";
constexpr std::string_view kThreads = "threads";
constexpr std::string_view kArrivals = "arrivals";
constexpr std::string_view kVirtioArrivals = "virtio_arrivals";
constexpr std::string_view kFeatures = "features";
constexpr std::string_view kVirtio = "virtio";
constexpr std::string_view kVmxnet3 = "vmxnet3";
constexpr std::string_view k82574 = "82574";

struct Row {
  std::string_view name;
  std::uint32_t burst = 32;
  bool cold = false;
  bool marked = false;
  std::string_view minimal = name;
  std::string_view table = kMain;
  std::uint16_t queues = 1;
  std::uint32_t ring = Setup{}.ring;
};

constexpr Row on_queues(std::uint16_t queues, std::uint32_t ring) {
  return {"forward_queues", 32, false, false, "", kQueues, queues, ring};
}
constexpr Row arrivals(std::uint16_t queues, std::uint32_t ring) {
  return {"forward_arrivals", 32, false, false, "", kArrivals, queues, ring};
}
constexpr Row virtio_arrivals(std::string_view name, std::uint16_t queues, std::uint32_t ring) {
  return {name, 32, false, false, "", kVirtioArrivals, queues, ring};
}
constexpr bool is_arrivals(const Row& row) { return row.table == kArrivals || row.table == kVirtioArrivals; }
constexpr Row of_burst(std::uint32_t burst) { return {"forward", burst, false, false, "", kBursts}; }
constexpr Row feature(std::string_view name) { return {name, 32, false, false, "", kFeatures}; }

// The write-backs that the minimal loop reads are those of the 82576, too, and what it sends is as large.
constexpr Row on_82574(std::string_view name, std::string_view minimal, std::uint32_t burst = 32, bool cold = false) {
  return {name, burst, cold, false, minimal, k82574};
}
constexpr Row virtio(std::string_view name, std::uint32_t burst = 32, bool cold = false) {
  return {name, burst, cold, false, name, kVirtio};
}
constexpr Row vmxnet3(std::string_view name, std::uint32_t burst = 32, bool cold = false) {
  return {name, burst, cold, false, name, kVmxnet3};
}
// The minimal loop has no mergeable buffers.
constexpr Row mergeable(std::string_view name, std::string_view minimal, std::uint32_t burst = 32) {
  return {name, burst, false, false, minimal, kVirtio};
}

constexpr std::array kRows = {
    Row{"forward", 32},
    Row{"forward", 1},
    Row{"forward", 32, true},
    Row{"forward", 1, true},
    Row{"rx"},
    Row{"tx"},
    Row{"empty_poll"},
    Row{"forward_checksums", 32},
    Row{"forward_checksums", 1},
    Row{"forward_offload", 32, false, true},
    of_burst(4),
    of_burst(8),
    of_burst(16),
    on_queues(1, 128),
    on_queues(2, 128),
    on_queues(4, 128),
    on_queues(8, 128),
    on_queues(16, 128),
    on_queues(1, 512),
    on_queues(2, 512),
    on_queues(4, 512),
    on_queues(8, 512),
    on_queues(16, 512),
    arrivals(1, 512),
    arrivals(1, 2048),
    arrivals(4, 512),
    arrivals(16, 512),
    virtio_arrivals("virtio_split_arrivals", 1, 512),
    virtio_arrivals("virtio_split_arrivals", 1, 2048),
    virtio_arrivals("virtio_split_arrivals", 4, 512),
    virtio_arrivals("virtio_split_arrivals", 16, 512),
    virtio_arrivals("virtio_packed_arrivals", 1, 512),
    virtio_arrivals("virtio_packed_arrivals", 1, 2048),
    virtio_arrivals("virtio_packed_arrivals", 4, 512),
    virtio_arrivals("virtio_packed_arrivals", 16, 512),
    feature("forward"),
    feature("forward_poller"),
    feature("forward_captured"),
    feature("gro_merge"),
    feature("queue_drr"),
    feature("queue_fq_codel_classified"),
    feature("queue_fq_codel"),
    feature("steering_hop"),
    on_82574("e1000e_forward", "forward"),
    on_82574("e1000e_forward", "forward", 1),
    on_82574("e1000e_forward", "forward", 32, true),
    on_82574("e1000e_forward", "forward", 1, true),
    on_82574("e1000e_rx", "rx"),
    on_82574("e1000e_tx", "tx"),
    on_82574("e1000e_forward_checksums", "forward_checksums"),
    virtio("virtio_split_forward"),
    virtio("virtio_split_forward", 1),
    virtio("virtio_split_forward", 32, true),
    virtio("virtio_split_forward", 1, true),
    mergeable("virtio_split_forward_mergeable", "virtio_split_forward"),
    mergeable("virtio_split_forward_mergeable", "virtio_split_forward", 1),
    virtio("virtio_split_rx"),
    virtio("virtio_split_rx", 1),
    mergeable("virtio_split_rx_mergeable", "virtio_split_rx"),
    virtio("virtio_split_tx"),
    virtio("virtio_split_tx", 1),
    virtio("virtio_packed_forward"),
    virtio("virtio_packed_forward", 1),
    virtio("virtio_packed_forward", 32, true),
    virtio("virtio_packed_forward", 1, true),
    mergeable("virtio_packed_forward_mergeable", "virtio_packed_forward"),
    mergeable("virtio_packed_forward_mergeable", "virtio_packed_forward", 1),
    virtio("virtio_packed_rx"),
    virtio("virtio_packed_rx", 1),
    mergeable("virtio_packed_rx_mergeable", "virtio_packed_rx"),
    virtio("virtio_packed_tx"),
    virtio("virtio_packed_tx", 1),
    vmxnet3("vmxnet3_forward"),
    vmxnet3("vmxnet3_forward", 1),
    vmxnet3("vmxnet3_forward", 32, true),
    vmxnet3("vmxnet3_forward", 1, true),
    vmxnet3("vmxnet3_rx"),
    vmxnet3("vmxnet3_rx", 1),
    vmxnet3("vmxnet3_tx"),
    vmxnet3("vmxnet3_tx", 1),
};

struct Contender {
  const Case* one;
  Setup setup;
  std::vector<double> cycles{};
  double lost = 0;  // of a million frames that arrived, in the last run
};

Setup setup_of(const Row& row, BurstMode mode) {
  // Enough for every slot of every ring to have an mbuf, and as many again for one queue.
  const std::uint32_t pool = std::max(Setup{}.pool, 2048U * row.queues);
  return {.mode = mode,
          .burst = row.burst,
          .ring = row.ring,
          .pool = pool,
          .queues = row.queues,
          .cold = row.cold,
          .marked = row.marked};
}

// Adds the case in each of `modes` that the processor has.
void add(std::vector<Contender>& contenders, std::span<const Case> from, const Row& row, std::string_view name,
         std::string_view who, std::initializer_list<BurstMode> modes) {
  for (const Case& one : from) {
    if (one.name != name || one.who != who || row.burst < one.least_burst) continue;
    for (const BurstMode mode : modes) {
      if (mode == BurstMode::scalar || processor_has(mode)) contenders.push_back({&one, setup_of(row, mode)});
    }
  }
}

std::vector<Contender> contenders_of(const Row& row) {
  const BurstMode best = best_of(BurstMode::best);
  const BurstMode widest = processor_has(BurstMode::avx512) ? BurstMode::avx512 : BurstMode::avx2;
  const bool is_feature = row.table == kFeatures;
  const bool is_paravirtual = row.table == kVirtio || row.table == kVmxnet3;
  const bool has_simd = !is_feature && !is_paravirtual && row.table != kVirtioArrivals;
  std::vector<Contender> contenders;
  if (best != BurstMode::scalar && has_simd) add(contenders, cases(), row, row.name, kPollux, {best});
  add(contenders, cases(), row, row.name, kPollux, {BurstMode::scalar});
#if defined(POLLUX_BENCH_DPDK)
  if (is_feature) add(contenders, dpdk_features(), row, row.name, kDpdkPackaged, {BurstMode::scalar});
  add(contenders, dpdk_cases(), row, row.name, kDpdkPackaged, {BurstMode::scalar});
  if (!is_feature) add(contenders, dpdk_cases(), row, row.name, kDpdkNative, {BurstMode::scalar});
  add(contenders, dpdk_virtio_cases(), row, row.name, kDpdkPackaged, {BurstMode::scalar});
  add(contenders, dpdk_virtio_cases(), row, row.name, kDpdkNative, {BurstMode::scalar});
  add(contenders, dpdk_vmxnet3_cases(), row, row.name, kDpdkPackaged, {BurstMode::scalar});
  add(contenders, dpdk_vmxnet3_cases(), row, row.name, kDpdkNative, {BurstMode::scalar});
#endif
  if (row.table != kMain && row.table != k82574 && !is_paravirtual) return contenders;
  add(contenders, cases(), row, row.minimal, kMinimalLoop, {BurstMode::scalar});
  if (has_simd && row.burst != 1) add(contenders, cases(), row, row.minimal, kMinimalLoop, {widest});
  return contenders;
}

double measure_once(Contender& contender) {
  constexpr std::uint32_t kFrames = 100'000;
  constexpr std::uint32_t kFramesInPieces = 1'000'000;
  static const double overhead = overhead_cycles();
  const std::unique_ptr<Workload> workload = contender.one->make(contender.setup);
  const std::uint32_t count = (workload->pieces() > 1 ? kFramesInPieces : kFrames) / workload->operations();
  std::vector<double> rounds;
  for (std::uint32_t i = 0; i < count / 4; ++i) static_cast<void>(cycles_of_round(*workload, overhead));
  for (std::uint32_t i = 0; i < count; ++i) rounds.push_back(cycles_of_round(*workload, overhead));
  const double arrived = static_cast<double>(count + count / 4) * workload->operations();
  contender.lost = 1e6 * static_cast<double>(workload->lost()) / arrived;
  return median(std::move(rounds)) / workload->operations();
}

// What is counted is the same warm and cold, and for one queue and many. Counting takes longer than all else, so it is
// done once, on the smallest rings whose groups are those of the larger ones.
std::string counts_of(const Row& row, const Contender& contender) {
  if (is_arrivals(row)) return fmt::format(R"("lost":{:.0f},)", contender.lost);
  if (row.cold || row.table == kQueues || contender.one->who == kMinimalLoop) return {};
  Setup setup = contender.setup;
  setup.ring = row.table == kVmxnet3 ? setup.ring : 128;  // DPDK's vmxnet3 driver has no smaller rings
  const Counts counts = counts_of(*contender.one, setup);
  std::string text = fmt::format(R"("instructions":{:.2f},)", counts.instructions);
  if (counts.descriptors == 0) return text;
  return text + fmt::format(R"("doorbells":{:.4f},"descriptors":{:.4f},"write_backs":{:.4f},)", counts.doorbells,
                            counts.descriptors, counts.write_backs);
}

std::string record_of(const Row& row, std::string_view who, BurstMode mode, const std::string& more,
                      const std::vector<double>& cycles) {
  return fmt::format(
      R"({{"table":"{}","where":"native-{}","case":"{}","who":"{}","instruction_set":"{}","burst":{},"queues":{},"ring":{},{}"cycles":[{:.3f}]}})",
      row.table, row.cold ? "cold" : "warm", row.name, who, pollux::name(mode), row.burst, row.queues, row.ring, more,
      fmt::join(cycles, ","));
}

// Whether another variant or build of the rival's is clearly faster. The table shows only the fastest of all processes.
bool is_beaten(const Contender& one, std::span<const Contender> all) {
  const auto is_rival = [](const Contender& contender) { return contender.one->who.starts_with("dpdk"); };
  return is_rival(one) && std::ranges::any_of(all, [&](const Contender& other) {
           return is_rival(other) && median(other.cycles) * 1.05 < median(one.cycles);
         });
}

std::vector<std::string> measure(const Row& row, unsigned long runs, bool counted) {
  std::vector<Contender> contenders = contenders_of(row);
  for (unsigned long run = 0; run < runs; ++run) {
    for (Contender& contender : contenders) contender.cycles.push_back(measure_once(contender));
    std::rotate(contenders.begin(), contenders.begin() + 1, contenders.end());
  }
  std::vector<std::string> records;
  for (const Contender& one : contenders) {
    const bool counts = is_arrivals(row) || (counted && !is_beaten(one, contenders));
    std::string more = counts ? counts_of(row, one) : "";
    if (!one.one->variant.empty()) more += fmt::format(R"("variant":"{}",)", one.one->variant);
    records.push_back(record_of(row, one.one->who, one.setup.mode, more, one.cycles));
  }
  return records;
}

// The same work by one thread and by two.
std::vector<std::string> measure_threads(unsigned long runs) {
  struct Threaded {
    std::string_view who;
    std::unique_ptr<ThreadedWorkload> (*make)(const Setup& setup);
    BurstMode mode;
    std::vector<double> cycles{};
  };
  std::vector<std::string> records;
  for (std::uint16_t threads = 1; threads <= two_cores().size(); ++threads) {
    std::vector<Threaded> contenders{{kPollux, &forward_on_threads, best_of(BurstMode::best)}};
#if defined(POLLUX_BENCH_DPDK)
    contenders.push_back({kDpdkPackaged, &dpdk_packaged_on_threads, BurstMode::scalar});
    contenders.push_back({kDpdkNative, &dpdk_native_on_threads, BurstMode::scalar});
#endif
    const Row row{"forward_threads", 32, false, false, "", kThreads, threads};
    for (unsigned long run = 0; run < runs; ++run) {
      for (Threaded& one : contenders) {
        const Setup setup = setup_of(row, one.mode);
        one.cycles.push_back(cycles_on_threads(*one.make(setup), setup, two_cores().first(threads)));
      }
      std::rotate(contenders.begin(), contenders.begin() + 1, contenders.end());
    }
    for (const Threaded& one : contenders) records.push_back(record_of(row, one.who, one.mode, "", one.cycles));
  }
  return records;
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  using namespace pollux::bench;
  const unsigned long runs = argc >= 2 && argc <= 4 ? std::strtoul(argv[1], nullptr, 10) : 0;
  if (runs == 0) give_up("name the number of runs, and perhaps the only table or 'all', and 'uncounted'");
  const std::string_view table = argc >= 3 && argv[2] != std::string_view("all") ? argv[2] : "";
  const bool counted = argc < 4;
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
    if (!table.empty() && row.table != table) continue;
    fmt::print(stderr, "[{} burst {} queues {} of {} {}]\n", row.name, row.burst, row.queues, row.ring,
               row.cold ? "cold" : "warm");
    for (std::string& record : measure(row, runs, counted)) records.push_back(std::move(record));
  }
  const bool threaded = table.empty() || table == kThreads;
  if (threaded && two_cores().size() < 2) fmt::print(stderr, "LEFT OUT: two threads, since there is one processor\n");
  for (std::string& record : threaded ? measure_threads(runs) : std::vector<std::string>())
    records.push_back(std::move(record));
  fmt::print(
      "{{\"context\":{{\"processor\":\"{}\",\"time stamp counter\":\"{:.3f} GHz\",\"compiler\":\"{}\",\"free huge "
      "pages\":\"{}\",\"dpdk\":\"{}\"}},\n\"records\":[\n{}\n]}}\n",
      processor(), cycles_per_second() / 1e9, kCompiler, pages, dpdk, fmt::join(records, ",\n"));
  return 0;
}
