// SPDX-License-Identifier: BSD-3-Clause
#include "common/unfinished_checksums.hpp"

#include <gtest/gtest.h>

#include "common/frame.hpp"
#include "unit/examples/fixture.hpp"

namespace pollux::tools {
namespace {

class UnfinishedChecksumsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(watch_.attach()); }

  /// A datagram as its sender leaves it if a card is to compute the checksum. `finished`: the checksum is computed.
  std::vector<std::uint8_t> datagram(bool finished) {
    const std::vector<std::uint8_t> bytes = make_frame(100, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2});
    MbufPtr mbuf = fixture_.cache().allocate();
    std::copy(bytes.begin(), bytes.end(), mbuf->append(static_cast<std::uint32_t>(bytes.size())));
    EXPECT_TRUE(request_checksums(*mbuf, {.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 20}));
    EXPECT_TRUE(!finished || complete_checksums(*mbuf) == ChecksumCompletion::complete);
    return {mbuf->bytes().begin(), mbuf->bytes().end()};
  }
  void pass(const std::vector<std::uint8_t>& frame) {
    fixture_.send(1, frame);
    EXPECT_EQ(fixture_.receive(0).size(), 1U);
  }

  UnfinishedChecksums& watch() { return watch_; }

 private:
  examples::Fixture fixture_{2};
  UnfinishedChecksums watch_{fixture_.port(0)};
};

TEST_F(UnfinishedChecksumsTest, AreFoundOnce) {
  pass(datagram(true));
  EXPECT_FALSE(watch().found());
  pass(datagram(false));
  EXPECT_TRUE(watch().found());
  pass(datagram(false));
  EXPECT_FALSE(watch().found());
}

TEST_F(UnfinishedChecksumsTest, AreNotThoseThatAreWrongOrMissing) {
  std::vector<std::uint8_t> wrong = datagram(true);
  wrong.back() ^= 1;
  pass(wrong);
  std::vector<std::uint8_t> none = datagram(true);
  none[40] = none[41] = 0;
  pass(none);
  pass(std::vector<std::uint8_t>(60, 0xFF));
  EXPECT_FALSE(watch().found());
}

// A right checksum may be the sum of the pseudo-header by chance.
TEST_F(UnfinishedChecksumsTest, AreNotThoseThatAreRight) {
  const std::uint16_t pseudo_header = packet::load16(&datagram(false)[40]);
  std::vector<std::uint8_t> frame = datagram(true);
  const std::uint16_t checksum = packet::load16(&frame[40]);
  const std::uint16_t before = packet::load16(&frame[98]);
  std::uint16_t word = 0;
  while (packet::updated_checksum(checksum, before, word) != pseudo_header) ASSERT_NE(++word, 0);
  packet::store16(&frame[98], word);
  packet::store16(&frame[40], pseudo_header);
  pass(frame);
  EXPECT_FALSE(watch().found());
}

TEST_F(UnfinishedChecksumsTest, AreLookedForInTheFirstFramesOnly) {
  for (std::uint32_t i = 0; i < UnfinishedChecksums::kFrames; ++i) pass(datagram(true));
  EXPECT_FALSE(watch().found());
  pass(datagram(false));
  EXPECT_FALSE(watch().found());
}

}  // namespace
}  // namespace pollux::tools
