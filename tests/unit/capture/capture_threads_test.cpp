// SPDX-License-Identifier: BSD-3-Clause
// Captures that one thread reads while others poll the queues.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "base/file_descriptor.hpp"
#include "observe/capture/frame_tap.hpp"
#include "pcapng_reader.hpp"
#include "pollux/observe/capture.hpp"
#include "pollux/open.hpp"
#include "support/fixture.hpp"
#include "support/sanitized.hpp"

namespace pollux {
namespace {

using test::counting_frame;
using testing::HasSubstr;

constexpr std::uint32_t kFrames = 50'000;

TEST(FrameRingThreads, TheReaderGetsWhatWasPublishedWholeAndInOrder) {
  observe::FrameRing ring(1 << 14);
  std::thread producer([&ring] {
    for (std::uint32_t i = 0; i < kFrames;) {
      const std::uint32_t bytes = 8 + i * 37 % 900;
      observe::FrameRecord* const record = ring.stage(bytes);
      if (record == nullptr) {
        std::this_thread::yield();
        continue;
      }
      record->index = 0;
      std::memset(record->data(), static_cast<int>(i & 0xFF), bytes);
      std::memcpy(record->data(), &i, sizeof i);
      ring.publish(1, [](const observe::FrameRecord&) {});
      ++i;
    }
  });
  for (std::uint32_t i = 0; i < kFrames;) {
    const observe::FrameRecord* const record = ring.front();
    if (record == nullptr) {
      std::this_thread::yield();
      continue;
    }
    std::uint32_t number = 0;
    std::memcpy(&number, record->data(), sizeof number);
    ASSERT_EQ(number, i);
    ASSERT_EQ(record->captured, 8 + i * 37 % 900);
    ASSERT_EQ(record->data()[record->captured - 1], i & 0xFF);
    ring.pop();
    ring.release();
    ++i;
  }
  producer.join();
}

/// Two connected ports, one of which a thread of its own polls, and which returns frames to the other one.
struct CaptureThreads : testing::Test {
  Context context{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Result<Mempool> pool = Mempool::create(context, {.count = 4096});
  std::optional<Port> left;
  std::optional<Port> right;
  std::atomic<bool> running{true};
  std::atomic<std::uint64_t> returned{0};
  std::uint64_t circulated = 0;      // by all calls of circulate(), which one thread makes
  std::atomic<bool> refused{false};  // the transmit queue did not take a whole burst, although it has room
  std::thread poller;
  FileDescriptor reader;

  void SetUp() override {
    ASSERT_TRUE(pool);
    for (auto* const port : {&left, &right}) {
      auto opened = open(context, port == &left ? "ring:capture:0" : "ring:capture:1", {.rx = {{.pool = *pool}}});
      ASSERT_TRUE(opened) << opened.error().message();
      port->emplace(*std::move(opened));
    }
    poller = std::thread([this] {
      Burst<32> burst;
      while (running.load(std::memory_order_relaxed)) {
        right->rx(0).rx_burst(burst);
        returned.fetch_add(right->tx(0).tx_burst(burst), std::memory_order_relaxed);
        if (!burst.empty()) refused = true;
      }
      while (!burst.empty()) static_cast<void>(burst.pop());
    });
  }
  void TearDown() override {
    running = false;
    if (poller.joinable()) poller.join();
  }

  FileDescriptor connect() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    reader = FileDescriptor(ends[0]);
    return FileDescriptor(ends[1]);
  }
  std::unique_ptr<CaptureThread> start(const CaptureOptions& options, FileDescriptor to) {
    auto capture = Capture::start(*right, options);
    EXPECT_TRUE(capture) << capture.error().message();
    if (!capture) return nullptr;
    auto thread = CaptureThread::start(*std::move(capture), ::dup(to.get()));
    EXPECT_TRUE(thread) << thread.error().message();
    return thread ? *std::move(thread) : nullptr;
  }
  /// Lets `count` frames circulate until `frames` have come back, and the poller has counted them: it does so after it
  /// sent them, so they may be here before.
  void circulate(std::uint64_t frames, std::uint32_t count) {
    MempoolCache cache(*pool);
    DropCounter done("done");
    Burst<32> burst;
    std::uint64_t sent = 0;
    for (std::uint64_t back = 0; back < frames;) {
      while (burst.size() < 32 && sent - back < count && sent < frames) {
        MbufPtr mbuf = cache.allocate();
        ASSERT_NE(mbuf, nullptr);
        const test::Frame frame = counting_frame(60, static_cast<unsigned>(sent));
        std::memcpy(mbuf->append(60), frame.data(), frame.size());
        ASSERT_TRUE(burst.push(mbuf));
        ++sent;
      }
      left->tx(0).tx_burst(burst);
      Burst<32> received;
      back += left->rx(0).rx_burst(received);
      received.drop(done, cache);
    }
    circulated += frames;
    while (returned < circulated) std::this_thread::yield();
  }
  std::vector<std::byte> read_all() {
    std::vector<std::byte> all;
    std::array<std::byte, 65536> chunk;
    while (true) {
      const ssize_t count = ::read(reader.get(), chunk.data(), chunk.size());
      if (count <= 0) return all;
      all.insert(all.end(), chunk.begin(), chunk.begin() + count);
    }
  }
};

TEST_F(CaptureThreads, AtFullRateEveryFrameIsCapturedOrCountedAndNoneIsLostByTheProgram) {
  // With sanitizers the reader could not take what is left of more in the time that a capture has for its end.
  constexpr std::uint64_t kCount = test::kSanitized ? 5'000 : 50'000;
  auto thread = start({.name = "plx0"}, connect());
  ASSERT_NE(thread, nullptr);
  std::vector<std::byte> bytes;
  std::thread consumer([&] { bytes = read_all(); });
  circulate(kCount, 256);
  EXPECT_EQ(returned, kCount);
  ASSERT_EQ(::shutdown(reader.get(), SHUT_WR), 0);
  consumer.join();
  const auto file = test::read_pcapng(bytes);
  for (const char* const name : {"plx0/rx0", "plx0/tx0"}) {
    const auto& statistics = file.statistics_of(name);
    const std::uint64_t captured = file.of(name).size();
    EXPECT_EQ(statistics.number(4), kCount) << name;
    EXPECT_EQ(statistics.number(8), captured) << name;
    EXPECT_EQ(captured + *statistics.number(7), kCount) << name;
    EXPECT_GT(captured, 0U) << name;
  }
}

TEST_F(CaptureThreads, AReaderThatTakesNothingDoesNotHoldTheProgramUp) {
  constexpr std::uint64_t kCount = 50'000;
  auto thread = start({.snaplen = 64, .ring_bytes = 1 << 16, .name = "plx0"}, connect());
  ASSERT_NE(thread, nullptr);
  circulate(kCount, 256);
  EXPECT_EQ(returned, kCount);
  EXPECT_TRUE(thread->is_running());
  reader = FileDescriptor();
  while (thread->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(thread->result()) << "a reader may leave";
  circulate(1000, 64);
}

TEST_F(CaptureThreads, CapturesMayComeAndGoWhileFramesAreForwarded) {
  std::jthread sender([this](const std::stop_token& end) {
    while (!end.stop_requested()) circulate(1000, 64);
  });
  std::uint64_t captured = 0;
  for (int i = 0; i < 30; ++i) {
    auto thread = start({.snaplen = 64, .ring_bytes = 1 << 16, .name = "plx0"}, connect());
    ASSERT_NE(thread, nullptr);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ASSERT_EQ(::shutdown(reader.get(), SHUT_WR), 0);
    captured += test::read_pcapng(read_all()).packets.size();
  }
  sender.request_stop();
  sender.join();
  EXPECT_FALSE(refused) << "a program that does not try again loses frames";
  EXPECT_GT(captured, 0U);
}

TEST_F(CaptureThreads, AFullDiskEndsTheCaptureWithAnError) {
  auto thread = start({}, FileDescriptor(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  ASSERT_NE(thread, nullptr);
  while (thread->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_FALSE(thread->result());
  EXPECT_THAT(thread->result().error().message(), HasSubstr("No space left on device"));
  circulate(1000, 64);
}

TEST_F(CaptureThreads, AClosedPortEndsTheCaptureWithACompleteFile) {
  auto thread = start({.name = "plx0"}, connect());
  ASSERT_NE(thread, nullptr);
  circulate(1000, 64);
  running = false;
  poller.join();
  right.reset();
  const auto file = test::read_pcapng(read_all());
  EXPECT_EQ(file.of("plx0/rx0").size(), 1000U);
  EXPECT_EQ(file.of("plx0/tx0").size(), 1000U);
  EXPECT_EQ(file.statistics.size(), 2U);
}

TEST(DropCaptureThreads, SeveralThreadsDropUnderOneCapture) {
  test::CardFixture fixture;
  DropCounter first("first");
  DropCounter second("second");
  auto capture = Capture::start(fixture.port, {.receive = false, .transmit = false, .drops = {&first, &second}});
  ASSERT_TRUE(capture);
  constexpr int kRounds = 20'000;
  const std::uint16_t port = fixture.port.info().index;
  const auto drop = [&](DropCounter& reason) {
    MempoolCache cache(fixture.pool);
    for (int i = 0; i < kRounds; ++i) {
      MbufPtr mbuf = cache.allocate();
      ASSERT_NE(mbuf, nullptr);
      ASSERT_NE(mbuf->append(60), nullptr);
      MbufAccess::set_port(*mbuf, port);
      Burst<1> burst;
      ASSERT_TRUE(burst.push(mbuf));
      burst.drop(reason, cache);
    }
  };
  std::thread one([&] { drop(first); });
  std::thread two([&] { drop(second); });
  std::vector<std::byte> bytes;
  for (int i = 0; i < 50; ++i) {
    (*capture)->drain(bytes, SIZE_MAX);
    std::this_thread::yield();
  }
  one.join();
  two.join();
  ASSERT_TRUE((*capture)->stop());
  // What a thread did not capture is noticed with the next drop.
  (*capture)->drain(bytes, SIZE_MAX);
  (*capture)->finish(bytes);
  const auto file = test::read_pcapng(bytes);
  const auto& statistics = file.statistics.front();
  EXPECT_EQ(statistics.number(8), file.packets.size());
  EXPECT_EQ(*statistics.number(7) + *statistics.number(8), 2U * kRounds);
}

}  // namespace
}  // namespace pollux
