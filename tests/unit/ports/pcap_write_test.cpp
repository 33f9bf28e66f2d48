// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>

#include "fixture.hpp"
#include "support/capture_file.hpp"
#include "support/full_disk.hpp"

namespace pollux::ports {
namespace {

using test::CaptureFile;
using test::FullDisk;
using test::WrittenFile;
using testing::HasSubstr;

class PcapOutput : public PortFixture {
 protected:
  [[nodiscard]] std::string out() const { return "pcap:out=" + file("out.pcap"); }
};

TEST_F(PcapOutput, WritesFramesWithTheClocksTime) {
  Port port = started(out());
  clock_->advance(std::chrono::nanoseconds(3'000'000'123));
  EXPECT_EQ(send(port, {numbered(60, 1), numbered(1514, 2)}), 2U);
  // The file is readable while the port is open.
  const WrittenFile written(file("out.pcap"));
  EXPECT_EQ(written.magic, CaptureFile::kNanoseconds);
  ASSERT_EQ(written.records.size(), 2U);
  EXPECT_EQ(written.records[0].frame, numbered(60, 1));
  EXPECT_EQ(written.records[0].seconds, 3U);
  EXPECT_EQ(written.records[0].nanoseconds, 123U);
  EXPECT_EQ(written.records[1].frame, numbered(1514, 2));
  EXPECT_EQ(port.stats().tx_packets, 2U);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

TEST_F(PcapOutput, WritesChainsInOnePiece) {
  Port port = started(out());
  MbufPtr whole = make_mbuf(numbered(1000, 1));
  MbufPtr more = make_mbuf(Bytes(2000, 7));
  ASSERT_TRUE(whole->chain(more));
  Burst<1> burst;
  ASSERT_TRUE(burst.push(whole));
  ASSERT_EQ(port.tx(0).tx_burst(burst), 1U);
  Bytes expected(3000, 7);
  const Bytes first = numbered(1000, 1);
  std::copy(first.begin(), first.end(), expected.begin());
  EXPECT_EQ(WrittenFile(file("out.pcap")).records.at(0).frame, expected);
}

TEST_F(PcapOutput, IsReadByTheInput) {
  Port writer = started(out());
  send(writer, {numbered(60, 1), numbered(61, 2)});
  Port reader = started("pcap:in=" + file("out.pcap"));
  EXPECT_EQ(poll(reader), (std::vector<Bytes>{numbered(60, 1), numbered(61, 2)}));
}

TEST_F(PcapOutput, TruncatesTheFileWhenOpenedAndContinuesAfterAStop) {
  {
    Port port = started(out());
    send(port, {numbered(60, 1)});
    ASSERT_TRUE(port.stop());
    ASSERT_TRUE(port.start());
    send(port, {numbered(60, 2)});
    EXPECT_EQ(WrittenFile(file("out.pcap")).records.size(), 2U);
  }
  Port port = started(out());
  EXPECT_EQ(WrittenFile(file("out.pcap")).records.size(), 0U);
}

TEST_F(PcapOutput, CountsDropsWithoutAFile) {
  CaptureFile().write(file("in.pcap"));
  Port port = started("pcap:in=" + file("in.pcap"));
  EXPECT_EQ(send(port, {numbered(60, 1)}), 1U);
  EXPECT_EQ(drops(port, "tx_no_file"), 1U);
  EXPECT_EQ(port.stats().tx_packets, 0U);
}

TEST_F(PcapOutput, CountsFramesThatADiskDidNotAccept) {
  {
    Port port = started(out());
    send(port, {numbered(60, 1)});
    {
      const FullDisk full(24 + 76 + 40);  // the header, one record, a part of the next
      send(port, {numbered(60, 2), numbered(60, 3)});
    }
    send(port, {numbered(60, 4)});  // no frames are written after a gap
    EXPECT_EQ(drops(port, "tx_write_failed"), 3U);
    EXPECT_EQ(port.stats().tx_packets, 1U);
    log_.clear();
    ASSERT_TRUE(port.close());
    EXPECT_THAT(log_, testing::ElementsAre(
                          testing::AllOf(HasSubstr("out.pcap"), HasSubstr("File too large"), HasSubstr("free space"))));
  }
  const WrittenFile written(file("out.pcap"));
  EXPECT_TRUE(written.whole);
  ASSERT_EQ(written.records.size(), 1U);
  EXPECT_EQ(written.records[0].frame, numbered(60, 1));
}

TEST_F(PcapOutput, DoesNotTruncateItsInputOrAnotherPortsOutput) {
  CaptureFile().add(numbered(60, 1)).write(file("in.pcap"));
  std::filesystem::create_symlink(file("in.pcap"), file("same.pcap"));
  EXPECT_EQ(refused("pcap:in=" + file("in.pcap") + ",out=" + file("same.pcap")).code, ErrorCode::busy);
  Port reader = started("pcap:in=" + file("in.pcap"));
  EXPECT_THAT(refused("pcap:out=" + file("in.pcap")).hint, HasSubstr("writes or reads it"));
  EXPECT_EQ(WrittenFile(file("in.pcap")).records.size(), 1U);
  Port port = started(out());
  send(port, {numbered(60, 1)});
  EXPECT_EQ(refused(out()).code, ErrorCode::busy);
  EXPECT_EQ(WrittenFile(file("out.pcap")).records.size(), 1U);
}

TEST_F(PcapOutput, RejectsAFileThatItCannotWrite) {
  EXPECT_EQ(refused("pcap:out=" + file("none/out.pcap")).code, ErrorCode::not_found);
  EXPECT_EQ(refused("pcap:out=" + folder_.string()).code, ErrorCode::invalid_argument);
  EXPECT_EQ(refused("pcap:out=/dev/null").code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace pollux::ports
