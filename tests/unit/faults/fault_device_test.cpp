// SPDX-License-Identifier: BSD-3-Clause
// The decorator by itself: each kind of fault does what it says, where it was ordered, and ends when it is lifted.
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

/// A card behind a fault, without a driver.
struct Bench {
  explicit Bench(FaultPlan plan) : faults(std::make_shared<FaultInjector>(std::move(plan))) {
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

TEST(FaultDevice, CountsPlacesWithoutAFault) {
  Bench bench({});
  bench.write(1600);
  EXPECT_EQ(bench.read(), 1600u);
  EXPECT_EQ(bench.faults->places(FaultPoint::access), 2u);
  EXPECT_EQ(bench.faults->places(FaultPoint::read), 1u);
  EXPECT_EQ(bench.faults->places(FaultPoint::write), 1u);
  EXPECT_EQ(bench.faults->places(FaultPoint::call), 1u) << "the window";
  EXPECT_FALSE(bench.faults->struck());
}

TEST(FaultDevice, RemovesTheCardUntilItIsLifted) {
  Bench bench({.kind = FaultKind::removal, .at = 2});
  ASSERT_TRUE(bench.device->set_bus_master(true));
  bench.write(1600);
  EXPECT_EQ(bench.read(), 1600u);
  EXPECT_FALSE(bench.device->removed());
  EXPECT_EQ(bench.read(), 0xFFFFFFFFu);
  bench.write(1700);
  EXPECT_TRUE(bench.device->removed());
  EXPECT_EQ(bench.device->read_config(0, 2).value(), 0xFFFFu);
  EXPECT_EQ(bench.device->read_config(0, 4).value(), 0xFFFFFFFFu);
  EXPECT_TRUE(bench.device->write_config(4, 2, 0));
  EXPECT_EQ(bench.device->set_bus_master(true).error().code, ErrorCode::device_removed);
  EXPECT_EQ(bench.device->reset().error().code, ErrorCode::device_removed);
  EXPECT_TRUE(bench.device->bar(0));
  bench.faults->lift();
  EXPECT_FALSE(bench.device->removed());
  EXPECT_EQ(bench.read(), 1600u) << "what was written meanwhile went nowhere";
  EXPECT_EQ(bench.device->read_config(4, 2).value() & 4, 0u) << "its DMA ended with it";
}

TEST(FaultDevice, AnswersReadsAndLosesWrites) {
  Bench ones({.kind = FaultKind::ones, .at = 1});
  ones.write(1600);
  EXPECT_EQ(ones.read(), 1600u);
  EXPECT_EQ(ones.read(), 0xFFFFFFFFu);
  EXPECT_EQ(ones.read(), 1600u);
  EXPECT_FALSE(ones.device->removed());
  Bench zeros({.kind = FaultKind::zeros, .count = 2});
  zeros.write(1600);
  EXPECT_EQ(zeros.read(), 0u);
  EXPECT_EQ(zeros.read(), 0u);
  EXPECT_EQ(zeros.read(), 1600u);
  Bench lost({.kind = FaultKind::lost_write, .at = 1});
  lost.write(1600);
  lost.write(1700);
  EXPECT_EQ(lost.read(), 1600u);
}

TEST(FaultDevice, LetsARegisterLie) {
  Bench bench({.kind = FaultKind::liar,
               .at = 1,
               .count = FaultPlan::kForEver,
               .lie = {.offset = reg::RLPML::offset(0), .set = 1, .clear = 2, .ignores_writes = true}});
  bench.write(0x12);
  EXPECT_EQ(bench.read(), 0x11u);
  bench.write(0x40);
  bench.faults->lift();
  EXPECT_EQ(bench.read(), 0x12u);
}

TEST(FaultDevice, SignalsWhatThePlatformWould) {
  Bench error({.kind = FaultKind::error_event});
  EXPECT_FALSE(is_signalled(error.device->error_event()));
  EXPECT_EQ(error.device->removal_event(), -1);
  error.write(1);
  EXPECT_TRUE(is_signalled(error.device->error_event()));
  EXPECT_FALSE(error.device->removed());
  Bench wanted({.kind = FaultKind::removal_event});
  wanted.write(1);
  EXPECT_TRUE(is_signalled(wanted.device->removal_event()));
  EXPECT_TRUE(wanted.device->removed());
  EXPECT_EQ(wanted.read(), 1u) << "it is only asked for";
}

TEST(FaultDevice, FailsTheCallThatWasOrdered) {
  for (std::uint64_t call = 0; call < 5; ++call) {
    // The first call is the Bench's own.
    Bench bench({.kind = FaultKind::call_fails, .at = call + 1, .error = ErrorCode::busy});
    const std::array<bool, 5> went_well{
        bench.device->read_config(0, 2).has_value(), bench.device->write_config(4, 2, 0).has_value(),
        bench.device->set_bus_master(true).has_value(), bench.device->reset().has_value(),
        bench.device->enable_interrupts(1).has_value()};
    for (std::uint64_t i = 0; i < went_well.size(); ++i) EXPECT_EQ(went_well[i], i != call) << i << " of " << call;
  }
}

TEST(FaultDevice, FailsTheMappingThatWasOrderedAndLeavesNothingMapped) {
  Bench bench({.kind = FaultKind::map_fails, .at = 1, .error = ErrorCode::mapping_limit});
  auto& domain = dynamic_cast<sim::Domain&>(bench.device->dma_domain());
  const auto first = bench.context.allocate({.size = 4096});
  ASSERT_TRUE(first);
  const auto second = bench.context.allocate({.size = 4096});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::mapping_limit);
  EXPECT_NE(domain.translate(first->segments()[0].iova, 4096), nullptr);
  EXPECT_EQ(domain.translate(first->segments()[0].iova + 4096, 4096), nullptr) << "the card's own mapping was undone";
  EXPECT_TRUE(bench.context.allocate({.size = 4096}));
}

TEST(FaultDevice, KeepsAnAddressThatCouldNotBeUnmapped) {
  Bench bench({.kind = FaultKind::unmap_fails});
  std::uint64_t iova = 0;
  {
    const auto memory = bench.context.allocate({.size = 4096});
    ASSERT_TRUE(memory);
    iova = memory->segments()[0].iova;
  }
  EXPECT_TRUE(bench.faults->struck());
  const auto next = bench.context.allocate({.size = 4096});
  ASSERT_TRUE(next);
  EXPECT_NE(next->segments()[0].iova, iova);
}

TEST(FaultDevice, FailsToOpenWhereMemoryThatExistsCannotBeMapped) {
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
  EXPECT_TRUE(sim::SimDevice::create(context, "sim:0", wire, 0)) << "the card was handed back";
}

/// Makes the card send the message of vector 0.
void interrupt(Bench& bench) {
  bench.bar.write32(reg::GPIE::offset(0), (reg::GPIE::NSICR | reg::GPIE::MSIX_MODE).bits());
  bench.bar.write32(reg::EIMS::offset(0), 1);
  bench.bar.write32(reg::EICS::offset(0), 1);
}

TEST(FaultDevice, LosesInterrupts) {
  for (const bool lost : {false, true}) {
    Bench bench(lost ? FaultPlan{.kind = FaultKind::lost_interrupts} : FaultPlan{});
    const auto events = bench.device->enable_interrupts(2);
    ASSERT_TRUE(events);
    ASSERT_EQ(events->size(), 2u);
    interrupt(bench);
    EXPECT_EQ(is_signalled((*events)[0]), !lost);
    EXPECT_FALSE(is_signalled((*events)[1]));
  }
}

TEST(FaultDevice, MakesInterruptsUp) {
  Bench bench({.kind = FaultKind::spurious_interrupt, .at = 1});
  const auto events = bench.device->enable_interrupts(2);
  ASSERT_TRUE(events);
  bench.write(1);
  EXPECT_FALSE(is_signalled((*events)[0]));
  bench.write(1);
  EXPECT_TRUE(is_signalled((*events)[0]));
  EXPECT_TRUE(is_signalled((*events)[1]));
}

TEST(FaultText, NamesKindPlaceAndCount) {
  const FaultPlan removal = parse_fault("removal").value();
  EXPECT_EQ(removal.kind, FaultKind::removal);
  EXPECT_EQ(removal.at, 0u);
  EXPECT_EQ(removal.count, 1u);
  const FaultPlan lost = parse_fault("lost-write@40x3").value();
  EXPECT_EQ(lost.kind, FaultKind::lost_write);
  EXPECT_EQ(lost.at, 40u);
  EXPECT_EQ(lost.count, 3u);
}

TEST(FaultText, RefusesWhatIsNone) {
  for (const char* const text : {"", "@", "remove", "removal@", "removal@x", "removal@1x", "removal@1x0", "removal@-1",
                                 "removal@1 ", "removal@99999999999999999999", "liar@1"}) {
    const auto plan = parse_fault(text);
    ASSERT_FALSE(plan) << text;
    EXPECT_EQ(plan.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(plan.error().hint.find("spurious-interrupt"), std::string::npos);
  }
}

TEST(FaultUri, OpensAPortWhoseCardGoesAway) {
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

TEST(FaultDevice, CallsAnActionBeforeTheAccess) {
  Bench* place = nullptr;
  Bench bench({.kind = FaultKind::action, .at = 1, .action = [&place] { place->write(5); }});
  place = &bench;
  bench.write(1);
  EXPECT_EQ(bench.read(), 5u);
  EXPECT_EQ(bench.faults->places(FaultPoint::access), 2u) << "the action's own access is no place";
}

}  // namespace
}  // namespace pollux::test
