// SPDX-License-Identifier: BSD-3-Clause
#include "net/burst_mode.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "base/compiler.hpp"
#include "pollux/net/burst_mode.hpp"

namespace pollux {
namespace {

#if defined(__x86_64__)
/// The value of that field for the first processor in /proc/cpuinfo.
std::string cpuinfo(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name) && line.find_first_not_of(" \t", name.size()) == line.find(':')) {
      return line.substr(line.find(": ") + 2);
    }
  }
  return "";
}

TEST(Processor, AgreesWithTheKernel) {
  const Processor processor = this_processor();
  EXPECT_EQ(processor.vendor, cpuinfo("vendor_id"));
  EXPECT_EQ(std::to_string(processor.family), cpuinfo("cpu family"));
}
#else
TEST(Processor, AgreesWithTheKernel) { EXPECT_EQ(this_processor().vendor, ""); }
#endif

TEST(Processor, Avx512IsUsedOnlyWhereMeasuredFaster) {
  EXPECT_TRUE(is_faster_with_avx512({.vendor = "AuthenticAMD", .family = 0x1A}));
  EXPECT_FALSE(is_faster_with_avx512({.vendor = "AuthenticAMD", .family = 0x19})) << "not measured";
  EXPECT_FALSE(is_faster_with_avx512({.vendor = "GenuineIntel", .family = 6})) << "measured: slower";
  EXPECT_FALSE(is_faster_with_avx512({.vendor = "GenuineIntel", .family = 0x1A}));
  EXPECT_FALSE(is_faster_with_avx512({}));
}

TEST(Processor, BestIsAvx2UnlessAnotherModeIsKnownToBeFaster) {
  const BurstMode best = best_of(BurstMode::best);
  ASSERT_TRUE(processor_has(best));
  if (best == BurstMode::avx512) {
    EXPECT_TRUE(is_faster_with_avx512(this_processor()));
  }
  if (best == BurstMode::scalar && !this_processor().is_tcg) {
#if !defined(POLLUX_THREAD_SANITIZER)
    EXPECT_FALSE(processor_has(BurstMode::avx2));
#endif
  }
  for (const BurstMode mode : {BurstMode::scalar, BurstMode::avx2, BurstMode::avx512, BurstMode::neon}) {
    EXPECT_EQ(best_of(mode), mode) << "an explicit mode is kept";
  }
}

}  // namespace
}  // namespace pollux
