// SPDX-License-Identifier: BSD-3-Clause
// A card that lies in its receive descriptors.
#include "unit/e1000e/fake_card.hpp"

namespace pollux {
namespace {

namespace rx = hw::intel::rx;

constexpr std::uint64_t kEnd = rx::kDone | rx::kEndOfPacket;
constexpr std::uint64_t bytes(std::uint64_t length) { return length << 32; }

struct Lie {
  std::string_view name;
  hw::intel::Descriptor what;
  std::uint64_t RxDrops::*counter = nullptr;  // nullptr: it may be a frame
};

const std::vector<Lie>& lies() {
  static const std::vector<Lie> all{
      {"no bytes", {0, kEnd}, &RxDrops::bad_length},
      {"more bytes than the buffer has", {0, kEnd | bytes(2049)}, &RxDrops::bad_length},
      {"the most bytes that the field holds", {0, kEnd | bytes(0xFFFF)}, &RxDrops::bad_length},
      {"an error", {0, kEnd | bytes(60) | std::uint64_t{1} << 31}, &RxDrops::error},
      {"every status, every error", {~std::uint64_t{0}, 0xFFFFFFFFU | bytes(60)}, &RxDrops::error},
      {"all ones", {~std::uint64_t{0}, ~std::uint64_t{0}}, nullptr},
      {"every kind of hash", {~std::uint64_t{0}, kEnd | bytes(60)}, nullptr},
      {"every status without an error", {0, 0x00FFFFFFU | bytes(60)}, nullptr},
  };
  return all;
}

std::uint64_t drops(Port& port) {
  std::uint64_t sum = 0;
  for (const Counter& counter : port.extended_stats()) {
    if (counter.name.starts_with("rx_drop") || counter.name == "rx_bad_length" || counter.name == "rx_error") {
      sum += counter.value;
    }
  }
  return sum;
}

class HostileE1000e : public testing::TestWithParam<std::size_t> {};

TEST_P(HostileE1000e, ALieDropsAtMostItsOwnFrame) {
  const Lie& lie = lies()[GetParam()];
  SCOPED_TRACE(lie.name);
  test::FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  DropCounter seen("seen");
  // A slot that is done without bytes may be one that is still being written (kMaxEmptyWritebackPolls).
  const int polls = rx::length(lie.what.hi) == 0 ? 1010 : 3;
  const int rounds = polls == 3 ? 200 : 40;  // laps of the ring
  for (int round = 0; round < rounds; ++round) {
    ASSERT_TRUE(fixture.card->write_back(lie.what));
    ASSERT_TRUE(fixture.card->write_back({0, kEnd | bytes(60)}));
    std::size_t good = 0;
    for (int poll = 0; poll < polls; ++poll) {
      Burst<32> burst;
      port->rx(0).rx_burst(burst);
      for (const Mbuf& mbuf : burst) {
        EXPECT_LE(mbuf.length(), 2048U);
        good += mbuf.length() == 60 ? 1U : 0U;
      }
      burst.drop(seen, fixture.cache);
    }
    ASSERT_GE(good, 1U) << "the frame after it";
    ASSERT_LE(good, 2U);
  }
  if (lie.counter != nullptr) {
    EXPECT_GE(drops(*port), static_cast<unsigned>(rounds)) << "each is counted by its reason";
  }
  EXPECT_TRUE(port->stop());
  EXPECT_EQ(fixture.card->receivers_disabled, 0U);
  ASSERT_TRUE(port->close());
  EXPECT_EQ(fixture.pool.stats().in_use(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Lies, HostileE1000e, testing::Range(std::size_t{0}, lies().size()));

TEST(HostileE1000eChains, AFrameThatNeverEndsIsDropped) {
  test::FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  DropCounter seen("seen");
  for (int piece = 0; piece < 500; ++piece) {
    ASSERT_TRUE(fixture.card->write_back({0, rx::kDone | bytes(2048)}));
    Burst<32> burst;
    EXPECT_EQ(port->rx(0).rx_burst(burst), 0U) << piece;
  }
  ASSERT_TRUE(fixture.card->write_back({0, kEnd | bytes(1)}));
  ASSERT_TRUE(fixture.card->write_back({0, kEnd | bytes(60)}));
  Burst<32> burst;
  for (int poll = 0; poll < 3 && burst.empty(); ++poll) port->rx(0).rx_burst(burst);
  ASSERT_EQ(burst.size(), 1U);
  EXPECT_EQ(burst[0].length(), 60U);
  burst.drop(seen, fixture.cache);
  ASSERT_TRUE(port->close());
  EXPECT_EQ(fixture.pool.stats().in_use(), 0U);
}

}  // namespace
}  // namespace pollux
