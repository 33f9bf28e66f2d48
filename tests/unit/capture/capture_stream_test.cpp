// SPDX-License-Identifier: BSD-3-Clause
// A capture that is written to a descriptor: slow and closed readers, a full disk.
#include "observe/capture/capture_stream.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "pcapng_reader.hpp"
#include "pollux/observe/capture.hpp"
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
  ASSERT_TRUE(stream.finish(Duration(std::chrono::seconds(1))));
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
  ASSERT_TRUE(stream.finish(Duration(std::chrono::seconds(1))));
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

TEST_F(CaptureStreamTest, AReaderThatTakesItAllSlowlyGetsAWholeFile) {
  CaptureStream stream(start({.ring_bytes = std::size_t{16} << 20}), connect());
  receive(4000);
  std::vector<std::byte> all;
  std::thread slow([&] {
    std::array<std::byte, 65536> chunk;
    for (ssize_t count = 1; count > 0; all.insert(all.end(), chunk.begin(), chunk.begin() + count)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      count = std::max<ssize_t>(::read(reader.get(), chunk.data(), chunk.size()), 0);
    }
  });
  // The six mebibytes take this reader about a second.
  const auto finished = stream.finish(Duration(std::chrono::milliseconds(600)));
  EXPECT_EQ(::shutdown(stream.descriptor(), SHUT_WR), 0);
  slow.join();
  ASSERT_TRUE(finished) << finished.error().message();
  EXPECT_EQ(test::read_pcapng(all).packets.size(), 4000U);
}

// Else frames that arrive faster than they are written would keep a thread from noticing that it is to end.
TEST_F(CaptureStreamTest, ReturnsAfterOneBufferAlthoughThereIsMore) {
  const FileDescriptor file(::memfd_create("capture", MFD_CLOEXEC));
  CaptureStream stream(start(), FileDescriptor(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0)));
  receive(1000);
  EXPECT_EQ(stream.run(), CaptureStream::State::more);
  EXPECT_EQ(stream.run(), CaptureStream::State::idle);
  receive(1000);
  ASSERT_TRUE(stream.finish(Duration(std::chrono::seconds(10))));
  std::vector<std::byte> bytes(std::size_t{8} << 20);
  const ssize_t count = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  ASSERT_GT(count, 0);
  bytes.resize(static_cast<std::size_t>(count));
  EXPECT_EQ(test::read_pcapng(bytes).packets.size(), 2000U);
}

TEST_F(CaptureStreamTest, AStalledReaderOfABlockingPipeDoesNotStopTheWriter) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  reader = FileDescriptor(ends[0]);
  CaptureStream stream(start(), FileDescriptor(ends[1]));
  receive(100);
  EXPECT_EQ(stream.run(), CaptureStream::State::blocked);
  EXPECT_EQ(::fcntl(stream.descriptor(), F_GETFL) & O_NONBLOCK, 0) << "other processes share the flags";
  const auto finished = stream.finish(Duration(std::chrono::milliseconds(50)));
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, ErrorCode::timeout);
}

TEST_F(CaptureStreamTest, AClosedReaderIsNoError) {
  CaptureStream stream(start(), connect());
  reader = FileDescriptor();
  EXPECT_EQ(stream.run(), CaptureStream::State::closed);
  EXPECT_TRUE(stream.finish(Duration(std::chrono::seconds(1))));
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
