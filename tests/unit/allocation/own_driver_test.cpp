// SPDX-License-Identifier: BSD-3-Clause
// The driver of an example, which a program adds to the library's.
#include <gtest/gtest.h>

#include <memory>
#include <new>

#include "own_driver/card.hpp"
#include "own_driver/driver.hpp"
#include "pollux/pollux.hpp"
#include "support/quiet_context.hpp"
#include "unit/allocation/failing_new.hpp"

namespace pollux::test {
namespace {

/// Opens a port of the driver. Returns its number, or -1 if memory was lacking.
int open_number(Context& context) {
  try {
    const auto port = open_unconfigured(context, "sim:0?card=toy");
    return port ? port->info().index : -1;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

TEST(OwnDriverAllocation, AFailedOneCostsNoPortNumber) {
  Context context(quiet_context());
  ASSERT_TRUE(add_driver(context, own_driver::driver()));
  ASSERT_TRUE(add_card_model(
      context, {.name = "toy", .make = [](unsigned number) { return std::make_unique<own_driver::Card>(number); }}));
  std::size_t at = 0;
  for (bool failed = true; failed && at < 1000; ++at) {
    failing_new::fail_at(at);
    static_cast<void>(open_number(context));
    failed = failing_new::disarm();
    ASSERT_EQ(open_number(context), 0) << "after allocation " << at << " failed";
  }
  EXPECT_GT(at, 20u) << "some allocations failed";
}

}  // namespace
}  // namespace pollux::test
