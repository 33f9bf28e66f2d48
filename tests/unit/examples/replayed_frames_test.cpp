// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/replayed_frames.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>

#include "pktgen/sender.hpp"
#include "support/capture_file.hpp"
#include "unit/examples/fixture.hpp"

namespace pollux::tools {
namespace {

using examples::Fixture;

using std::chrono::microseconds;
using testing::ElementsAre;
using testing::HasSubstr;

Result<std::vector<RecordedFrame>> read_content(const std::string& content, std::uint64_t most = kMostFrameMemory) {
  const std::string path = testing::TempDir() + "pktgen-" + std::to_string(getpid()) + ".pcap";
  std::ofstream(path, std::ios::binary) << content;
  auto frames = read_frames(path, most);
  std::filesystem::remove(path);
  return frames;
}

void put(std::string& content, const std::vector<std::uint32_t>& words) {
  for (const std::uint32_t word : words) content.append(reinterpret_cast<const char*>(&word), sizeof word);
}

/// Frames of a pcapng file (draft-ietf-opsawg-pcapng, 4), whose stamps are whole seconds of 64 bits.
Result<std::vector<RecordedFrame>> captured_at(const std::vector<std::uint64_t>& stamps) {
  std::string content;
  put(content, {0x0A0D0D0A, 28, 0x1A2B3C4D, 1, UINT32_MAX, UINT32_MAX, 28});
  put(content, {1, 32, 1, 0, 0x00010009, 0, 0, 32});  // the option is if_tsresol: 10^0
  for (const std::uint64_t stamp : stamps) {
    const auto high = static_cast<std::uint32_t>(stamp >> 32U);
    put(content, {6, 92, 0, high, static_cast<std::uint32_t>(stamp), 60, 60});
    content.append(60, 'x');
    put(content, {92});
  }
  return read_content(content);
}

/// A capture file in the classic format (draft-ietf-opsawg-pcap, 4 and 5), with stamps in microseconds.
class CaptureFile {
 public:
  explicit CaptureFile(std::uint32_t link_type = 1) { put(content_, {0xA1B2C3D4, 0x00040002, 0, 0, 65535, link_type}); }
  CaptureFile& frame(std::uint32_t stamp, std::uint32_t captured, std::uint32_t length) {
    put(content_, {1000 + stamp / 1'000'000, stamp % 1'000'000, captured, length});
    content_.append(captured, static_cast<char>('a' + frames_++));
    return *this;
  }
  CaptureFile& cut(std::size_t bytes) {
    content_.resize(content_.size() - bytes);
    return *this;
  }
  [[nodiscard]] Result<std::vector<RecordedFrame>> read(std::uint64_t most = kMostFrameMemory) const {
    return read_content(content_, most);
  }

 private:
  std::string content_;
  int frames_ = 0;
};

TEST(FrameFile, HasFramesWithTheirTimes) {
  const auto frames = CaptureFile().frame(5, 60, 60).frame(9, 1514, 1514).frame(1'000'004, 17, 17).read();
  ASSERT_TRUE(frames) << frames.error().message();
  ASSERT_EQ(frames->size(), 3U);
  EXPECT_EQ(frames->at(1).bytes, std::vector<std::uint8_t>(1514, 'b'));
  EXPECT_THAT((std::array{frames->at(0).at, frames->at(1).at, frames->at(2).at}),
              ElementsAre(Duration(0), microseconds(4), microseconds(999'999)));
}

TEST(FrameFile, WithAClockThatWasSetBackKeepsItsOrder) {
  const auto frames = CaptureFile().frame(500, 60, 60).frame(400, 60, 60).frame(600, 60, 60).read();
  ASSERT_TRUE(frames);
  EXPECT_EQ(frames->at(1).at, Duration(0));
  EXPECT_EQ(frames->at(2).at, microseconds(100));
}

TEST(FrameFile, WithAClockThatWasSetBackByLongKeepsTheGapsAfterIt) {
  const auto frames = captured_at({7200, 7210, 3600, 3601, 3603, 1, 8000});
  ASSERT_TRUE(frames) << frames.error().message();
  std::vector<long> times;
  for (const RecordedFrame& frame : *frames) times.push_back(frame.at / std::chrono::seconds(1));
  EXPECT_THAT(times, ElementsAre(0, 10, 10, 11, 13, 13, 8012));
}

TEST(FrameFile, OfSeveralInterfacesIsInTheOrderOfTheTimes) {
  const std::string path = testing::TempDir() + "pktgen-" + std::to_string(getpid()) + ".pcapng";
  const auto filled = [](std::uint8_t with) { return std::vector<std::uint8_t>(60, with); };
  test::PcapngFile()
      .interface()
      .interface()
      .frame(0, 1'000'100, filled(2))
      .frame(0, 1'200'000, filled(4))
      .frame(1, 1'000'000, filled(1))
      .frame(1, 1'000'100, filled(3))
      .frame(1, 1'300'000, filled(5))
      .write(path);
  const auto frames = read_frames(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(frames) << frames.error().message();
  std::vector<std::pair<int, Duration>> order;
  for (const RecordedFrame& frame : *frames) order.emplace_back(frame.bytes[0], frame.at);
  EXPECT_THAT(order,
              ElementsAre(std::pair(1, Duration(microseconds(0))), std::pair(2, Duration(microseconds(100))),
                          std::pair(3, Duration(microseconds(100))), std::pair(4, Duration(microseconds(200'000))),
                          std::pair(5, Duration(microseconds(300'000)))));
}

TEST(FrameFile, HasNoCheckSequences) {
  constexpr std::uint32_t kFourBytes = 1U | 0x0400'0000U | 2U << 28U;
  const auto frames = CaptureFile(kFourBytes).frame(0, 64, 64).read();
  ASSERT_TRUE(frames) << frames.error().message();
  EXPECT_EQ(frames->at(0).bytes.size(), 60U);
}

TEST(FrameFile, WithAStampThatIsFarFromTheOthersIsRejectedByItsNumber) {
  constexpr std::uint64_t kFirst = 1'700'000'000;
  constexpr auto kLeast = static_cast<std::uint64_t>(INT64_MIN);
  for (const std::uint64_t stamp :
       {UINT64_MAX, kLeast, kLeast - 1, std::uint64_t{9'300'000'000}, kFirst + 1'000'000'001, kFirst - 1'000'000'001}) {
    const auto frames = captured_at({kFirst, kFirst + 1, stamp});
    ASSERT_FALSE(frames) << stamp;
    EXPECT_THAT(frames.error().message(), HasSubstr("frame 3 was captured more than 1000000000 s")) << stamp;
  }
  EXPECT_TRUE(captured_at({kFirst, kFirst + 1'000'000'000}));
  EXPECT_TRUE(captured_at({UINT64_MAX}));
}

TEST(FrameFile, WithAClockThatWasSetBackOftenIsRejectedIfItTakesTooLong) {
  const auto frames = captured_at({0, 900'000'000, 0, 200'000'000});
  ASSERT_FALSE(frames);
  EXPECT_THAT(frames.error().message(), HasSubstr("frame 4 was captured more than 1000000000 s"));
}

TEST(FrameFile, ThatCannotBeSentIsRejectedWithTheFrameAndTheFix) {
  const struct {
    Result<std::vector<RecordedFrame>> read;
    const char* what;
    const char* hint;
  } cases[] = {
      {CaptureFile().frame(0, 60, 60).frame(1, 96, 1514).read(), "frame 2 has 96 of its 1514 bytes", "-s 0"},
      {CaptureFile().frame(0, 16, 16).read(), "frame 1 has 16 bytes, not 17 to", "editcap"},
      {CaptureFile().frame(0, 60000, 60000).read(), "frame 1 has 60000 bytes", "merges"},
      {CaptureFile().read(), "it has no frame", "at least one"},
      {CaptureFile(113).frame(0, 60, 60).read(), "has frames of link type LINUX_SLL", "not on 'any'"},
      {CaptureFile().frame(0, 60, 60).frame(1, 60, 60).cut(7).read(), "after frame 1: ", "capture it again"},
      {read_frames("/nonexistent.pcap"), "cannot open /nonexistent.pcap", "check the path"},
  };
  for (const auto& one : cases) {
    ASSERT_FALSE(one.read) << one.what;
    EXPECT_THAT(one.read.error().what, HasSubstr(one.what));
    EXPECT_THAT(one.read.error().hint, HasSubstr(one.hint));
  }
}

TEST(FrameFile, ThatTakesTooMuchMemoryIsRejectedAlsoForManyShortFrames) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
  CaptureFile large;
  for (int n = 0; n < 120; ++n) large.frame(0, 9000, 9000);
  CaptureFile many;
  for (int n = 0; n < 7000; ++n) many.frame(0, 60, 60);
  for (const CaptureFile* const file : {&large, &many}) {
    const auto frames = file->read(kMiB);
    ASSERT_FALSE(frames);
    EXPECT_THAT(frames.error().message(), HasSubstr("its frames take more than 1 MiB of memory"));
    EXPECT_TRUE(file->read(2 * kMiB));
  }
}

TEST(FrameFile, GetsOtherAddresses) {
  auto frames = *CaptureFile().frame(0, 60, 60).frame(1, 60, 60).read();
  set_destination(frames, {1, 2, 3, 4, 5, 6});
  set_source(frames, {7, 8, 9, 10, 11, 12});
  for (const RecordedFrame& frame : frames) {
    EXPECT_THAT(std::vector(frame.bytes.begin(), frame.bytes.begin() + 12),
                ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  }
}

/// Sends a recording in virtual time.
class Replay : public testing::Test {
 protected:
  static Recording shared(std::vector<RecordedFrame> frames) {
    return std::make_shared<const std::vector<RecordedFrame>>(std::move(frames));
  }
  static std::vector<RecordedFrame> recording() {
    return *CaptureFile().frame(0, 60, 60).frame(10, 61, 61).frame(10, 62, 62).frame(40, 63, 63).read();
  }
  Sender sender(std::uint64_t times, const Pace& pace, std::uint64_t count = UINT64_MAX) {
    return {fixture_.port(0).tx(0), fixture_.cache(), fixture_.clock(),
            std::make_unique<ReplayedFrames>(shared(recording()), times),
            Sender::Options{.count = count, .pace = pace}};
  }
  /// The microsecond, from the first, at which each frame was taken.
  std::vector<int> departures(Sender& sender, int microseconds_long) {
    std::vector<int> times;
    for (int now = 0; now < microseconds_long; ++now) {
      sender.poll();
      times.resize(sender.taken().frames, now);
      fixture_.clock().sleep_for(microseconds(1));
    }
    return times;
  }

  Fixture fixture_{2};
};

TEST_F(Replay, SendsEachFrameAtItsTimeAndEnds) {
  Sender replay = sender(1, {.unit = Pace::Unit::recorded});
  EXPECT_THAT(departures(replay, 41), ElementsAre(0, 10, 10, 40));
  EXPECT_TRUE(replay.done());
  EXPECT_EQ(replay.taken().bytes, 60U + 61 + 62 + 63);
  EXPECT_EQ(replay.pacer().longest_delay(), Duration(0));
  std::vector<std::vector<std::uint8_t>> expected;
  for (const RecordedFrame& frame : recording()) expected.push_back(frame.bytes);
  EXPECT_EQ(fixture_.receive(1), expected);
}

TEST_F(Replay, RepeatsWithTheMeanGapBetweenRounds) {
  Sender replay = sender(2, {.unit = Pace::Unit::recorded});
  EXPECT_THAT(departures(replay, 100), ElementsAre(0, 10, 10, 40, 54, 64, 64, 94));
  EXPECT_TRUE(replay.done());
}

TEST_F(Replay, WithoutEndStopsAtTheCount) {
  Sender replay = sender(0, {.unit = Pace::Unit::recorded}, 6);
  EXPECT_THAT(departures(replay, 200), ElementsAre(0, 10, 10, 40, 54, 64));
  EXPECT_TRUE(replay.done());
}

TEST_F(Replay, IsFasterAtAHigherSpeed) {
  Sender replay = sender(1, {.unit = Pace::Unit::recorded, .speed = 2.5});
  EXPECT_THAT(departures(replay, 50), ElementsAre(0, 4, 4, 16));
}

TEST_F(Replay, OfManyRoundsWaitsOnceItsTimeOverflows) {
  std::vector<RecordedFrame> frames = recording();
  frames.back().at = std::chrono::seconds(1'000'000'000);
  ReplayedFrames rounds(shared(frames), 0);
  Duration before{0};
  for (int n = 0; n < 400; ++n) {
    ASSERT_GE(*rounds.next_at(), before) << n;
    before = *rounds.next_at();
    const MbufPtr mbuf = fixture_.cache().allocate();
    ASSERT_TRUE(rounds.build(*mbuf, fixture_.cache()));
  }
  EXPECT_EQ(*rounds.next_at(), FrameSource::kNever);
}

TEST_F(Replay, AtARateOfTheUserHasThatTiming) {
  Sender replay = sender(1, {.unit = Pace::Unit::frames, .rate = 200'000});
  EXPECT_THAT(departures(replay, 50), ElementsAre(0, 5, 10, 15));
}

TEST_F(Replay, WithoutPacingSendsABurstThatEndsWithTheFile) {
  Sender replay = sender(3, {});
  EXPECT_THAT(departures(replay, 2), testing::SizeIs(12));
  EXPECT_TRUE(replay.done());
  EXPECT_EQ(replay.built(), 12U);
}

}  // namespace
}  // namespace pollux::tools
