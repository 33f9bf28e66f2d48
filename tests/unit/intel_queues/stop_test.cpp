// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "unit/intel_queues/queue_lab.hpp"

namespace pollux::test {
namespace {

namespace rx = hw::intel::rx;

constexpr int kStops = 200;
constexpr int kAtLeast = 20;  // on a busy machine, where each hand-over costs a time slice

/// Polls both queues and works with the cache all the time, as a thread with queues of several ports does.
class Poller {
 public:
  explicit Poller(QueueLab& lab) : lab_(lab), thread_([this] { run(); }) {}
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
      static_cast<void>(lab_.rx.rx_burst(burst, 5));
      static_cast<void>(lab_.tx.tx_burst(burst));
      static_cast<void>(lab_.tx.tx_done_cleanup());
      burst.drop(left, *lab_.cache_handle);
      if (burst.fill(*lab_.cache_handle, 40)) burst.drop(left, *lab_.cache_handle);
    }
  }

  QueueLab& lab_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

TEST(StoppingWhilePolled, CountsEveryFrameAndBringsEveryBufferHome) {
  QueueLab lab({.rx_ring = 64, .tx_ring = 32, .cache = 64, .pool = {.count = 600}});
  SteadyClock clock;
  const std::vector<std::uint8_t> bytes(60, 0x11);
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::optional<Poller> poller(std::in_place, lab);
  const Duration enough = clock.now() + std::chrono::seconds(3);
  for (int round = 0; round < kStops && (round < kAtLeast || clock.now() < enough); ++round) {
    ASSERT_TRUE(lab.rx.fill());
    lab.receiver->start();
    lab.tx.clear();
    lab.transmitter->start();
    lab.rdt.doorbell().ring(lab.rx.first_tail());
    lab.receiver->look();
    for (; lab.receiver->owned() != 0; ++received) {
      lab.receiver->write_back(bytes, {0, rx::kDone | rx::kEndOfPacket | std::uint64_t{60} << rx::kLengthShift});
    }
    lab.rx.open();
    lab.tx.open();
    if (round % 4 != 0) std::this_thread::sleep_for(std::chrono::microseconds(50 * (round % 8)));
    ASSERT_TRUE(lab.rx.close(clock, std::chrono::seconds(30)));
    ASSERT_TRUE(lab.tx.close(clock, std::chrono::seconds(30)));
    const std::uint64_t taken = lab.tx.packets() - lab.tx.drops().stopped - sent;
    for (std::uint64_t i = 0; i < taken; ++i) lab.transmitter->expect(bytes);
    lab.transmitter->look();
    lab.transmitter->process(round % 3 == 0 ? 32 : 3);
    static_cast<void>(lab.tx.settle());
    lab.drain();
    lab.transmitter->stop();
    lab.receiver->stop();
    sent = lab.transmitter->reported();
    ASSERT_EQ(received, lab.rx.packets() + lab.rx.drops().stopped + lab.rx.drops().pool_empty);
    ASSERT_EQ(lab.tx.packets(), sent + lab.tx.drops().stopped);
    ASSERT_EQ(lab.complaints(), "");
  }
  EXPECT_GT(lab.rx.packets(), 0u);
  poller.reset();  // with what was in its hands
  EXPECT_EQ(lab.in_use(), 0u);
}

}  // namespace
}  // namespace pollux::test
