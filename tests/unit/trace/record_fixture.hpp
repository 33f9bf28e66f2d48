// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "open/registry.hpp"
#include "pollux/device/record.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"
#include "support/card_layout.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {

/// A Context with a pool, a cache and its log.
struct ContextFixture {
  explicit ContextFixture(std::shared_ptr<Clock> time = std::make_shared<ManualClock>()) : clock(std::move(time)) {}

  std::shared_ptr<Clock> clock;
  std::string log;
  Context context{{.clock = clock,
                   .log = [this](LogLevel, std::string_view line) { log += std::string(line) + "\n"; },
                   .huge_pages = HugePages::never,
                   .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 600, .data_room = 1024}).value();
  MempoolCache cache{pool};
  Mempool headers = Mempool::create(context, {.count = 200, .data_room = 256}).value();
  bool splits = false;  // received frames have their headers in mbufs of their own

  [[nodiscard]] Settings config() {
    return {.rx = {{.pool = pool, .cache = cache, .ring = 64, .header_pool = splits ? headers : Mempool()}},
            .tx = {{.cache = cache, .ring = 64}}};
  }
};

/// What an application received from a port, and the port's counters.
struct Observation {
  std::vector<Frame> frames;
  std::size_t split = 0;                                       // of several mbufs
  std::vector<std::pair<std::uint64_t, std::uint64_t>> words;  // raw receive words of each frame
  std::vector<std::pair<std::string, std::uint64_t>> counters;
  std::string stop_error;  // empty if stop() succeeded
};

/// An application that behaves the same in each run: it polls, sends some frames back and sometimes reads statistics.
class Application {
 public:
  Application(ContextFixture& fixture, Port& port) : fixture_(fixture), port_(port) {}

  void round() {
    for (auto polls = random_() % 3; polls-- != 0;) {
      Burst<32> burst;
      port_.rx(0).rx_burst(burst, static_cast<std::uint32_t>(random_() % 33));
      for (Mbuf& mbuf : burst) {
        observed_.frames.push_back(content(mbuf));
        observed_.split += mbuf.segments() > 1 ? 1U : 0U;
        observed_.words.emplace_back(mbuf.rx_word(0), mbuf.rx_word(1));
      }
      if (random_() % 2 == 0) port_.tx(0).tx_burst(burst);
      burst.drop(dropped_, fixture_.cache);
    }
    if (random_() % 16 == 0) static_cast<void>(port_.service());
    if (random_() % 16 == 0) port_.tx(0).tx_done_cleanup();
    fixture_.clock->sleep_for(std::chrono::microseconds(50));
  }
  Observation finish() {
    const auto stopped = port_.stop();
    observed_.stop_error = stopped ? "" : stopped.error().what;
    const Stats stats = port_.stats();
    for (const Counter& counter : stats.drops) observed_.counters.emplace_back(counter.name, counter.value);
    for (const Counter& counter : port_.extended_stats()) observed_.counters.emplace_back(counter.name, counter.value);
    static_cast<void>(port_.close());
    return std::move(observed_);
  }

 private:
  ContextFixture& fixture_;
  Port& port_;
  std::mt19937 random_{7};
  DropCounter dropped_{"received"};
  Observation observed_;
};

inline constexpr int kRounds = 400;
using WrapDevice = std::function<std::unique_ptr<Device>(Context&, std::unique_ptr<Device>)>;

inline void start(ContextFixture& fixture, Port& port) {
  ASSERT_TRUE(configure_port(port, fixture.config()));
  ASSERT_TRUE(port.start());
  ASSERT_TRUE(port.wait_for_link(std::chrono::seconds(20)));
}

/// A recording session with two cards that are connected to each other.
struct RecordOptions {
  std::string recorded = "sim:0";  ///< the recorded card
  std::string link_partner = "sim:1";
  std::shared_ptr<Clock> clock = std::make_shared<ManualClock>();
  WrapDevice wrap = nullptr;  ///< if set, wraps the recorded card below the recorder
  bool splits = false;        ///< ContextFixture::splits, and frames are UDP
  std::function<void(Port&)> before_round = nullptr;
};

class RecordTest : public testing::Test {
 protected:
  ~RecordTest() override { std::remove(file_.c_str()); }

  /// Records a run with random traffic from the link partner.
  Observation record(const RecordOptions& options = {}) {
    ContextFixture fixture(options.clock);
    fixture.splits = splits_ = options.splits;
    std::unique_ptr<Device> inner = open_device(fixture.context, options.recorded).value();
    if (options.wrap) inner = options.wrap(fixture.context, std::move(inner));
    const CardLayout& layout = *find_card_layout(inner->identity());
    auto port =
        open_unconfigured(fixture.context, record_device(fixture.context, file_, layout, std::move(inner)).value());
    EXPECT_TRUE(port) << port.error().message();
    auto link_partner = open_unconfigured(fixture.context, options.link_partner);
    EXPECT_TRUE(link_partner) << link_partner.error().message();
    start(fixture, *link_partner);
    start(fixture, *port);
    Application application(fixture, *port);
    std::mt19937 random(3);
    DropCounter dropped("answers");
    for (int i = 0; i < kRounds; ++i) {
      send_some(fixture, *link_partner, random);
      Burst<32> back;
      link_partner->rx(0).rx_burst(back);
      answers_ += back.size();
      back.drop(dropped, fixture.cache);
      if (options.before_round) options.before_round(*port);
      application.round();
    }
    return application.finish();
  }

  /// Runs the same application on a replay of the file. Calls `deviate`, if set, in the middle of the run, and `go_on`
  /// behind it.
  Observation replay(const std::function<void(Port&)>& deviate = nullptr,
                     const std::function<void(ContextFixture&, Port&)>& go_on = nullptr) {
    ContextFixture fixture;
    fixture.splits = splits_;
    progress_ = std::make_shared<ReplayProgress>();
    auto device = replay_device(fixture.context, file_, find_card_layout, progress_);
    EXPECT_TRUE(device) << device.error().message();
    auto port = open_unconfigured(fixture.context, *std::move(device));
    EXPECT_TRUE(port) << port.error().message();
    start(fixture, *port);
    Application application(fixture, *port);
    for (int i = 0; i < kRounds; ++i) {
      if (i == kRounds / 2 && deviate) deviate(*port);
      application.round();
    }
    if (go_on) go_on(fixture, *port);
    Observation observed = application.finish();
    log_ = fixture.log;
    return observed;
  }

  static void send_some(ContextFixture& fixture, Port& link_partner, std::mt19937& random) {
    Burst<32> burst;
    for (auto frames = random() % 8; frames-- != 0;) {
      MbufPtr mbuf = fixture.cache.allocate();
      if (mbuf == nullptr) continue;
      const auto bytes = static_cast<std::uint32_t>(60 + random() % 900);
      std::uint8_t* const data = mbuf->append(bytes);
      for (std::uint32_t i = 0; i < bytes; ++i) data[i] = static_cast<std::uint8_t>(random());
      std::fill_n(data, 6, std::uint8_t{0xFF});
      if (fixture.splits) {  // UDP over IPv4, no fragment
        data[12] = 8;
        data[14] = 0x45;
        data[13] = data[20] = data[21] = 0;
        data[23] = 17;
        data[16] = static_cast<std::uint8_t>((bytes - 14) >> 8);
        data[17] = static_cast<std::uint8_t>(bytes - 14);
      }
      MbufPtr more = random() % 4 == 0 ? fixture.cache.allocate() : MbufPtr();
      if (more != nullptr) {
        std::fill_n(more->append(400), 400, static_cast<std::uint8_t>(random()));
        EXPECT_TRUE(mbuf->chain(more));
      }
      EXPECT_TRUE(burst.push(mbuf));
    }
    link_partner.tx(0).tx_burst(burst);
    DropCounter no_room("no room");
    burst.drop(no_room, fixture.cache);
  }

  const std::string file_ = fmt::format("{}pollux-record-test-{}.rec", testing::TempDir(), ::getpid());
  bool splits_ = false;
  std::uint64_t answers_ = 0;
  std::shared_ptr<ReplayProgress> progress_;
  std::string log_;
};

}  // namespace pollux::test
