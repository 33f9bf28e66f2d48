// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "bench/report.hpp"
#include "unit/rfc2544/fixture.hpp"

namespace pollux::tool::bench {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TableOptions quick(std::vector<std::uint32_t> sizes) {
  TableOptions options = virtual_time_options();
  options.sizes = std::move(sizes);
  options.wait = milliseconds(5);
  return options;
}

Report measure(const std::string& device, const TableOptions& options, const std::string& sending = "sim:0") {
  BenchFixture bench(device, sending);
  auto table = measure_table(*bench.bed, *bench.runner, options, {});
  EXPECT_TRUE(table);
  return {sending, "sim:1", device, true, bench.bed->line_rate(), options, *std::move(table)};
}

TEST(Table, FramesPerSecondAreThoseOfRfc2544) {
  // RFC 2544 names no gigabit; these are ten times the maximum rates of 100 Mbit/s Ethernet.
  constexpr std::uint64_t kGigabit = 1'000'000'000;
  EXPECT_EQ(frames_per_second(kGigabit, 64, kFullLoad), 1'488'095U);
  EXPECT_EQ(frames_per_second(kGigabit, 512, kFullLoad), 234'962U);
  EXPECT_EQ(frames_per_second(kGigabit, 1518, kFullLoad), 81'274U);
  EXPECT_EQ(frames_per_second(kGigabit, 64, kFullLoad / 10), 148'809U);
  EXPECT_EQ(frames_in(std::chrono::seconds(60), kGigabit, 64, kFullLoad), 89'285'714U);
  EXPECT_EQ(frames_in(Duration(1), kGigabit, 64, 1), 1U);
}

TEST(Table, AWireForwardsAtTheLineRate) {
  const Report report = measure("wire", quick({64, 1518}));
  for (const SizeResult& result : report.table) {
    EXPECT_EQ(result.throughput->load, kFullLoad);
    EXPECT_FALSE(result.contradicted());
    EXPECT_EQ(result.frame_loss.size(), 2U);
    EXPECT_EQ(mean_burst(result), result.burst_limit);
    EXPECT_EQ(result.latency_lost, 0U);
  }
}

// The capacity of 600,000 frames a second is 40.32 % of the line rate for 64 bytes, and above the line rate for 256.
TEST(Table, AForwardersCapacityIsFoundWithinTheResolution) {
  const Report report = measure("forward?rate=600kpps,queue=4", quick({64, 256}));
  const SizeResult& small = report.table[0];
  const std::uint64_t frames = frames_per_second(report.line_rate, 64, small.throughput->load);
  EXPECT_LE(frames, 600'000U + 1'500U);
  EXPECT_GE(frames, 600'000U - 1'500U);
  EXPECT_FALSE(small.throughput->sender_limited());
  EXPECT_EQ(report.table[1].throughput->load, kFullLoad);

  // At the line rate, 1,488,095 frames a second arrive.
  const double loss = loss_percent(small.frame_loss.front().counts);
  EXPECT_NEAR(loss, 100 * (1 - 600'000 / 1'488'095.0), 0.1);
  EXPECT_EQ(small.frame_loss.back().load, 300'000U);
  EXPECT_EQ(small.frame_loss.back().counts.lost(), 0U);
  // A queue of 4 frames is full once the sender is 4 frames ahead of what is forwarded.
  EXPECT_GE(mean_burst(small), 5U);
  EXPECT_LE(mean_burst(small), 9U);
}

TEST(Table, ADeviceThatLosesFramesAtAnyLoadHasNoThroughputAndNoLatency) {
  TableOptions options = quick({512});
  const Report report = measure("forward?loss=5%", options);
  const SizeResult& result = report.table.front();
  EXPECT_FALSE(result.latency && result.throughput->load > 10'000);
  EXPECT_EQ(result.frame_loss.size(), 10U);
  for (const LoadTrial& trial : result.frame_loss) EXPECT_NEAR(loss_percent(trial.counts), 5, 3);
}

TEST(Table, TwoMeasurementsPrintTheSame) {
  TableOptions options = quick({64, 128});
  options.duration = options.latency_duration = options.burst_duration = milliseconds(4);
  const char* const device = "forward?rate=900kpps,queue=16,loss=0.01%";
  const Report first = measure(device, options, "sim:0?jitter=2us,seed=3");
  const Report second = measure(device, options, "sim:0?jitter=2us,seed=3");
  EXPECT_EQ(to_text(first), to_text(second));
  EXPECT_EQ(to_json(first).dump(), to_json(second).dump());
}

TEST(Table, TheReportSaysWhatWasMeasuredAndHow) {
  const Report report = measure("wire", quick({64}));
  const std::string text = to_text(report);
  EXPECT_THAT(text, HasSubstr("RFC 2544 from sim:0 through wire to sim:1"));
  EXPECT_THAT(text, HasSubstr("virtual time"));
  EXPECT_THAT(text, HasSubstr("trials of 20 ms (RFC 2544 asks for 60 s)"));
  EXPECT_THAT(text, HasSubstr("1488095"));
  const auto json = to_json(report);
  EXPECT_EQ(json["time"], "virtual");
  EXPECT_EQ(json["sizes"][0]["throughput"]["frames_per_second"], 1'488'095);
  EXPECT_EQ(json["sizes"][0]["latency"]["p99.9_ns"], 672);
}

TEST(Table, OnlyTheRequestedTestsAreMade) {
  TableOptions options = quick({64});
  options.throughput = options.latency = options.back_to_back = false;
  const Report report = measure("wire", options);
  EXPECT_FALSE(report.table.front().throughput);
  EXPECT_TRUE(report.table.front().bursts.empty());
  EXPECT_FALSE(to_json(report)["sizes"][0].contains("throughput"));
  EXPECT_EQ(to_text(report).find("Throughput"), std::string::npos);
}

}  // namespace
}  // namespace pollux::tool::bench
