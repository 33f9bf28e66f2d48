// SPDX-License-Identifier: BSD-3-Clause
// Tests FaultDevice without a driver: each kind of fault has the documented effect, at the planned occurrence, until it
// is disabled.
#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <utility>

#include "backends/sim/device.hpp"
#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/card.hpp"
#include "pollux/device/fault.hpp"
#include "pollux/open.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

bool is_signalled(int event) {
  pollfd look{.fd = event, .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, 0) == 1;
}

/// A card with a fault, without a driver.
struct DeviceFixture {
  explicit DeviceFixture(FaultPlan plan) : faults(std::make_shared<FaultInjector>(std::move(plan))) {
    wire = sim::Wire::create(*clock, std::make_unique<models::igb::Card>(), [](std::span<const std::byte>) {});
    auto inner = sim::SimDevice::create(context, "sim:0", wire, 0);
    EXPECT_TRUE(inner) << inner.error().message();
    auto faulty = with_faults(context, *std::move(inner), faults);
    EXPECT_TRUE(faulty) << faulty.error().message();
    device = *std::move(faulty);
    bar = device->bar(0).value();
  }
  [[nodiscard]] std::uint32_t read() const { return bar.read32(reg::RLPML::offset(0)); }
  void write(std::uint32_t value) const { bar.write32(reg::RLPML::offset(0), value); }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  std::shared_ptr<sim::Wire> wire;
  std::shared_ptr<FaultInjector> faults;
  std::unique_ptr<Device> device;
  Bar bar;
};

TEST(FaultDevice, CountsOccurrencesWithoutAFault) {
  DeviceFixture fixture({});
  fixture.write(1600);
  EXPECT_EQ(fixture.read(), 1600u);
  EXPECT_EQ(fixture.faults->occurrences(FaultPoint::access), 2u);
  EXPECT_EQ(fixture.faults->occurrences(FaultPoint::read), 1u);
  EXPECT_EQ(fixture.faults->occurrences(FaultPoint::write), 1u);
  EXPECT_EQ(fixture.faults->occurrences(FaultPoint::call), 1u) << "the call of bar()";
  EXPECT_FALSE(fixture.faults->triggered());
}

TEST(FaultDevice, RemovesTheCardUntilTheFaultIsDisabled) {
  DeviceFixture fixture({.kind = FaultKind::removal, .at = 2});
  ASSERT_TRUE(fixture.device->set_bus_master(true));
  fixture.write(1600);
  EXPECT_EQ(fixture.read(), 1600u);
  EXPECT_FALSE(fixture.device->removed());
  EXPECT_EQ(fixture.read(), 0xFFFFFFFFu);
  fixture.write(1700);
  EXPECT_TRUE(fixture.device->removed());
  EXPECT_EQ(fixture.device->read_config(0, 2).value(), 0xFFFFu);
  EXPECT_EQ(fixture.device->read_config(0, 4).value(), 0xFFFFFFFFu);
  EXPECT_TRUE(fixture.device->write_config(4, 2, 0));
  EXPECT_EQ(fixture.device->set_bus_master(true).error().code, ErrorCode::device_removed);
  EXPECT_EQ(fixture.device->reset().error().code, ErrorCode::device_removed);
  EXPECT_TRUE(fixture.device->bar(0));
  fixture.faults->disable();
  EXPECT_FALSE(fixture.device->removed());
  EXPECT_EQ(fixture.read(), 1600u) << "the write during the removal was lost";
  EXPECT_EQ(fixture.device->read_config(4, 2).value() & 4, 0u) << "the removal ended its DMA";
}

TEST(FaultDevice, ReplacesReadValuesAndDropsWrites) {
  DeviceFixture ones({.kind = FaultKind::ones, .at = 1});
  ones.write(1600);
  EXPECT_EQ(ones.read(), 1600u);
  EXPECT_EQ(ones.read(), 0xFFFFFFFFu);
  EXPECT_EQ(ones.read(), 1600u);
  EXPECT_FALSE(ones.device->removed());
  DeviceFixture zeros({.kind = FaultKind::zeros, .count = 2});
  zeros.write(1600);
  EXPECT_EQ(zeros.read(), 0u);
  EXPECT_EQ(zeros.read(), 0u);
  EXPECT_EQ(zeros.read(), 1600u);
  DeviceFixture lost({.kind = FaultKind::lost_write, .at = 1});
  lost.write(1600);
  lost.write(1700);
  EXPECT_EQ(lost.read(), 1600u);
}

TEST(FaultDevice, MakesRegisterBitsStick) {
  DeviceFixture fixture({.kind = FaultKind::stuck_register,
                         .at = 1,
                         .count = FaultPlan::kForEver,
                         .stuck = {.offset = reg::RLPML::offset(0), .set = 1, .clear = 2, .ignores_writes = true}});
  fixture.write(0x12);
  EXPECT_EQ(fixture.read(), 0x11u);
  fixture.write(0x40);
  fixture.faults->disable();
  EXPECT_EQ(fixture.read(), 0x12u);
}

TEST(FaultDevice, AffectsNarrowAccessesInTheirWidth) {
  const std::uint32_t rlpml = reg::RLPML::offset(0);
  {
    DeviceFixture fixture({.kind = FaultKind::removal, .at = 2});
    fixture.write(0x1234);
    EXPECT_EQ(fixture.bar.read8(rlpml + 1), 0x12);
    EXPECT_EQ(fixture.bar.read8(rlpml + 1), 0xFF);
    EXPECT_EQ(fixture.bar.read16(rlpml), 0xFFFF);
    EXPECT_EQ(fixture.bar.remote()->read_narrow(rlpml, 1), 0xFFu) << "no bits above the width";
  }
  {
    DeviceFixture fixture({.kind = FaultKind::ones, .at = 0});
    EXPECT_EQ(fixture.bar.remote()->read_narrow(rlpml, 2), 0xFFFFu);
  }
  DeviceFixture fixture({.kind = FaultKind::stuck_register,
                         .count = FaultPlan::kForEver,
                         .stuck = {.offset = rlpml, .set = 0x8100, .clear = 0x0004}});
  fixture.write(0x0006);
  EXPECT_EQ(fixture.bar.read8(rlpml), 0x02);
  EXPECT_EQ(fixture.bar.read8(rlpml + 1), 0x81);
  EXPECT_EQ(fixture.bar.read16(rlpml), 0x8102);
  EXPECT_EQ(fixture.bar.read16(rlpml + 2), 0);
}

TEST(FaultDevice, SignalsErrorAndRemovalEvents) {
  DeviceFixture error({.kind = FaultKind::error_event});
  EXPECT_FALSE(is_signalled(error.device->error_event()));
  EXPECT_EQ(error.device->removal_event(), -1);
  error.write(1);
  EXPECT_TRUE(is_signalled(error.device->error_event()));
  EXPECT_FALSE(error.device->removed());
  DeviceFixture removal({.kind = FaultKind::removal_event});
  removal.write(1);
  EXPECT_TRUE(is_signalled(removal.device->removal_event()));
  EXPECT_TRUE(removal.device->removed());
  EXPECT_EQ(removal.read(), 1u) << "the card is still present";
}

TEST(FaultDevice, FailsThePlannedCall) {
  for (std::uint64_t call = 0; call < 5; ++call) {
    // DeviceFixture itself makes the first call.
    DeviceFixture fixture({.kind = FaultKind::call_fails, .at = call + 1, .error = ErrorCode::busy});
    const std::array<bool, 5> succeeded{
        fixture.device->read_config(0, 2).has_value(), fixture.device->write_config(4, 2, 0).has_value(),
        fixture.device->set_bus_master(true).has_value(), fixture.device->reset().has_value(),
        fixture.device->enable_interrupts(1).has_value()};
    for (std::uint64_t i = 0; i < succeeded.size(); ++i) {
      EXPECT_EQ(succeeded[i], i != call) << "call " << i << " with a fault at call " << call;
    }
  }
}

TEST(FaultDevice, FailsThePlannedMappingAndUndoesTheOthers) {
  DeviceFixture fixture({.kind = FaultKind::map_fails, .at = 1, .error = ErrorCode::mapping_limit});
  auto& domain = dynamic_cast<sim::Domain&>(fixture.device->dma_domain());
  const auto first = fixture.context.allocate({.size = 4096});
  ASSERT_TRUE(first);
  const auto second = fixture.context.allocate({.size = 4096});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::mapping_limit);
  EXPECT_NE(domain.translate(first->segments()[0].iova, 4096), nullptr);
  EXPECT_EQ(domain.translate(first->segments()[0].iova + 4096, 4096), nullptr) << "the card's own mapping was undone";
  EXPECT_TRUE(fixture.context.allocate({.size = 4096}));
}

TEST(FaultDevice, DoesNotReuseAnIovaThatCouldNotBeUnmapped) {
  DeviceFixture fixture({.kind = FaultKind::unmap_fails});
  std::uint64_t iova = 0;
  {
    const auto memory = fixture.context.allocate({.size = 4096});
    ASSERT_TRUE(memory);
    iova = memory->segments()[0].iova;
  }
  EXPECT_TRUE(fixture.faults->triggered());
  const auto next = fixture.context.allocate({.size = 4096});
  ASSERT_TRUE(next);
  EXPECT_NE(next->segments()[0].iova, iova);
}

TEST(FaultDevice, FailsToOpenIfExistingMemoryCannotBeMapped) {
  auto clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  const auto memory = context.allocate({.size = 4096});
  ASSERT_TRUE(memory);
  auto wire = sim::Wire::create(*clock, std::make_unique<models::igb::Card>(), [](std::span<const std::byte>) {});
  auto inner = sim::SimDevice::create(context, "sim:0", wire, 0);
  ASSERT_TRUE(inner);
  const auto faulty =
      with_faults(context, *std::move(inner), std::make_shared<FaultInjector>(FaultPlan{.kind = FaultKind::map_fails}));
  ASSERT_FALSE(faulty);
  EXPECT_EQ(faulty.error().code, ErrorCode::io_error);
  EXPECT_TRUE(sim::SimDevice::create(context, "sim:0", wire, 0)) << "the card was released";
}

/// Makes the card send the message of vector 0.
void interrupt(DeviceFixture& fixture) {
  fixture.bar.write32(reg::GPIE::offset(0), (reg::GPIE::NSICR | reg::GPIE::MSIX_MODE).bits());
  fixture.bar.write32(reg::EIMS::offset(0), 1);
  fixture.bar.write32(reg::EICS::offset(0), 1);
}

TEST(FaultDevice, DropsInterrupts) {
  for (const bool lost : {false, true}) {
    DeviceFixture fixture(lost ? FaultPlan{.kind = FaultKind::lost_interrupts} : FaultPlan{});
    const auto events = fixture.device->enable_interrupts(2);
    ASSERT_TRUE(events);
    ASSERT_EQ(events->size(), 2u);
    interrupt(fixture);
    EXPECT_EQ(is_signalled((*events)[0]), !lost);
    EXPECT_FALSE(is_signalled((*events)[1]));
  }
}

TEST(FaultDevice, RaisesSpuriousInterrupts) {
  DeviceFixture fixture({.kind = FaultKind::spurious_interrupt, .at = 1});
  const auto events = fixture.device->enable_interrupts(2);
  ASSERT_TRUE(events);
  fixture.write(1);
  EXPECT_FALSE(is_signalled((*events)[0]));
  fixture.write(1);
  EXPECT_TRUE(is_signalled((*events)[0]));
  EXPECT_TRUE(is_signalled((*events)[1]));
}

TEST(FaultText, ParsesKindOccurrenceAndCount) {
  const FaultPlan removal = parse_fault("removal").value();
  EXPECT_EQ(removal.kind, FaultKind::removal);
  EXPECT_EQ(removal.at, 0u);
  EXPECT_EQ(removal.count, 1u);
  const FaultPlan lost = parse_fault("lost-write@40x3").value();
  EXPECT_EQ(lost.kind, FaultKind::lost_write);
  EXPECT_EQ(lost.at, 40u);
  EXPECT_EQ(lost.count, 3u);
}

TEST(FaultText, ParsesStuckRegisters) {
  const FaultPlan ignores = parse_fault("stuck-register=0xE018").value();
  EXPECT_EQ(ignores.kind, FaultKind::stuck_register);
  EXPECT_EQ(ignores.stuck.offset, 0xE018u);
  EXPECT_TRUE(ignores.stuck.ignores_writes);
  EXPECT_EQ(ignores.at, 0u);
  EXPECT_EQ(ignores.count, FaultPlan::kForEver);
  const FaultPlan ones = parse_fault("stuck-register=20+0x10000@7").value();
  EXPECT_EQ(ones.stuck.offset, 20u);
  EXPECT_EQ(ones.stuck.set, 0x10000u);
  EXPECT_FALSE(ones.stuck.ignores_writes);
  EXPECT_EQ(ones.at, 7u);
  EXPECT_EQ(ones.count, FaultPlan::kForEver);
  const FaultPlan zeros = parse_fault("stuck-register=0x14-0x80000000@7x2").value();
  EXPECT_EQ(zeros.stuck.clear, 0x80000000u);
  EXPECT_EQ(zeros.count, 2u);
}

TEST(FaultText, RejectsInvalidText) {
  for (const char* const text :
       {"", "@", "remove", "removal@", "removal@x", "removal@1x", "removal@1x0", "removal@-1", "removal@1 ",
        "removal@99999999999999999999", "stuck-register@1", "stuck-register=", "stuck-register=0x",
        "stuck-register=0x15", "stuck-register=0x14+", "stuck-register=0x14+0", "stuck-register=0x14*1",
        "stuck-register=0x100000000", "stuck-register=0x14@x"}) {
    const auto plan = parse_fault(text);
    ASSERT_FALSE(plan) << text;
    EXPECT_EQ(plan.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(plan.error().hint.find("spurious-interrupt"), std::string::npos);
  }
}

TEST(FaultUri, OpensAPortWhoseCardIsRemoved) {
  auto clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  const auto gone = open_unconfigured(context, "fault:removal@100,sim:0");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::device_removed);
  const auto nonsense = open_unconfigured(context, "fault:nonsense,sim:0");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(nonsense.error().hint.find("removal-event"), std::string::npos);
  auto port = open_unconfigured(context, "fault:removal-event@100,sim:0");
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->service().error().code, ErrorCode::device_removed);
  EXPECT_TRUE(port->close());
}

TEST(FaultDevice, CallsTheActionBeforeTheAccess) {
  DeviceFixture* target = nullptr;
  DeviceFixture fixture({.kind = FaultKind::action, .at = 1, .action = [&target] { target->write(5); }});
  target = &fixture;
  fixture.write(1);
  EXPECT_EQ(fixture.read(), 5u);
  EXPECT_EQ(fixture.faults->occurrences(FaultPoint::access), 2u) << "accesses inside the action are not counted";
}

}  // namespace
}  // namespace pollux::test
