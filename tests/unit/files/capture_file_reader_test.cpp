// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/files/capture_file_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "support/capture_file.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;
using test::CaptureFile;
using test::PcapngFile;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Bytes = std::vector<std::uint8_t>;

class CaptureFileReaderTest : public testing::Test {
 protected:
  ~CaptureFileReaderTest() override { std::filesystem::remove(path_); }

  struct Read {
    Bytes bytes;
    std::uint32_t length;
    std::optional<Duration> at;
  };
  template <class File>
  [[nodiscard]] CaptureFileReader open(const File& file) {
    file.write(path_);
    auto reader = CaptureFileReader::open(path_, "test");
    EXPECT_TRUE(reader) << reader.error().message();
    return *std::move(reader);
  }
  static std::vector<Read> read_all(CaptureFileReader& reader) {
    std::vector<Read> all;
    CapturedFrame frame;
    while (reader.next(frame) == CaptureFileReader::Outcome::frame)
      all.push_back({{frame.bytes.begin(), frame.bytes.end()}, frame.length, frame.at});
    return all;
  }
  template <class File>
  [[nodiscard]] std::vector<Duration> times(const File& file) {
    CaptureFileReader reader = open(file);
    std::vector<Duration> all;
    for (const Read& frame : read_all(reader)) all.push_back(frame.at.value_or(Duration::min()));
    return all;
  }
  template <class File>
  [[nodiscard]] std::vector<std::size_t> lengths(const File& file) {
    CaptureFileReader reader = open(file);
    std::vector<std::size_t> all;
    for (const Read& frame : read_all(reader)) {
      EXPECT_EQ(frame.bytes.size(), frame.length);
      all.push_back(frame.length);
    }
    return all;
  }

  const std::string path_ = testing::TempDir() + "capture-" + std::to_string(::getpid());
};

TEST_F(CaptureFileReaderTest, ACheckSequenceIsNotPartOfAFrame) {
  constexpr std::uint32_t kFourBytes = 1U | 0x0400'0000U | 2U << 28U;  // 2 units of 16 bits
  EXPECT_THAT(lengths(CaptureFile(CaptureFile::kMicroseconds, kFourBytes).add(Bytes(64)).add(Bytes(1518))),
              ElementsAre(60, 1514));
  // An interface with one, one without, and frames that say otherwise themselves.
  constexpr std::uint32_t kFlagsFour = 4U << 5U;
  EXPECT_THAT(lengths(PcapngFile()
                          .interface(4)
                          .interface()
                          .frame(0, 0, Bytes(64))
                          .frame(1, 0, Bytes(64))
                          .frame(1, 0, Bytes(65), kFlagsFour | 1U)
                          .frame(0, 0, Bytes(64), 1U)
                          .frame(0, 0, Bytes(66), 2U << 5U)),
              ElementsAre(60, 64, 61, 60, 64));
  // The interfaces of a section count from 0.
  EXPECT_THAT(lengths(PcapngFile()
                          .interface(4)
                          .frame(0, 0, Bytes(64))
                          .block(0x0A0D0D0A, {0x1A2B3C4D, 1, 0xFFFFFFFF, 0xFFFFFFFF})
                          .interface()
                          .frame(0, 0, Bytes(64))),
              ElementsAre(60, 64));
}

TEST_F(CaptureFileReaderTest, OtherBlocksAreSkipped) {
  // A Name Resolution Block, a Simple Packet Block and an unknown block.
  EXPECT_THAT(lengths(PcapngFile()
                          .block(4, {0})
                          .interface(4)
                          .block(3, std::vector<std::uint32_t>(17, 64))
                          .block(0xBAD, {1, 2, 3})
                          .interface(2)
                          .frame(1, 0, Bytes(64))),
              ElementsAre(60, 62));
}

TEST_F(CaptureFileReaderTest, AFrameThatWasCutIsNotWhole) {
  CaptureFileReader reader = open(CaptureFile().add(Bytes(96), 0, 0, 1514).add(Bytes(80), 0, 0, 64).add({}, 0, 0, 60));
  const auto frames = read_all(reader);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].bytes.size(), 96U);
  EXPECT_EQ(frames[0].length, 1514U);
  EXPECT_EQ(frames[1].bytes.size(), 64U) << "the rest is not of the frame";
  EXPECT_EQ(frames[1].length, 64U);
  EXPECT_EQ(frames[2].bytes.size(), 0U);
  EXPECT_EQ(frames[2].length, 60U);
}

TEST_F(CaptureFileReaderTest, AFrameIsWholeIfOnlyItsCheckSequenceWasCut) {
  CaptureFileReader reader =
      open(PcapngFile().interface(4).frame(0, 0, Bytes(62), 0, 64).frame(0, 0, Bytes(59), 0, 64).frame(0, 0, Bytes(3)));
  const auto frames = read_all(reader);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].bytes.size(), 60U);
  EXPECT_EQ(frames[0].length, 60U);
  EXPECT_EQ(frames[1].bytes.size(), 59U);
  EXPECT_EQ(frames[1].length, 60U);
  EXPECT_EQ(frames[2].length, 0U) << "shorter than its check sequence";
}

TEST_F(CaptureFileReaderTest, TimeIsThatOfTheFirstFrameOn) {
  EXPECT_THAT(times(CaptureFile(CaptureFile::kNanoseconds)
                        .add(Bytes(60), 5, 999'999'999)
                        .add(Bytes(60), 6, 1)
                        .add(Bytes(60), 6, 1)),
              ElementsAre(0ns, 2ns, 2ns));
}

TEST_F(CaptureFileReaderTest, InterfacesWriteTheirFramesInBlocks) {
  PcapngFile file;
  file.interface().interface();
  for (std::uint64_t block = 0; block < 3; ++block) {
    for (std::uint32_t interface = 0; interface < 2; ++interface) {
      for (std::uint64_t frame = 0; frame < 2; ++frame)
        file.frame(interface, 7'000'000 + 400'000 * block + 200'000 * frame + 100'000 * interface, Bytes(60));
    }
  }
  EXPECT_THAT(times(file),
              ElementsAre(0ms, 200ms, 100ms, 300ms, 400ms, 600ms, 500ms, 700ms, 800ms, 1000ms, 900ms, 1100ms));
}

TEST_F(CaptureFileReaderTest, AnInterfacesTimeDoesNotGoBack) {
  EXPECT_THAT(times(CaptureFile().add(Bytes(60), 10, 0).add(Bytes(60), 9, 1).add(Bytes(60), 10, 5)),
              ElementsAre(0ns, 0ns, 5us));
}

TEST_F(CaptureFileReaderTest, TheGapsGoOnAfterAClockWasSetBack) {
  EXPECT_THAT(times(CaptureFile()
                        .add(Bytes(60), 7200)
                        .add(Bytes(60), 7210)
                        .add(Bytes(60), 3600)
                        .add(Bytes(60), 3601)
                        .add(Bytes(60), 1)
                        .add(Bytes(60), 3)),
              ElementsAre(0s, 10s, 10s, 11s, 11s, 13s));
  // Of two interfaces, of which each writes what was before and what was after it in one block.
  EXPECT_THAT(times(PcapngFile()
                        .interface()
                        .interface()
                        .frame(0, 100'000'000, Bytes(60))
                        .frame(0, 40'000'000, Bytes(60))
                        .frame(0, 41'000'000, Bytes(60))
                        .frame(1, 100'500'000, Bytes(60))
                        .frame(1, 40'500'000, Bytes(60))
                        .frame(1, 41'500'000, Bytes(60))),
              ElementsAre(0s, 0s, 1s, 500ms, 500ms, 1500ms));
}

TEST_F(CaptureFileReaderTest, AStampThatIsTooFarFromTheFirstHasNoTime) {
  PcapngFile file;
  file.block(1, {1, 0, 0x00010009, 0, 0});  // whole seconds: if_tsresol
  for (const std::uint64_t stamp :
       {std::uint64_t{5}, std::uint64_t{1} << 63U, (std::uint64_t{1} << 63U) - 1, std::uint64_t{1'000'000'006}})
    file.frame(0, stamp, Bytes(60));
  const auto all = times(file.frame(0, 6, Bytes(60)));
  EXPECT_THAT(all, ElementsAre(0s, Duration::min(), Duration::min(), Duration::min(), 1s));
}

TEST_F(CaptureFileReaderTest, ARecordWithoutATimeHasThatOfTheFrameBefore) {
  constexpr std::uint32_t kSimplePacket = 3;
  PcapngFile file;
  file.interface()
      .block(kSimplePacket, {4, 0})
      .frame(0, 1'700'000'000'000'000, {1})
      .frame(0, 1'700'000'005'000'000, {2});
  file.block(kSimplePacket, {4, 0}).frame(0, 1'700'000'006'000'000, {3});
  EXPECT_THAT(times(file), ElementsAre(0s, 0s, 5s, 5s, 6s));
}

TEST_F(CaptureFileReaderTest, TheNextRoundBeginsAfterTheMeanGap) {
  CaptureFileReader reader =
      open(CaptureFile().add(Bytes(60), 8, 0).add(Bytes(60), 8, 10).add(Bytes(60), 8, 10).add(Bytes(60), 8, 30));
  std::vector<Duration> all;
  for (int round = 0; round < 3; ++round) {
    for (const Read& frame : read_all(reader)) all.push_back(*frame.at);
    ASSERT_TRUE(reader.rewind());
  }
  EXPECT_THAT(all, ElementsAre(0us, 10us, 10us, 30us, 40us, 50us, 50us, 70us, 80us, 90us, 90us, 110us));
  EXPECT_EQ(gap_between_rounds(0us, 1), 0us);
  EXPECT_EQ(gap_between_rounds(9us, 4), 3us);
}

TEST_F(CaptureFileReaderTest, WhatCannotBeReadIsNamedWithWhatHelps) {
  CaptureFileReader incomplete = open(CaptureFile().add(Bytes(60)).add(Bytes(60)).cut(7));
  EXPECT_EQ(read_all(incomplete).size(), 1U);
  EXPECT_EQ(incomplete.error().code, ErrorCode::io_error);
  EXPECT_THAT(incomplete.error().what, AllOf(HasSubstr(path_ + ": after frame 1: "), HasSubstr("truncated")));
  EXPECT_THAT(incomplete.error().hint, HasSubstr("incomplete"));
  // Files that Wireshark reads: the fault is not the file's.
  const std::uint32_t kOther = 113;
  PcapngFile snap_lengths;
  snap_lengths.interface().interface(0, 65535).frame(0, 0, Bytes(60)).frame(1, 0, Bytes(60));
  PcapngFile link_types;
  link_types.interface().interface(0, 262144, kOther).frame(0, 0, Bytes(60)).frame(1, 0, Bytes(60));
  for (const PcapngFile* const file : {&snap_lengths, &link_types}) {
    CaptureFileReader reader = open(*file);
    EXPECT_EQ(read_all(reader).size(), 0U) << "libpcap looks at all interfaces before the first frame";
    const Error error = reader.error();
    EXPECT_THAT(error.message(), AllOf(HasSubstr("libpcap"), HasSubstr("editcap -F pcap"), Not(HasSubstr("damaged")),
                                       Not(HasSubstr("incomplete"))));
  }
}

TEST_F(CaptureFileReaderTest, OtherFilesAreRejected) {
  const auto rejected = [](const std::string& path) {
    const auto reader = CaptureFileReader::open(path, "test");
    EXPECT_FALSE(reader) << path;
    return reader ? Error() : reader.error();
  };
  EXPECT_EQ(rejected(path_).code, ErrorCode::not_found);
  EXPECT_EQ(rejected("/dev/zero").what, "test: /dev/zero is not a regular file");
  std::ofstream(path_) << "Not a capture file, though it has enough bytes to be one.";
  EXPECT_THAT(rejected(path_).what, HasSubstr(path_ + " is not a capture file that libpcap can read"));
  CaptureFile(CaptureFile::kMicroseconds, 113).write(path_);
  EXPECT_THAT(rejected(path_).message(), AllOf(HasSubstr("LINUX_SLL"), HasSubstr("not on 'any'")));
}

}  // namespace
}  // namespace pollux
