// SPDX-License-Identifier: BSD-3-Clause
// A capture that is written to a descriptor: slow and closed readers, a full disk.
#include "observe/capture/capture_stream.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <vector>

#include "pcapng_reader.hpp"
#include "pollux/observe/capture_thread.hpp"
#include "support/fixture.hpp"

namespace pollux {
namespace {

using observe::CaptureStream;
using test::CardFixture;
using test::counting_frame;
using testing::HasSubstr;

struct CaptureStreamTest : testing::Test {
  CardFixture fixture;
  FileDescriptor reader;

  /// One end of a new pair of sockets; `reader` is the other one.
  FileDescriptor connect() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    reader = FileDescriptor(ends[0]);
    return FileDescriptor(ends[1]);
  }
  std::unique_ptr<Capture> start(const CaptureOptions& options = {}) {
    auto capture = Capture::start(fixture.port, options);
    EXPECT_TRUE(capture) << capture.error().message();
    return *std::move(capture);
  }
  /// Receives `count` frames of 1,500 bytes.
  void receive(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      fixture.inject(counting_frame(1500, i));
      EXPECT_EQ(fixture.receive_all().size(), 1U);
    }
  }
  /// What the reader gets without waiting.
  std::vector<std::byte> read_available() {
    std::vector<std::byte> all;
    std::array<std::byte, 65536> chunk;
    while (true) {
      const ssize_t count = ::recv(reader.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (count <= 0) return all;
      all.insert(all.end(), chunk.begin(), chunk.begin() + count);
    }
  }
};

TEST_F(CaptureStreamTest, WritesAWholeFile) {
  CaptureStream stream(start(), connect());
  receive(3);
  EXPECT_EQ(stream.run(), CaptureStream::State::idle);
  receive(2);
  ASSERT_TRUE(stream.finish(std::chrono::seconds(1)));
  const auto file = test::read_pcapng(read_available());
  EXPECT_EQ(file.packets.size(), 5U);
  EXPECT_EQ(file.statistics.size(), 2U);
}

TEST_F(CaptureStreamTest, ASlowReaderCostsCountedFramesAndNoMemory) {
  CaptureStream stream(start({.snaplen = 2048, .ring_bytes = 1 << 16}), connect());
  // The socket and the buffer take less than 2 MiB, the ring 42 of these frames.
  bool blocked = false;
  for (int i = 0; i < 2000; ++i) {
    receive(1);
    const auto state = stream.run();
    ASSERT_TRUE(state);
    blocked = blocked || *state == CaptureStream::State::blocked;
  }
  EXPECT_TRUE(blocked);
  const CaptureCounts counts = stream.capture().counts();
  EXPECT_EQ(counts.seen, 2000U);
  EXPECT_GT(counts.lost, 0U);
  EXPECT_EQ(counts.captured + counts.lost, 2000U);
  std::vector<std::byte> all = read_available();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(stream.run());
    const auto more = read_available();
    all.insert(all.end(), more.begin(), more.end());
  }
  receive(1);
  ASSERT_TRUE(stream.finish(std::chrono::seconds(1)));
  const auto more = read_available();
  all.insert(all.end(), more.begin(), more.end());
  const auto file = test::read_pcapng(all);
  EXPECT_EQ(file.packets.size(), counts.captured + 1);
  std::uint64_t lost = 0;
  for (const auto& packet : file.packets) lost += packet.lost();
  EXPECT_EQ(lost, counts.lost);
}

TEST_F(CaptureStreamTest, AReaderThatTakesNothingEndsInATimeout) {
  CaptureStream stream(start(), connect());
  receive(1000);
  const auto finished = stream.finish(Duration(0));
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, ErrorCode::timeout);
}

TEST_F(CaptureStreamTest, AClosedReaderIsNoError) {
  CaptureStream stream(start(), connect());
  reader = FileDescriptor();
  EXPECT_EQ(stream.run(), CaptureStream::State::closed);
  EXPECT_TRUE(stream.finish(std::chrono::seconds(1)));
}

TEST_F(CaptureStreamTest, AFullDiskIsAnErrorThatSaysSo) {
  CaptureStream stream(start(), FileDescriptor(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  const auto written = stream.run();
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::io_error);
  EXPECT_THAT(written.error().message(), HasSubstr("No space left on device"));
  EXPECT_THAT(written.error().hint, HasSubstr("free some space"));
}

}  // namespace
}  // namespace pollux
