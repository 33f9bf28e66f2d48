// SPDX-License-Identifier: BSD-3-Clause
#include "metrics.hpp"

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <vector>

namespace pollux::tool {
namespace {

TEST(ProgramMetrics, WithoutMemoryThereAreNone) {
  const ProgramMetrics metrics([]() -> std::vector<std::string> { throw std::bad_alloc(); });
  EXPECT_TRUE(metrics.Collect().empty());
}

}  // namespace
}  // namespace pollux::tool
