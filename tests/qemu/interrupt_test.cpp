// SPDX-License-Identifier: BSD-3-Clause
#include <poll.h>
#include <unistd.h>

#include <memory>

#include "backends/qtest/device.hpp"
#include "hw/intel/igb/registers.hpp"
#include "qemu/fixture.hpp"

namespace pollux::msix {
namespace {

namespace reg = hw::igb;
using test::QemuFixture;

/// True if the eventfd is signalled within `milliseconds`. Clears the signals.
bool take(int event, int milliseconds) {
  pollfd query{.fd = event, .events = POLLIN, .revents = 0};
  if (::poll(&query, 1, milliseconds) != 1) return false;
  std::uint64_t signals = 0;
  return ::read(event, &signals, sizeof signals) == static_cast<ssize_t>(sizeof signals);
}

constexpr int kLongMilliseconds = 60000;

struct Interrupts : testing::Test {
  std::unique_ptr<Device> open(const std::string& which) {
    auto device = qtest::open_qtest(fixture.context, which);
    if (!device) throw std::runtime_error(device.error().message());
    EXPECT_TRUE((*device)->set_bus_master(true));
    return *std::move(device);
  }
  /// Selects MSI-X mode and enables the interrupts of `vectors`, a bit mask.
  static reg::Registers prepare(Device& card, std::uint32_t vectors) {
    const reg::Registers regs(card.bar(0).value());
    regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE);
    regs.write<reg::EIMS>(reg::EIMS::Value(vectors));
    regs.flush();
    return regs;
  }
  QemuFixture fixture;
};

TEST_F(Interrupts, EachVectorReachesItsOwnEventfd) {
  const auto card = open("0");
  ASSERT_EQ(card->interrupt_vectors(), 10u);
  const auto events = card->enable_interrupts(10);
  ASSERT_TRUE(events) << events.error().message();
  ASSERT_EQ(events->size(), 10u);
  const reg::Registers regs = prepare(*card, 0x3FF);
  for (const std::uint32_t vector : {0u, 9u, 4u, 1u, 8u, 2u, 7u, 3u, 6u, 5u}) {
    regs.write<reg::EICS>(reg::EICS::Value(1u << vector));
    regs.flush();
    EXPECT_TRUE(take((*events)[vector], kLongMilliseconds)) << vector;
    for (const int event : *events) EXPECT_FALSE(take(event, 0));
  }
}

TEST_F(Interrupts, ReachOnlyTheirOwnCard) {
  const auto left = open("0");
  const auto right = open("1");
  const auto left_events = left->enable_interrupts(1);
  const auto right_events = right->enable_interrupts(1);
  ASSERT_TRUE(left_events && right_events);
  const reg::Registers regs = prepare(*right, 1);
  regs.write<reg::EICS>(reg::EICS::Value(1));
  regs.flush();
  EXPECT_TRUE(take(right_events->front(), kLongMilliseconds));
  EXPECT_FALSE(take(left_events->front(), 0));
}

TEST_F(Interrupts, VectorsThatAreNotEnabledStayMaskedAndOldSignalsAreCleared) {
  const auto card = open("0");
  const auto all = card->enable_interrupts(3);
  ASSERT_TRUE(all);
  const int last = (*all)[2];
  const reg::Registers regs = prepare(*card, 7);
  regs.write<reg::EICS>(reg::EICS::Value(4));
  regs.flush();
  const auto fewer = card->enable_interrupts(1);
  ASSERT_TRUE(fewer);
  ASSERT_EQ(fewer->size(), 1u);
  EXPECT_FALSE(take(last, 0));
  regs.write<reg::EICS>(reg::EICS::Value(4));
  regs.write<reg::EICS>(reg::EICS::Value(1));
  regs.flush();
  EXPECT_TRUE(take(fewer->front(), kLongMilliseconds));
  EXPECT_FALSE(take(last, 0));
}

TEST_F(Interrupts, NoneArriveWhenDisabledAndTooManyAreRejected) {
  const auto card = open("0");
  const auto some = card->enable_interrupts(2);
  ASSERT_TRUE(some);
  const int first = some->front();
  const auto none = card->enable_interrupts(0);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  const reg::Registers regs = prepare(*card, 3);
  regs.write<reg::EICS>(reg::EICS::Value(3));
  regs.flush();
  EXPECT_FALSE(take(first, 50));
  EXPECT_EQ(card->enable_interrupts(11).error().code, ErrorCode::invalid_argument);
  // The same descriptor works again. So it had not been closed; it got no signals because interrupts were disabled.
  const auto again = card->enable_interrupts(2);
  ASSERT_TRUE(again);
  ASSERT_EQ(again->front(), first);
  regs.write<reg::EICS>(reg::EICS::Value(1));
  regs.flush();
  EXPECT_TRUE(take(first, kLongMilliseconds));
}

}  // namespace
}  // namespace pollux::msix
