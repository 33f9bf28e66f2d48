// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "backends/sim/device.hpp"
#include "backends/sim/open_sim.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/card.hpp"

namespace pollux::sim {
namespace {

namespace hw = pollux::hw::igb;
using namespace std::chrono_literals;

class SimDeviceTest : public testing::Test {
 protected:
  [[nodiscard]] Result<std::unique_ptr<Device>> open(std::string_view uri) {
    return open_sim(context, uri, models::igb::make_card);
  }
  [[nodiscard]] std::unique_ptr<Device> opened(std::string_view uri) {
    auto device = open(uri);
    EXPECT_TRUE(device) << device.error().message();
    return device ? *std::move(device) : nullptr;
  }
  [[nodiscard]] static hw::Registers registers(Device& device) { return hw::Registers(*device.bar(0)); }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
};

TEST_F(SimDeviceTest, RejectsEverythingButNumbersBelow64) {
  for (const std::string_view bad : {"", "x", "-1", "64", "1x", " 1", "99999999999999999999", "0x1"}) {
    const auto device = open(bad);
    ASSERT_FALSE(device) << bad;
    EXPECT_EQ(device.error().code, ErrorCode::invalid_argument) << bad;
    EXPECT_THAT(device.error().hint, testing::HasSubstr("sim:0 to sim:63"));
  }
  EXPECT_TRUE(open("63"));
}

TEST_F(SimDeviceTest, OpensOnlyOnceAtATime) {
  auto first = opened("4");
  const auto second = open("4");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_THAT(second.error().what, testing::HasSubstr("sim:4"));
  first.reset();
  EXPECT_TRUE(open("4"));
}

TEST_F(SimDeviceTest, HasTheConfigurationSpaceOfAnIntelCard) {
  auto device = opened("0");
  EXPECT_EQ(device->name(), "sim:0");
  EXPECT_EQ(device->identity().device, 0x10C9);
  EXPECT_EQ(*device->read_config(0, 4), 0x10C98086u);
  EXPECT_EQ(*device->read_config(0, 1), 0x86u);
  EXPECT_EQ(*device->read_config(8, 4) >> 8, 0x020000u);
  ASSERT_TRUE(device->write_config(0, 2, 0));
  EXPECT_EQ(*device->read_config(0, 2), 0x8086u);
  ASSERT_TRUE(device->write_config(0x10, 4, 0xFFFFFFFF));
  EXPECT_EQ(*device->read_config(0x10, 4), ~(hw::kRegisterBytes - 1));
  for (const auto& [offset, width] : {std::pair{0u, 3u}, {1u, 2u}, {4096u, 1u}, {2u, 4u}, {0u, 0u}}) {
    EXPECT_EQ(device->read_config(offset, width).error().code, ErrorCode::invalid_argument) << offset << ' ' << width;
    EXPECT_FALSE(device->write_config(offset, width, 0));
  }
}

TEST_F(SimDeviceTest, HasRegistersAndAnMsixTable) {
  auto device = opened("0");
  EXPECT_EQ(device->bar(hw::kRegisterBar)->size(), hw::kRegisterBytes);
  EXPECT_TRUE(device->bar(hw::kMsixBar));
  EXPECT_EQ(device->bar(1).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(device->bar(6).error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(registers(*device).removed());
}

TEST_F(SimDeviceTest, GivesEachCardItsOwnMacAddress) {
  std::set<std::uint64_t> addresses;
  std::vector<std::unique_ptr<Device>> cards;
  for (unsigned number = 0; number < 64; ++number) {
    cards.push_back(opened(std::to_string(number)));
    const auto regs = registers(*cards.back());
    addresses.insert(std::uint64_t{regs.read<hw::RAH>(0).raw()} << 32 | regs.read<hw::RAL>(0).raw());
  }
  EXPECT_EQ(addresses.size(), cards.size());
}

TEST_F(SimDeviceTest, ResetsByCallAndByConfigurationSpace) {
  auto device = opened("0");
  const auto regs = registers(*device);
  regs.write<hw::LEDCTL>(hw::LEDCTL::LED0_MODE(14));
  ASSERT_TRUE(device->reset());
  EXPECT_EQ(regs.read<hw::LEDCTL>().raw(), 0u);
  EXPECT_FALSE(regs.read<hw::CTRL>().has(hw::CTRL::RST)) << "ready when reset() returns";
  regs.write<hw::LEDCTL>(hw::LEDCTL::LED0_MODE(14));
  ASSERT_TRUE(device->write_config(ConfigSpace::kDeviceControl, 2, ConfigSpace::kInitiateReset));
  EXPECT_EQ(regs.read<hw::LEDCTL>().raw(), 0u);
  EXPECT_EQ(*device->read_config(ConfigSpace::kDeviceControl, 2) & ConfigSpace::kInitiateReset, 0u);
}

TEST_F(SimDeviceTest, AdvancesItsCardWithTheManualClock) {
  auto device = opened("0");
  const auto regs = registers(*device);
  regs.write<hw::CTRL>(regs.read<hw::CTRL>().with(hw::CTRL::RST));
  EXPECT_TRUE(regs.read<hw::CTRL>().has(hw::CTRL::RST));
  clock->sleep_for(1ms);
  EXPECT_FALSE(regs.read<hw::CTRL>().has(hw::CTRL::RST));
}

TEST_F(SimDeviceTest, SignalsInterruptsOnDescriptors) {
  auto device = opened("0");
  const auto regs = registers(*device);
  EXPECT_EQ(device->enable_interrupts(26).error().code, ErrorCode::invalid_argument);
  const auto events = device->enable_interrupts(2);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2u);
  regs.write<hw::GPIE>(hw::GPIE::MSIX_MODE);
  regs.write<hw::EIMS>(hw::EIMS::Value(7));
  regs.write<hw::EICS>(hw::EICS::Value(2 | 4));
  pollfd waits[2] = {{(*events)[0], POLLIN, 0}, {(*events)[1], POLLIN, 0}};
  EXPECT_EQ(::poll(waits, 2, 0), 1);
  EXPECT_EQ(waits[0].revents, 0);
  EXPECT_EQ(waits[1].revents, POLLIN);
  const auto none = device->enable_interrupts(0);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST_F(SimDeviceTest, ReachesOnlyWhatTheContextMapped) {
  auto device = opened("0");
  auto& domain = dynamic_cast<Domain&>(device->dma_domain());
  auto memory = context.allocate({.size = 8192, .purpose = "test"});
  ASSERT_TRUE(memory) << memory.error().message();
  const DmaSegment segment = memory->segments()[0];
  EXPECT_EQ(domain.translate(segment.iova + 100, 10), segment.address + 100);
  EXPECT_EQ(domain.translate(segment.iova, segment.size), segment.address);
  EXPECT_EQ(domain.refused(), 0u);
  EXPECT_EQ(domain.contiguous(segment.iova + 1, 10), 10U);
  EXPECT_EQ(domain.contiguous(segment.iova + segment.size - 1, 2), 1U);
  EXPECT_EQ(domain.contiguous(segment.iova - 1, 2), 2U) << "nothing is mapped there";
  EXPECT_EQ(domain.translate(segment.iova + segment.size - 1, 2), nullptr);
  EXPECT_EQ(domain.translate(segment.iova - 1, 1), nullptr);
  EXPECT_EQ(domain.translate(~std::uint64_t{0}, 2), nullptr);
  EXPECT_EQ(domain.refused(), 3u);
  memory = DmaMemory();
  EXPECT_EQ(domain.translate(segment.iova, 1), nullptr) << "unmapped, although it was the last segment in the cache";
}

TEST(SimDeviceLog, ReportsRefusedAccessesOnceAndWithoutTheWiresLock) {
  std::vector<std::string> lines;
  std::unique_ptr<Device> device;
  Context context({.log =
                       [&](LogLevel level, std::string_view line) {
                         if (level != LogLevel::error) return;
                         lines.emplace_back(line);
                         // An application's log callback may access the card again.
                         EXPECT_FALSE(hw::Registers(*device->bar(0)).removed());
                       },
                   .huge_pages = HugePages::never,
                   .arena_size = std::size_t{1} << 30});
  device = *open_sim(context, "0", models::igb::make_card);
  auto& domain = dynamic_cast<Domain&>(device->dma_domain());
  EXPECT_EQ(domain.translate(0xABCD000, 64), nullptr);
  EXPECT_EQ(domain.translate(0xDCBA000, 128), nullptr);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(hw::Registers(*device->bar(0)).removed());
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], testing::HasSubstr("sim:0: 2 accesses"));
  EXPECT_THAT(lines[0], testing::HasSubstr("128 bytes at 0xdcba000"));
  device.reset();
}

TEST(SimDomain, RejectsOverlappingMappingsAndUnknownUnmaps) {
  Domain domain(std::make_shared<std::mutex>(), std::make_shared<WorkBudget>());
  std::byte memory[16];
  const DmaSegment segment{memory, 0x1000, 0x1000};
  ASSERT_TRUE(domain.map(segment));
  EXPECT_FALSE(domain.map(segment));
  EXPECT_FALSE(domain.map({memory, 0x0, 0x1001}));
  EXPECT_FALSE(domain.map({memory, 0x1FFF, 0x10}));
  EXPECT_TRUE(domain.map({memory, 0x0, 0x1000}));
  EXPECT_TRUE(domain.map({memory, 0x2000, 0x1000}));
  EXPECT_FALSE(domain.unmap({memory, 0x1000, 0x800}));
  EXPECT_TRUE(domain.unmap(segment));
  EXPECT_FALSE(domain.unmap(segment));
}

TEST_F(SimDeviceTest, CannotAccessMemoryWithoutBusMastering) {
  auto device = opened("0");
  auto& sim = dynamic_cast<SimDevice&>(*device);
  const auto active = [&] {
    return sim.wire().with_card(0,
                                [](DeviceModel& card) { return static_cast<models::igb::Card&>(card).dma().active(); });
  };
  EXPECT_FALSE(active());
  ASSERT_TRUE(device->set_bus_master(true));
  EXPECT_TRUE(active());
  EXPECT_NE(*device->read_config(ConfigSpace::kCommand, 2) & ConfigSpace::kCommandMaster, 0u);
  ASSERT_TRUE(device->set_bus_master(false));
  EXPECT_FALSE(active());
}

/// A card whose registers are memory, with accesses of 1, 2 and 4 bytes. Its MSI-X table lies behind them, in the only
/// BAR.
class NarrowCard final : public DeviceModel {
 public:
  static constexpr unsigned kBar = 1;
  static constexpr std::uint32_t kTable = 0x800;

  [[nodiscard]] PciIdentity identity() const override { return {}; }
  [[nodiscard]] std::size_t bar_size(unsigned index) const override { return index == kBar ? sizeof bytes_ : 0; }
  [[nodiscard]] std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept override {
    return read_narrow(bar, offset, 4);
  }
  void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override {
    write_narrow(bar, offset, 4, value);
  }
  [[nodiscard]] std::uint32_t read_narrow(unsigned, std::uint32_t offset, unsigned width) noexcept override {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes_.data() + offset, width);
    return value;
  }
  void write_narrow(unsigned, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    std::memcpy(bytes_.data() + offset, &value, width);
  }
  void set_dma(ModelDma*) noexcept override {}
  void reset() noexcept override {}
  void advance(Duration) noexcept override {}
  [[nodiscard]] unsigned interrupt_vectors() const override { return 2; }
  [[nodiscard]] MsixLayout msix_layout() const override { return {.bar = kBar, .table = kTable, .pending = 0xC00}; }
  void on_interrupt(std::function<void(unsigned)>) override {}
  void on_transmit(WireHandler) override {}
  void set_carrier(bool) noexcept override {}
  void receive(std::span<const std::byte>) noexcept override {}

 private:
  std::array<std::byte, 4096> bytes_{};
};

TEST_F(SimDeviceTest, PassesAccessesOfEveryWidthToTheCard) {
  const auto wire = Wire::create(*clock, std::make_unique<NarrowCard>(), [](std::span<const std::byte>) {});
  const auto device = SimDevice::create(context, "sim:0", wire, 0).value();
  const Bar bar = device->bar(NarrowCard::kBar).value();
  bar.write32(8, 0x44332211);
  bar.write32(12, 0x88776655);
  bar.write8(9, 0xAA);
  bar.write16(10, 0xBBCC);
  EXPECT_EQ(bar.read32(8), 0xBBCCAA11u);
  EXPECT_EQ(bar.read8(9), 0xAA);
  EXPECT_EQ(bar.read16(10), 0xBBCC);
  EXPECT_EQ(bar.read32(12), 0x88776655u) << "the narrow writes did not touch it";
}

TEST_F(SimDeviceTest, FindsTheVectorsWhereTheCardHasThem) {
  const auto wire = Wire::create(*clock, std::make_unique<NarrowCard>(), [](std::span<const std::byte>) {});
  const auto device = SimDevice::create(context, "sim:0", wire, 0).value();
  EXPECT_EQ(*device->read_config(ConfigSpace::kMsixTable, 4), NarrowCard::kTable | NarrowCard::kBar);
  EXPECT_EQ(*device->read_config(ConfigSpace::kMsixTable + 4, 4), 0xC00U | NarrowCard::kBar);
  ASSERT_TRUE(device->enable_interrupts(1));
  const Bar bar = device->bar(NarrowCard::kBar).value();
  EXPECT_EQ(bar.read32(NarrowCard::kTable + 12), 0U) << "vector 0 is not masked";
  EXPECT_EQ(bar.read32(NarrowCard::kTable + 16 + 12), 1U) << "vector 1 is";
}

TEST_F(SimDeviceTest, KeepsTheWidthOfPostedWrites) {
  SteadyClock real;
  const auto wire = Wire::create(real, std::make_unique<NarrowCard>(), [](std::span<const std::byte>) {});
  ASSERT_TRUE(wire->run_threaded());
  const auto device = SimDevice::create(context, "sim:0", wire, 0).value();
  const Bar bar = device->bar(NarrowCard::kBar).value();
  bar.write32(8, 0x44332211);
  bar.write32(12, 0x88776655);
  bar.write8(9, 0xAA);
  bar.write16(10, 0xBBCC);
  EXPECT_EQ(bar.read32(8), 0xBBCCAA11u);
  EXPECT_EQ(bar.read32(12), 0x88776655u) << "the narrow writes did not touch it";
}

/// A card that sends each frame back, up to a given number of frames.
class EchoCard final : public DeviceModel {
 public:
  explicit EchoCard(int answers) : answers_(answers) {}
  [[nodiscard]] PciIdentity identity() const override { return {}; }
  [[nodiscard]] std::size_t bar_size(unsigned) const override { return 0; }
  [[nodiscard]] std::uint32_t read32(unsigned, std::uint32_t) noexcept override { return 0; }
  void write32(unsigned, std::uint32_t, std::uint32_t) noexcept override {}
  void set_dma(ModelDma*) noexcept override {}
  void reset() noexcept override {}
  void advance(Duration) noexcept override {}
  [[nodiscard]] unsigned interrupt_vectors() const override { return 0; }
  void on_interrupt(std::function<void(unsigned)>) override {}
  void on_transmit(WireHandler handler) override { send_ = std::move(handler); }
  void set_carrier(bool) noexcept override {}
  void receive(std::span<const std::byte> frame) noexcept override {
    ++depth_;
    deepest_ = std::max(deepest_, depth_);
    ++received_;
    if (answers_-- > 0) send_(frame);
    --depth_;
  }
  int received_ = 0;
  int deepest_ = 0;

 private:
  WireHandler send_;
  int answers_;
  int depth_ = 0;
};

TEST(SimWire, DeliversAnswersWithoutRecursion) {
  ManualClock clock;
  auto left_owner = std::make_unique<EchoCard>(100);
  auto right_owner = std::make_unique<EchoCard>(100);
  EchoCard& left = *left_owner;
  EchoCard& right = *right_owner;
  const auto wire = Wire::create(clock, std::move(left_owner), std::move(right_owner));
  ASSERT_TRUE(wire->claim(0));
  ASSERT_TRUE(wire->claim(1));
  EXPECT_FALSE(wire->claim(1));
  wire->inject(std::vector<std::byte>(60));
  EXPECT_EQ(left.received_, 101);
  EXPECT_EQ(right.received_, 100);
  EXPECT_EQ(left.deepest_, 1);
}

TEST(SimWire, CountsFramesForAnUnopenedEnd) {
  ManualClock clock;
  auto card = std::make_unique<EchoCard>(0);
  EchoCard& left = *card;
  const auto wire = Wire::create(clock, std::move(card), std::make_unique<EchoCard>(0));
  wire->inject(std::vector<std::byte>(60));
  EXPECT_EQ(left.received_, 0);
  EXPECT_EQ(wire->counters(1).dropped_unopened, 1u);
  ASSERT_TRUE(wire->claim(0));
  wire->inject(std::vector<std::byte>(60));
  EXPECT_EQ(left.received_, 1);
  EXPECT_EQ(wire->counters(1).carried, 1u);
}

}  // namespace
}  // namespace pollux::sim
