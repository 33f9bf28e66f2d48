// SPDX-License-Identifier: BSD-3-Clause
#include "unit/sim/buffer_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

/// A port whose card is watched by a BufferWatch. The pool is small, so that buffers are reused often.
class SimBuffers : public testing::Test {
 protected:
  void SetUp() override {
    auto device = sim::SimDevice::create(fixture.context, "sim:watched", wire, 0);
    ASSERT_TRUE(device) << device.error().message();
    domain = &(*device)->dma_domain();
    domain->intercept(&watch);
    auto opened = open_unconfigured(fixture.context, *std::move(device));
    ASSERT_TRUE(opened) << opened.error().message();
    port.emplace(*std::move(opened));
    fixture.config.mtu = 5000;
    ASSERT_TRUE(configure_port(*port, fixture.config));
    ASSERT_TRUE(port->start());
    ASSERT_TRUE(port->wait_for_link(std::chrono::seconds(5)));
  }
  void TearDown() override {
    if (!port) return;
    EXPECT_TRUE(port->close());
    EXPECT_EQ(fixture.pool.stats().in_use(), 0u);
  }
  void forward(Burst<32>& burst) {
    port->rx(0).rx_burst(burst);
    port->tx(0).tx_burst(burst);
  }

  CardFixture fixture{{.port = {.rx = {{.ring = 32}}, .tx = {{.ring = 32}}}, .pool = {.count = 160}, .start = false}};
  std::vector<Frame> sent;
  std::shared_ptr<sim::Wire> wire =
      sim::Wire::create(*fixture.clock, std::make_unique<models::igb::Card>(),
                        [this](std::span<const std::byte> frame) { sent.emplace_back(frame.begin(), frame.end()); });
  sim::BufferWatch watch{fixture.pool, {&fixture.cache}};
  sim::Domain* domain = nullptr;
  std::optional<Port> port;
};

TEST_F(SimBuffers, AreNotFreeWhenTheCardAccessesThem) {
  DropCounter left_over("left over");
  for (unsigned i = 0; i < 500; ++i) {
    for (unsigned frames = 0; frames < 1 + i % 9; ++frames) wire->inject(counting_frame(60 + i * 9, i));
    Burst<32> burst;
    forward(burst);
    burst.drop(left_over, fixture.cache);
  }
  EXPECT_THAT(watch.violations(), testing::IsEmpty());
  EXPECT_GT(watch.checked(), 4000u);
  EXPECT_GT(sent.size(), 1000u);
}

TEST_F(SimBuffers, AreNotAccessedWhileThePortIsStopped) {
  for (int round = 0; round < 5; ++round) {
    for (unsigned i = 0; i < 10; ++i) wire->inject(counting_frame(200, i));
    ASSERT_TRUE(port->stop());
    for (unsigned i = 0; i < 10; ++i) wire->inject(counting_frame(200, i));
    ASSERT_TRUE(port->start());
    ASSERT_TRUE(port->wait_for_link(std::chrono::seconds(5)));
  }
  EXPECT_THAT(watch.violations(), testing::IsEmpty());
}

TEST_F(SimBuffers, AreRejectedIfTheyAreFree) {
  const std::uint64_t ring = wire->with_card(0, [](DeviceModel& model) {
    const auto& registers = static_cast<models::igb::Card&>(model).registers();
    return std::uint64_t{registers.get<hw::igb::RDBAH>(0).raw()} << 32 | registers.get<hw::igb::RDBAL>(0).raw();
  });
  const std::uint32_t head = wire->with_card(0, [](DeviceModel& model) {
    return static_cast<models::igb::Card&>(model).registers().get<hw::igb::RDH>(0).raw();
  });
  auto* const slot = reinterpret_cast<std::uint64_t*>(domain->translate(ring + head * 16, 16));
  ASSERT_NE(slot, nullptr);
  const std::uint64_t good = *slot;
  MbufPtr mbuf = fixture.cache.allocate();
  const std::uint64_t freed = mbuf->data_iova();
  fixture.cache.free(std::move(mbuf));
  *slot = freed;
  wire->inject(counting_frame(100));
  ASSERT_EQ(watch.violations().size(), 1u);
  EXPECT_THAT(watch.violations()[0], testing::HasSubstr("the buffer is free"));
  EXPECT_EQ(
      wire->with_card(0, [](DeviceModel& model) { return static_cast<models::igb::Card&>(model).dma().refused(); }),
      1u);
  EXPECT_NE(good, freed);
}

TEST_F(SimBuffers, AreRejectedBeyondTheirEnd) {
  const Mbuf& mbuf = fixture.pool.core()->at(3);
  const std::uint64_t start = fixture.pool.core()->buffer_iova(mbuf);
  const std::uint32_t size = fixture.pool.core()->buffer_size();
  MbufPtr allocated[160];
  for (MbufPtr& mbuf_ptr : allocated) mbuf_ptr = fixture.cache.allocate();
  EXPECT_TRUE(watch.allow(ModelAccess::payload_write, 0, start, size));
  EXPECT_FALSE(watch.allow(ModelAccess::payload_write, 0, start, size + 1));
  EXPECT_FALSE(watch.allow(ModelAccess::payload_read, 0, start + size, 1)) << "the header of the next mbuf";
  EXPECT_TRUE(watch.allow(ModelAccess::descriptor_read, 0, start + size, 16)) << "ring accesses are not checked";
  EXPECT_EQ(watch.violations().size(), 2u);
}

}  // namespace
}  // namespace pollux::test
