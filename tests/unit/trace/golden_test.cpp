// SPDX-License-Identifier: BSD-3-Clause
#include "golden/golden.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <vector>

namespace pollux::test {
namespace {

TEST(GoldenTrace, OpenStartStopAndCloseOnTheInProcessCard) {
  for (const Phase& phase : trace_life("sim:0", std::make_shared<ManualClock>())) {
    EXPECT_TRUE(is_golden(phase.file, describe_trace(phase.trace)));
  }
}

TEST(GoldenTrace, UpdatingAGoldenFileFailsTheTest) {
  const std::string path = fmt::format("{}pollux-golden-{}.txt", testing::TempDir(), ::getpid());
  ::setenv("POLLUX_UPDATE_GOLDEN", "1", 1);
  EXPECT_FALSE(is_golden(path, "write CTRL 0x00000000\n"));
  ::unsetenv("POLLUX_UPDATE_GOLDEN");
  EXPECT_TRUE(is_golden(path, "write CTRL 0x00000000\n"));
  EXPECT_FALSE(is_golden(path, "write CTRL 0x00000001\n"));
  ::unlink(path.c_str());
}

TEST(GoldenTrace, ADifferenceIsReportedWithItsLineNumber) {
  EXPECT_EQ(first_difference("a\nb\n", "a\nc\n"), "access 2: expected 'b', found 'c'");
  EXPECT_EQ(first_difference("a\nb\n", "a\n"), "access 2: expected 'b', found '(the end)'");
  EXPECT_EQ(first_difference("a\n", "a\n"), "");
  EXPECT_NE(first_difference(golden_text("igb_start.txt"), "write CTRL 0x00000000\n"), "");
}

TEST(GoldenTrace, PollsCountersAndRingBasesTakeOneLineEach) {
  const std::vector<TraceEntry> trace{{.kind = TraceEntry::Kind::read, .offset = 8, .value = 1},
                                      {.kind = TraceEntry::Kind::read, .offset = 8, .value = 3},
                                      {.kind = TraceEntry::Kind::write, .offset = 0, .value = 0x40},
                                      {.kind = TraceEntry::Kind::write, .offset = 0xC000, .value = 0x1000},
                                      {.kind = TraceEntry::Kind::read, .offset = 0x4000},
                                      {.kind = TraceEntry::Kind::read, .offset = 0x4004},
                                      {.kind = TraceEntry::Kind::bus_master, .value = 1}};
  const std::string text = describe_trace(trace);
  EXPECT_EQ(text,
            "read  STATUS           0x00000003\n"
            "write CTRL             0x00000040\n"
            "write RDBAL[0]         (ring)\n"
            "read  statistics\n"
            "bus mastering on\n");
  EXPECT_EQ(without_read_values(text), describe_trace(trace, false));
}

}  // namespace
}  // namespace pollux::test
