// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "fixture.hpp"
#include "support/capture_file.hpp"

namespace pollux::ports {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using test::CaptureFile;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PcapInput : public PortFixture {
 protected:
  [[nodiscard]] Port reading(const CaptureFile& capture, const std::string& options = "") {
    capture.write(file("in.pcap"));
    return started("pcap:in=" + file("in.pcap") + options);
  }
};

TEST_F(PcapInput, ReadsFramesInOrderAndThenNothing) {
  Port port = reading(CaptureFile().add(numbered(60, 1)).add(numbered(1514, 2)).add(numbered(14, 3)));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1), numbered(1514, 2), numbered(14, 3)));
  EXPECT_THAT(poll(port), IsEmpty());
  EXPECT_EQ(port.stats().rx_packets, 3U);
  EXPECT_EQ(port.stats().multicast, 0U) << "broadcasts";
  EXPECT_EQ(port.stats().rx_errors, 0U);
  EXPECT_TRUE(port.service());
  EXPECT_THAT(log_, testing::Not(testing::Contains(HasSubstr("pcap"))));
}

TEST_F(PcapInput, ReceivesWhateverTheDestination) {
  Bytes frame = numbered(60, 1);
  frame[0] = 0x00;
  Port port = reading(CaptureFile().add(frame));
  EXPECT_THAT(poll(port), ElementsAre(frame));
}

TEST_F(PcapInput, ContinuesAfterAStopAndStart) {
  CaptureFile capture;
  for (std::uint8_t i = 0; i < 40; ++i) capture.add(numbered(60, i));
  Port port = reading(capture);
  EXPECT_EQ(poll(port).size(), 32U);
  ASSERT_TRUE(port.stop());
  ASSERT_TRUE(port.start());
  const auto rest = poll(port);
  ASSERT_EQ(rest.size(), 8U);
  EXPECT_EQ(rest[0], numbered(60, 32));
}

TEST_F(PcapInput, RestartsIfItLoops) {
  Port port = reading(CaptureFile().add(numbered(60, 1)).add(numbered(60, 2)).add(numbered(60, 3)), ",loop");
  // A poll restarts the file at most once, so that the poll ends.
  for (int i = 0; i < 5; ++i) {
    const auto frames = poll(port);
    ASSERT_GE(frames.size(), 3U);
    ASSERT_LE(frames.size(), 6U);
  }
  EXPECT_EQ(port.stats().rx_errors, 0U);
}

TEST_F(PcapInput, DoesNotLoopOverAnEmptyFile) {
  Port port = reading(CaptureFile(), ",loop");
  EXPECT_THAT(poll(port), IsEmpty());
  EXPECT_THAT(poll(port), IsEmpty());
}

TEST_F(PcapInput, FollowsTheTimestamps) {
  Port port = reading(CaptureFile()
                          .add(numbered(60, 1), 100, 0)
                          .add(numbered(60, 2), 100, 1000)
                          .add(numbered(60, 3), 99, 2000)  // out of order
                          .add(numbered(60, 4), 101, 0),
                      ",pace=real");
  clock_->advance(milliseconds(5));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1)));
  clock_->advance(microseconds(990));
  EXPECT_THAT(poll(port), IsEmpty());
  clock_->advance(microseconds(10));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 2), numbered(60, 3)));
  clock_->advance(milliseconds(998));
  EXPECT_THAT(poll(port), IsEmpty());
  clock_->advance(milliseconds(1));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 4)));
}

TEST_F(PcapInput, KeepsTheGapsAfterAClockWasSetBack) {
  Port port = reading(CaptureFile()
                          .add(numbered(60, 1), 7200, 0)
                          .add(numbered(60, 2), 3600, 0)
                          .add(numbered(60, 3), 3600, 1000)
                          .add(numbered(60, 4), 3602, 0),
                      ",pace=real");
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1), numbered(60, 2)));
  clock_->advance(microseconds(999));
  EXPECT_THAT(poll(port), IsEmpty());
  clock_->advance(microseconds(1));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 3)));
  clock_->advance(milliseconds(1998));
  EXPECT_THAT(poll(port), IsEmpty());
  clock_->advance(milliseconds(1));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 4)));
}

TEST_F(PcapInput, RepeatsAfterTheMeanGapBetweenFrames) {
  Port port =
      reading(CaptureFile().add(numbered(60, 1), 9, 0).add(numbered(60, 2), 9, 1000).add(numbered(60, 3), 9, 4000),
              ",pace=real,loop");
  std::vector<int> times;
  for (int now = 0; now < 13; ++now) {
    times.insert(times.end(), poll(port).size(), now);
    clock_->advance(milliseconds(1));
  }
  EXPECT_THAT(times, ElementsAre(0, 1, 4, 6, 7, 10, 12));
}

TEST_F(PcapInput, LeavesTheCheckSequenceOut) {
  constexpr std::uint32_t kFourBytes = CaptureFile::kEthernet | 0x0400'0000U | 2U << 28U;
  Port port = reading(CaptureFile(CaptureFile::kMicroseconds, kFourBytes).add(numbered(64, 1)));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1)));
  EXPECT_EQ(port.stats().rx_bytes, 60U);
}

TEST_F(PcapInput, ReadsNanoseconds) {
  Port port = reading(
      CaptureFile(CaptureFile::kNanoseconds).add(numbered(60, 1), 5, 999'999'000).add(numbered(60, 2), 6, 29'000),
      ",pace=real");
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1)));
  clock_->advance(microseconds(29));
  EXPECT_THAT(poll(port), IsEmpty());
  clock_->advance(microseconds(1));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 2)));
}

TEST_F(PcapInput, CountsFramesThatItCannotReceive) {
  Port port = reading(CaptureFile()
                          .add(numbered(96, 1), 0, 0, 1514)  // a snap length of 96
                          .add(numbered(13, 2))
                          .add({}, 0, 0, 60)
                          .add(numbered(1519, 3))
                          .add(numbered(1518, 4)));
  EXPECT_THAT(poll(port), ElementsAre(numbered(1518, 4)));
  EXPECT_EQ(drops(port, "rx_truncated"), 2U);
  EXPECT_EQ(drops(port, "rx_too_short"), 1U);
  EXPECT_EQ(drops(port, "rx_too_long"), 1U);
  EXPECT_EQ(port.stats().rx_packets, 5U);
}

TEST_F(PcapInput, EndsWhereTheFileIsTruncated) {
  for (const std::size_t missing : {1U, 59U, 61U, 75U}) {
    log_.clear();
    Port port = reading(CaptureFile().add(numbered(60, 1)).add(numbered(60, 2)).cut(missing), ",loop");
    EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1))) << missing;
    EXPECT_THAT(poll(port), IsEmpty()) << missing;
    EXPECT_EQ(port.stats().rx_errors, 1U) << missing;
    EXPECT_TRUE(port.service());
    EXPECT_TRUE(port.service());
    EXPECT_THAT(log_, ElementsAre(AllOf(HasSubstr("in.pcap"), HasSubstr("truncated")))) << missing;
  }
}

TEST_F(PcapInput, EndsAtAnInvalidRecord) {
  CaptureFile capture;
  capture.add(numbered(60, 1));
  for (int i = 0; i < 4; ++i) capture.put(std::uint32_t{0xFFFFFFFF});  // a frame of 4 GB
  Port port = reading(capture.add(numbered(60, 2)));
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1)));
  EXPECT_EQ(port.stats().rx_errors, 1U);
  EXPECT_THAT(poll(port), IsEmpty());
}

TEST_F(PcapInput, LimitsTheLengthToTheCapturedBytes) {
  Port port = reading(CaptureFile().add(numbered(100, 1), 0, 0, 60));  // shorter on the wire than in the file
  EXPECT_THAT(poll(port), ElementsAre(numbered(60, 1)));
}

TEST_F(PcapInput, WaitsWhileThePoolIsExhausted) {
  CaptureFile capture;
  for (std::uint8_t i = 0; i < 20; ++i) capture.add(numbered(60, i));
  capture.write(file("in.pcap"));
  auto small = must(Mempool::create(context_, {.count = 8}));
  Port port = must(open(context_, "pcap:in=" + file("in.pcap"), {.rx = {{.pool = small}}}));
  std::size_t received = 0;
  for (int polls = 0; polls < 3; ++polls) received += poll(port).size();
  EXPECT_EQ(received, 20U);
  EXPECT_EQ(port.stats().dropped(), 0U);
}

TEST_F(PcapInput, RejectsOtherFiles) {
  EXPECT_EQ(refused("pcap:in=" + file("none.pcap")).code, ErrorCode::not_found);
  EXPECT_EQ(refused("pcap:in=" + folder_.string()).code, ErrorCode::invalid_argument);
  std::ofstream(file("text")) << "Not a capture file, though it has enough bytes to be one.";
  EXPECT_THAT(refused("pcap:in=" + file("text")).what, HasSubstr("not a capture file"));
  std::ofstream(file("empty"));
  EXPECT_THAT(refused("pcap:in=" + file("empty")).what, HasSubstr("not a capture file"));
  CaptureFile().cut(4).write(file("half"));
  EXPECT_EQ(refused("pcap:in=" + file("half")).code, ErrorCode::invalid_argument);
  CaptureFile(CaptureFile::kMicroseconds, 113).write(file("cooked"));
  EXPECT_THAT(refused("pcap:in=" + file("cooked")).what, HasSubstr("LINUX_SLL"));
  ASSERT_EQ(::mkfifo(file("pipe").c_str(), 0600), 0);
  EXPECT_THAT(refused("pcap:in=" + file("pipe")).what, HasSubstr("not a regular file"));
}

TEST_F(PcapInput, RejectsInvalidOptions) {
  CaptureFile().write(file("in.pcap"));
  const std::string in = "in=" + file("in.pcap");
  for (const std::string& options :
       {std::string("pace=real"), std::string("in="), in + ",pace=fast", in + ",loop=3", in + ",loop,loop",
        in + ",pace", in + "," + in, "out=" + file("o") + ",loop", in + ",x", in + "," + file("with,comma")}) {
    const Error error = refused("pcap:" + options);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << options;
    EXPECT_THAT(error.hint, testing::AnyOf(HasSubstr("pcap:in=FILE"), HasSubstr("loop=off"))) << options;
  }
  EXPECT_FALSE(std::filesystem::exists(file("o")));
}

TEST_F(PcapInput, DoesNotLoopIfThatIsOff) {
  Port port = reading(CaptureFile().add(numbered(60, 1)), ",loop=no");
  EXPECT_EQ(poll(port).size(), 1U);
  EXPECT_THAT(poll(port), IsEmpty());
}

}  // namespace
}  // namespace pollux::ports
