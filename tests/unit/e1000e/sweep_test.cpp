// SPDX-License-Identifier: BSD-3-Clause
// A fault at each access of a port's life: it ends by itself, says what failed, and leaks nothing.
#include <fmt/format.h>

#include "unit/e1000e/fake_card.hpp"

namespace pollux {
namespace {

/// Accesses of a life without a fault, rounded up.
constexpr std::uint64_t kAccesses = 4000;

class SweepE1000e : public testing::TestWithParam<const char*> {};

TEST_P(SweepE1000e, EveryAccess) {
  const std::string kind = GetParam();
  unsigned failed = 0;
  for (std::uint64_t at = 1; at < kAccesses; at += at < 201 ? 3 : 127) {
    SCOPED_TRACE(fmt::format("{}@{}", kind, at));
    test::FakeFixture fixture;
    auto port = fixture.start(fmt::format("fault:{}@{},", kind, at), 2);
    if (!port) {
      ++failed;
      EXPECT_FALSE(port.error().message().empty());
      EXPECT_EQ(fixture.pool.stats().in_use(), 0U);
      continue;
    }
    static_cast<void>(port->service());
    static_cast<void>(port->change([](Settings& settings) { settings.mtu = 9000; }));
    static_cast<void>(port->stop());
    static_cast<void>(port->start());
    static_cast<void>(port->suspend());
    static_cast<void>(port->resume());
    const auto closed = port->close();
    EXPECT_TRUE(closed || closed.error().code == ErrorCode::device_removed) << closed.error().message();
    EXPECT_EQ(fixture.pool.stats().in_use(), 0U);
  }
  EXPECT_GT(failed, 0U);  // what the driver reads once and believes
}

INSTANTIATE_TEST_SUITE_P(Kinds, SweepE1000e, testing::Values("removal", "ones", "zeros", "lost-write"));

}  // namespace
}  // namespace pollux
