// SPDX-License-Identifier: BSD-3-Clause
// What has gone wrong in other drivers of this family, tried on QEMU's 82574: docs/82574.md has the reports.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "pollux/net/link_control.hpp"
#include "qemu/e1000e_pair.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::E1000ePair;
using test::Frame;
using test::QemuFixture;
using test::value_of;

TEST(E1000eReports, ALinkThatFallsTouchesNoRing) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  fixture.exchange(pair.left.port, pair.right.port, 100);
  const std::uint32_t before = value_of(pair.right.port, "RDH[0]");
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(pair.right.port.capability<LinkControl>()->restart_negotiation());
    EXPECT_FALSE(pair.right.port.link().up);
    ASSERT_TRUE(QemuFixture::link_rises(pair.right.port));
    ASSERT_TRUE(pair.right.port.service());
  }
  EXPECT_EQ(value_of(pair.right.port, "RDH[0]"), before);
  fixture.exchange(pair.left.port, pair.right.port, 100);
}

TEST(E1000eReports, AnOverrunHoldsUpNeitherFramesNorTheService) {
  QemuFixture fixture;
  fixture.config.rx.at(0).ring = 64;
  E1000ePair pair(fixture);
  std::vector<Frame> flood;
  for (std::uint32_t i = 0; i < 400; ++i) flood.push_back(test::numbered_frame(i, 60));
  ASSERT_EQ(fixture.send(pair.left.port, flood), flood.size());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(pair.right.port.service());
  // QEMU's wire keeps what finds no descriptor.
  const auto arrived = fixture.receive(pair.right.port, flood.size());
  ASSERT_EQ(arrived.size(), flood.size());
  for (std::size_t i = 0; i < arrived.size(); ++i) EXPECT_TRUE(arrived[i] == flood[i]) << i;
  fixture.exchange(pair.left.port, pair.right.port, 100);
}

TEST(E1000eReports, TheShortestRingsWrap) {
  QemuFixture fixture;
  fixture.config.rx.at(0).ring = fixture.config.tx.at(0).ring = 8;
  E1000ePair pair(fixture);
  EXPECT_EQ(value_of(pair.left.port, "RDLEN[0]"), 128u);
  for (std::uint32_t i = 0; i < 100; ++i) {
    const std::vector<Frame> one{test::numbered_frame(i, 60)};
    ASSERT_EQ(fixture.send(pair.left.port, one), 1u);
    ASSERT_THAT(fixture.receive(pair.right.port, 1), testing::ElementsAre(one[0]));
    EXPECT_LT(value_of(pair.right.port, "RDT[0]"), 8u);
  }
}

TEST(E1000eReports, ABusyPortIsNeverTakenForHung) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  for (int round = 0; round < 10; ++round) {
    fixture.exchange(pair.left.port, pair.right.port, 60);
    for (Port* const port : {&pair.left.port, &pair.right.port}) {
      ASSERT_TRUE(port->service());
      EXPECT_EQ(port->state(), PortState::started);
    }
  }
  for (const std::string& line : fixture.log) {
    EXPECT_THAT(line, testing::Not(testing::AnyOf(testing::HasSubstr("hang"), testing::HasSubstr("stand")))) << line;
  }
}

TEST(E1000eReports, AFaultAtAnyAccessEndsByItself) {
  for (const char* const fault : {"ones@40", "zeros@90", "lost-write@150", "removal@30", "removal@320", "removal@700",
                                  "stuck-register=0x2818", "stuck-register=0x3800", "stuck-register=0x8-0x2"}) {
    SCOPED_TRACE(fault);
    QemuFixture fixture;
    {
      auto port = open_unconfigured(fixture.context, std::string("fault:") + fault + ",qtest:0?card=82574");
      if (!port) {
        EXPECT_FALSE(port.error().message().empty());
        continue;
      }
      test::use_pool(fixture.config, fixture.pool, fixture.cache);
      if (test::configure_port(*port, fixture.config) && port->start()) static_cast<void>(port->service());
      static_cast<void>(port->stop());
      const auto closed = port->close();
      EXPECT_TRUE(closed || closed.error().code == ErrorCode::device_removed) << closed.error().message();
    }
    EXPECT_EQ(fixture.pool.stats().in_use(), 0u);
  }
}

}  // namespace
}  // namespace pollux
