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

#include "open/built_in.hpp"
#include "open/uri_schemes.hpp"
#include "pollux/device/record.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"
#include "support/fixture.hpp"

namespace pollux::test {

/// A Context, a pool and what was logged.
struct Place {
  explicit Place(std::shared_ptr<Clock> time = std::make_shared<ManualClock>()) : clock(std::move(time)) {}

  std::shared_ptr<Clock> clock;
  std::string log;
  Context context{{.clock = clock,
                   .log = [this](LogLevel, std::string_view line) { log += std::string(line) + "\n"; },
                   .huge_pages = HugePages::never,
                   .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 600, .data_room = 1024}).value();
  MempoolCache cache{pool};

  [[nodiscard]] PortConfig config() { return {.rx_pool = &pool, .cache = &cache, .rx_ring = 64, .tx_ring = 64}; }
};

/// What an application saw of a port.
struct Seen {
  std::vector<Frame> frames;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> words;  // of each frame
  std::vector<std::pair<std::string, std::uint64_t>> counters;
  std::string stopped;  // how stop() ended
};

/// An application that does the same each time: polls, answers some frames, asks for statistics now and then.
class Application {
 public:
  Application(Place& place, Port& port) : place_(place), port_(port) {}

  void round() {
    for (auto polls = random_() % 3; polls-- != 0;) {
      Burst<32> burst;
      port_.rx(0).rx_burst(burst, static_cast<std::uint32_t>(random_() % 33));
      for (Mbuf& mbuf : burst) {
        seen_.frames.push_back(content(mbuf));
        seen_.words.emplace_back(mbuf.rx_word(0), mbuf.rx_word(1));
      }
      if (random_() % 2 == 0) port_.tx(0).tx_burst(burst);
      burst.drop(dropped_, place_.cache);
    }
    if (random_() % 16 == 0) static_cast<void>(port_.service());
    if (random_() % 16 == 0) port_.tx(0).tx_done_cleanup();
    place_.clock->sleep_for(std::chrono::microseconds(50));
  }
  Seen finish() {
    const auto stopped = port_.stop();
    seen_.stopped = stopped ? "" : stopped.error().what;
    const Stats stats = port_.stats();
    for (const Counter& counter : stats.drops) seen_.counters.emplace_back(counter.name, counter.value);
    for (const Counter& counter : port_.extended_stats()) seen_.counters.emplace_back(counter.name, counter.value);
    static_cast<void>(port_.close());
    return std::move(seen_);
  }

 private:
  Place& place_;
  Port& port_;
  std::mt19937 random_{7};
  DropCounter dropped_{"looked at"};
  Seen seen_;
};

inline constexpr int kRounds = 400;
using Around = std::function<std::unique_ptr<Device>(Context&, std::unique_ptr<Device>)>;

inline void start(Place& place, Port& port) {
  ASSERT_TRUE(port.configure(place.config()));
  ASSERT_TRUE(port.start());
  ASSERT_TRUE(port.wait_for_link(std::chrono::seconds(20)));
}

/// What is recorded: two cards that are wired to each other.
struct Wired {
  std::string near = "sim:0";  ///< the one that is recorded
  std::string far = "sim:1";
  std::shared_ptr<Clock> clock = std::make_shared<ManualClock>();
  Around around = nullptr;  ///< puts something between the recorder and the card
};

class RecordTest : public testing::Test {
 protected:
  ~RecordTest() override { std::remove(file_.c_str()); }

  /// Records a run with random traffic from the far card.
  Seen record(const Wired& wired = {}) {
    Place place(wired.clock);
    std::unique_ptr<Device> inner = open_device(place.context, wired.near).value();
    if (wired.around) inner = wired.around(place.context, std::move(inner));
    const CardLayout& layout = *find_card_layout(inner->identity());
    auto port = open_unconfigured(place.context, record_device(place.context, file_, layout, std::move(inner)).value());
    EXPECT_TRUE(port) << port.error().message();
    auto far = open_unconfigured(place.context, wired.far);
    EXPECT_TRUE(far) << far.error().message();
    start(place, *far);
    start(place, *port);
    Application application(place, *port);
    std::mt19937 random(3);
    DropCounter dropped("nobody waits for them");
    for (int i = 0; i < kRounds; ++i) {
      send_some(place, *far, random);
      Burst<32> back;
      far->rx(0).rx_burst(back);
      answers_ += back.size();
      back.drop(dropped, place.cache);
      application.round();
    }
    return application.finish();
  }

  /// Runs the same against the file.
  Seen replay(const std::function<void(Port&)>& otherwise = nullptr) {
    Place place;
    progress_ = std::make_shared<ReplayProgress>();
    auto device = replay_device(place.context, file_, find_card_layout, progress_);
    EXPECT_TRUE(device) << device.error().message();
    auto port = open_unconfigured(place.context, *std::move(device));
    EXPECT_TRUE(port) << port.error().message();
    start(place, *port);
    Application application(place, *port);
    for (int i = 0; i < kRounds; ++i) {
      if (i == kRounds / 2 && otherwise) otherwise(*port);
      application.round();
    }
    Seen seen = application.finish();
    log_ = place.log;
    return seen;
  }

  static void send_some(Place& place, Port& far, std::mt19937& random) {
    Burst<32> burst;
    for (auto frames = random() % 8; frames-- != 0;) {
      MbufPtr mbuf = place.cache.allocate();
      if (mbuf == nullptr) continue;
      const auto bytes = static_cast<std::uint32_t>(60 + random() % 900);
      std::uint8_t* const data = mbuf->append(bytes);
      for (std::uint32_t i = 0; i < bytes; ++i) data[i] = static_cast<std::uint8_t>(random());
      std::fill_n(data, 6, std::uint8_t{0xFF});
      MbufPtr more = random() % 4 == 0 ? place.cache.allocate() : MbufPtr();
      if (more != nullptr) {
        std::fill_n(more->append(400), 400, static_cast<std::uint8_t>(random()));
        EXPECT_TRUE(mbuf->chain(more));
      }
      EXPECT_TRUE(burst.push(mbuf));
    }
    far.tx(0).tx_burst(burst);
    DropCounter no_room("no room");
    burst.drop(no_room, place.cache);
  }

  const std::string file_ = fmt::format("{}pollux-record-test-{}.rec", testing::TempDir(), ::getpid());
  std::uint64_t answers_ = 0;
  std::shared_ptr<ReplayProgress> progress_;
  std::string log_;
};

}  // namespace pollux::test
