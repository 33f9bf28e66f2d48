// SPDX-License-Identifier: BSD-3-Clause
// The igb driver on cards behind the protocol: its registers, interrupts, descriptors and frames pass through it.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <utility>

#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;

/// A process with Pollux's driver for both cards. Their servers work while it waits.
class VfioUserDriver : public testing::Test {
 protected:
  explicit VfioUserDriver(const std::vector<std::string>& uris = {"sim:0", "sim:1"}) : fixture(uris) {}

  std::optional<Port> open_card(unsigned index) {
    auto device = std::make_unique<VfioUserDevice>(context, fixture.path(index), [this] { fixture.pump(); });
    auto port = open(context, std::move(device), {.rx = {{.pool = pool, .ring = 64}}, .tx = {{.ring = 64}}});
    EXPECT_TRUE(port) << port.error().message();
    return port ? std::optional<Port>(*std::move(port)) : std::nullopt;
  }
  std::vector<std::byte> frame(std::size_t bytes, unsigned seed) {
    std::vector<std::byte> made(bytes, std::byte{0xFF});
    for (std::size_t i = 6; i < bytes; ++i) made[i] = static_cast<std::byte>(seed + i);
    return made;
  }
  bool send(Port& port, const std::vector<std::byte>& bytes) {
    MbufPtr mbuf = cache.allocate();
    if (mbuf == nullptr) return false;
    std::memcpy(mbuf->append(static_cast<std::uint32_t>(bytes.size())), bytes.data(), bytes.size());
    Burst<1> burst;
    return burst.push(mbuf) && port.tx(0).tx_burst(burst) == 1;
  }
  std::vector<std::byte> receive(Port& port) {
    Burst<1> burst;
    for (int i = 0; i < 100 && burst.empty(); ++i) port.rx(0).rx_burst(burst);
    if (burst.empty()) return {};
    const auto* const data = reinterpret_cast<const std::byte*>(burst[0].data());
    return {data, data + burst[0].length()};
  }

  ServerFixture fixture;
  Context context{{.clock = fixture.clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 1024}).value();
  MempoolCache cache{pool};
};

TEST_F(VfioUserDriver, SendsAndReceivesFrames) {
  auto left = open_card(0);
  auto right = open_card(1);
  ASSERT_TRUE(left && right);
  ASSERT_TRUE(left->wait_for_link(5s));
  ASSERT_TRUE(right->wait_for_link(5s));
  for (unsigned i = 0; i < 300; ++i) {
    for (const auto& [from, to] : {std::pair{&*left, &*right}, {&*right, &*left}}) {
      const auto sent = frame(60 + i * 4, i);
      ASSERT_TRUE(send(*from, sent)) << i;
      ASSERT_EQ(receive(*to), sent) << i;
    }
  }
  EXPECT_EQ(left->stats().rx_packets, 300u);
  EXPECT_EQ(right->stats().tx_packets, 300u);
}

TEST_F(VfioUserDriver, StopsStartsAndOpensAgain) {
  auto right = open_card(1);
  for (int i = 0; i < 3; ++i) {
    auto left = open_card(0);
    ASSERT_TRUE(left && right);
    ASSERT_TRUE(left->stop());
    ASSERT_TRUE(left->start());
    ASSERT_TRUE(left->wait_for_link(5s));
    ASSERT_TRUE(right->wait_for_link(5s));
    const auto sent = frame(100, 1);
    ASSERT_TRUE(send(*left, sent));
    EXPECT_EQ(receive(*right), sent);
  }
  EXPECT_EQ(fixture.server().sessions_ended(), 3u - (fixture.server().has_client() ? 1u : 0u));
}

class VfioUserDriverOnAFaultyCard : public VfioUserDriver {
 protected:
  VfioUserDriverOnAFaultyCard() : VfioUserDriver({"fault:removal@1,sim:0"}) {}
};

TEST_F(VfioUserDriverOnAFaultyCard, SeesTheFault) {
  auto device = std::make_unique<VfioUserDevice>(context, fixture.path(), [this] { fixture.pump(); });
  const auto port = open(context, std::move(device), {.rx = {{.pool = pool, .ring = 64}}, .tx = {{.ring = 64}}});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::device_removed) << port.error().message();
}

}  // namespace
}  // namespace pollux::test
