// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "golden/golden.hpp"
#include "pollux/base/clock.hpp"

namespace pollux::test {
namespace {

/// A declared difference between the driver's accesses to QEMU's card and to the in-process card.
struct Difference {
  std::string_view expected;  ///< lines of the golden file
  std::string_view found;     ///< the lines of the trace on QEMU's card
  std::string_view reason;
};
constexpr std::array kDifferences{
    Difference{"write GCR              set 0x00000000, clear 0x00000000\n",
               "write GCR              set 0x00000000, clear 0x00010000\n",
               "after a reset, GCR.COMPLETION_TIMEOUT_RESEND is set on QEMU's card"},
    Difference{"configuration space read\nconfig write at 0xc8: 0x5\n", "configuration space read\n",
               "the next row adds this write after each read"},
    Difference{"configuration space read\n", "configuration space read\nconfig write at 0xc8: 0x5\n",
               "QEMU's Device Control 2 keeps no completion timeout, so the driver tries to raise it after each reset"},
    Difference{"write MDIC             0x04390000\n", "write MDIC             0x0439008d\n",
               "QEMU's PHY register 25 is 0x008d after a reset; the driver clears one bit and keeps the others"},
    Difference{"write TCTL_EXT         set 0x0000fc00, clear 0x00000000\n",
               "write TCTL_EXT         set 0x0000f400, clear 0x00010000\n",
               "after a reset, TCTL_EXT.COLD has a different value on QEMU's card"},
};

std::string apply_differences(std::string text) {
  for (const Difference& difference : kDifferences) {
    for (std::size_t at = text.find(difference.expected); at != std::string::npos;
         at = text.find(difference.expected, at + difference.found.size())) {
      text.replace(at, difference.expected.size(), difference.found);
    }
  }
  return text;
}

TEST(GoldenTrace, OpenStartStopAndCloseOnQemusCard) {
  const std::vector<Phase> phases = trace_life("qtest:0", std::make_shared<SteadyClock>());
  EXPECT_FALSE(phases.empty());
  for (const Phase& phase : phases) {
    const std::string expected = apply_differences(without_read_values(golden_text(phase.file)));
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(first_difference(expected, describe_trace(phase.trace, false)), "") << "in tests/golden/" << phase.file;
  }
}

}  // namespace
}  // namespace pollux::test
