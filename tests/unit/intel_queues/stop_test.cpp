// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "unit/intel_queues/queue_fixture.hpp"

namespace pollux::test {
namespace {

namespace rx = hw::intel::rx;

constexpr int kStops = 200;
constexpr int kAtLeast = 20;  // on a busy machine, where each change of threads costs a time slice

/// Polls both queues and uses the cache all the time, as a thread with queues of several ports does.
class Poller {
 public:
  explicit Poller(QueueFixture& fixture) : fixture_(fixture), thread_([this] { run(); }) {}
  ~Poller() {
    over_ = true;
    thread_.join();
  }
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

 private:
  void run() {
    DropCounter left("left");
    while (!over_) {
      Burst<64> burst;
      static_cast<void>(fixture_.rx.rx_burst(burst, 5));
      static_cast<void>(fixture_.tx.tx_burst(burst));
      static_cast<void>(fixture_.tx.tx_done_cleanup());
      burst.drop(left, *fixture_.cache_handle);
      if (burst.fill(*fixture_.cache_handle, 40)) burst.drop(left, *fixture_.cache_handle);
    }
  }

  QueueFixture& fixture_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

TEST(StoppingWhilePolled, CountsEveryFrameAndFreesEveryBuffer) {
  QueueFixture fixture({.rx_ring = 64, .tx_ring = 32, .cache = 64, .pool = {.count = 600}});
  SteadyClock clock;
  const std::vector<std::uint8_t> bytes(60, 0x11);
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::optional<Poller> poller(std::in_place, fixture);
  const Duration enough = clock.now() + std::chrono::seconds(3);
  for (int round = 0; round < kStops && (round < kAtLeast || clock.now() < enough); ++round) {
    ASSERT_TRUE(fixture.rx.fill());
    fixture.receiver->start();
    fixture.tx.clear();
    fixture.transmitter->start();
    fixture.rdt.doorbell().ring(fixture.rx.first_tail());
    fixture.receiver->look();
    for (; fixture.receiver->owned() != 0; ++received) {
      fixture.receiver->write_back(bytes, {0, rx::kDone | rx::kEndOfPacket | std::uint64_t{60} << rx::kLengthShift});
    }
    fixture.rx.open();
    fixture.tx.open();
    if (round % 4 != 0) std::this_thread::sleep_for(std::chrono::microseconds(50 * (round % 8)));
    ASSERT_TRUE(fixture.rx.close(clock, std::chrono::seconds(30)));
    ASSERT_TRUE(fixture.tx.close(clock, std::chrono::seconds(30)));
    const std::uint64_t taken = fixture.tx.packets() - fixture.tx.drops().stopped - sent;
    for (std::uint64_t i = 0; i < taken; ++i) fixture.transmitter->expect(bytes);
    fixture.transmitter->look();
    fixture.transmitter->process(round % 3 == 0 ? 32 : 3);
    static_cast<void>(fixture.tx.reclaim_sent());
    fixture.drain();
    fixture.transmitter->stop();
    fixture.receiver->stop();
    sent = fixture.transmitter->reported();
    ASSERT_EQ(received, fixture.rx.packets() + fixture.rx.drops().stopped + fixture.rx.drops().pool_empty);
    ASSERT_EQ(fixture.tx.packets(), sent + fixture.tx.drops().stopped);
    ASSERT_EQ(fixture.errors(), "");
  }
  EXPECT_GT(fixture.rx.packets(), 0u);
  poller.reset();  // frees the mbufs that it held
  EXPECT_EQ(fixture.in_use(), 0u);
}

}  // namespace
}  // namespace pollux::test
