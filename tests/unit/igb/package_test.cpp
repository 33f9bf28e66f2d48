// SPDX-License-Identifier: BSD-3-Clause
// Two ports of one package and its firmware share semaphores, the NVM and the PHYs. The model counts everything that a
// driver does against the rules.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"
#include "unit/igb/turn_clock.hpp"

namespace pollux::drivers::igb {
namespace {

using models::igb::CardOptions;
using models::igb::Package;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;

/// Two cards of one package, with a Context for each, so that each has a driver of its own.
struct PackageFixture {
  explicit PackageFixture(Duration load_time = milliseconds(1))
      : wire(sim::Wire::create(*clock, make_card(0, load_time), make_card(1, load_time))) {}

  [[nodiscard]] std::unique_ptr<models::igb::Card> make_card(std::uint32_t port, Duration load_time) const {
    return std::make_unique<models::igb::Card>(
        CardOptions{.mac = {2, 0, 0, 0x82, 0x57, static_cast<std::uint8_t>(0x60 + port)},
                    .lan_id = port,
                    .load_time = load_time,
                    .package = package});
  }
  [[nodiscard]] Context context() {
    return Context({.clock = clock,
                    .log = [](LogLevel, std::string_view) {},
                    .huge_pages = HugePages::never,
                    .arena_size = std::size_t{1} << 28});
  }
  /// Opens and starts port `number`, `times` times.
  void use(unsigned number, int times) {
    Context own = context();
    auto pool = Mempool::create(own, {.count = 512}).value();
    for (int i = 0; i < times; ++i) {
      auto device = sim::SimDevice::create(own, fmt::format("sim:{}", number), wire, number);
      ASSERT_TRUE(device);
      auto driver = probe(own, *std::move(device));
      ASSERT_TRUE(driver) << driver.error().message();
      PortMachine port(own.state(), *std::move(driver));
      EXPECT_EQ(port.mac()[5], 0x60 + number);
      ASSERT_TRUE(test::configure_port(port, {.rx = {{.pool = pool, .ring = 64}}, .tx = {{.ring = 64}}}));
      const auto started = port.start();
      ASSERT_TRUE(started) << started.error().message();
      ASSERT_TRUE(port.close());
    }
  }

  std::shared_ptr<test::TurnClock> clock = std::make_shared<test::TurnClock>();
  std::shared_ptr<Package> package = std::make_shared<Package>();
  std::shared_ptr<sim::Wire> wire;
};

TEST(PackageOfTwo, DriversAndFirmwareTakeTurnsWithoutAViolation) {
  for (const auto resource : {reg::SW_FW_SYNC::FW_EEP, reg::SW_FW_SYNC::FW_PHY0, reg::SW_FW_SYNC::FW_PHY1}) {
    PackageFixture fixture;
    fixture.package->set_firmware({.interval = microseconds(130), .hold = microseconds(370), .resource = resource},
                                  Duration(0));
    fixture.clock->run({[&] { fixture.use(0, 3); }, [&] { fixture.use(1, 3); }});
    const Package::Violations& found = fixture.package->violations();
    EXPECT_EQ(found.without_semaphores, 0u);
    EXPECT_EQ(found.firmware_bits, 0u);
    EXPECT_EQ(found.taken_from_living, 0u);
    EXPECT_EQ(found.nvm_without_owner, 0u);
    EXPECT_EQ(found.phy_without_owner, 0u);
    EXPECT_EQ(found.semaphore_kept, 0u);
    EXPECT_GT(fixture.package->firmware_turns(), 100u);
  }
}

// Each word takes so long that the ports have to give the NVM to each other.
TEST(PackageOfTwo, PortsShareASlowNvm) {
  PackageFixture fixture;
  for (const unsigned end : {0U, 1U}) {
    fixture.wire->with_card(
        end, [](DeviceModel& card) { static_cast<models::igb::Card&>(card).nvm().set_read_time(milliseconds(150)); });
  }
  fixture.clock->run({[&] { fixture.use(0, 1); }, [&] { fixture.use(1, 1); }});
  EXPECT_EQ(fixture.package->violations().total(), 0u);
}

struct Left {
  const char* name;
  bool smbi;
  bool swesmbi;
  std::uint32_t resources;  // bits of SW_FW_SYNC
};
void PrintTo(const Left& part, std::ostream* out) { *out << part.name; }

class DeadDriver : public testing::TestWithParam<Left> {};

// A driver was killed inside one of its critical sections.
TEST_P(DeadDriver, DelaysTheNextOneByABoundedRecoveryOnly) {
  for (const bool both : {false, true}) {
    PackageFixture fixture;
    reg::SWSM::Value semaphores;
    if (GetParam().smbi) semaphores = semaphores.with(reg::SWSM::SMBI);
    if (GetParam().swesmbi) semaphores = semaphores.with(reg::SWSM::SWESMBI);
    fixture.package->leave(2, semaphores, reg::SW_FW_SYNC::Value(GetParam().resources), Duration(0));
    std::vector<std::function<void()>> ports{[&] { fixture.use(0, 1); }};
    if (both) ports.emplace_back([&] { fixture.use(1, 1); });
    fixture.clock->run(std::move(ports));
    EXPECT_EQ(fixture.package->violations().total(), 0u) << "both: " << both;
    EXPECT_EQ(fixture.package->sync().raw() & 0xFFFF & ~reg::SW_FW_SYNC::SW_PHY1.mask(), 0u);
    EXPECT_LT(fixture.clock->now(), milliseconds(5000));
  }
}

constexpr std::uint32_t kNvm = reg::SW_FW_SYNC::SW_EEP.mask();
constexpr std::uint32_t kPhys = reg::SW_FW_SYNC::SW_PHY0.mask() | reg::SW_FW_SYNC::SW_PHY1.mask();
INSTANTIATE_TEST_SUITE_P(All, DeadDriver,
                         testing::Values(Left{"Smbi", true, false, 0}, Left{"BothSemaphores", true, true, 0},
                                         Left{"Nvm", false, false, kNvm}, Left{"Phys", false, false, kPhys},
                                         Left{"NvmAndSemaphores", true, true, kNvm},
                                         Left{"Everything", true, true, kNvm | kPhys}),
                         [](const auto& part) { return std::string(part.param.name); });

Package* package_of(sim::Wire& wire, unsigned end) {
  Package* found = nullptr;
  wire.with_card(end, [&found](DeviceModel& card) { found = &static_cast<models::igb::Card&>(card).package(); });
  return found;
}

TEST(PackageOfTwo, TheTwoCardsOfAWireAreOnePackage) {
  const auto clock = std::make_shared<test::TurnClock>();
  const auto wire = sim::Wire::create(*clock, models::igb::make_card(2), models::igb::make_card(3));
  EXPECT_EQ(package_of(*wire, 0), package_of(*wire, 1));
  const auto apart = sim::Wire::create(*clock, models::igb::make_card(2), models::igb::make_card(4));
  EXPECT_NE(package_of(*apart, 0), package_of(*apart, 1)) << "both are port 0";
}

// Firmware holds the other port's PHY meanwhile.
TEST(PackageOfTwo, FirmwaresBitsStayAsTheyAre) {
  PackageFixture fixture;
  const auto held = reg::SW_FW_SYNC::Value(reg::SW_FW_SYNC::FW_PHY1 | reg::SW_FW_SYNC::FW_CSR);
  fixture.package->leave(2, {}, held, Duration(0));
  fixture.use(0, 1);
  EXPECT_EQ(fixture.package->sync(), held);
  EXPECT_EQ(fixture.package->violations().total(), 0u);
}

TEST(PackageOfTwo, FirmwareThatKeepsTheNvmIsAnErrorAndKeepsIt) {
  PackageFixture fixture;
  const auto held = reg::SW_FW_SYNC::Value(reg::SW_FW_SYNC::FW_EEP);
  fixture.package->leave(2, {}, held, Duration(0));
  Context own = fixture.context();
  auto device = sim::SimDevice::create(own, "sim:0", fixture.wire, 0);
  ASSERT_TRUE(device);
  const auto port = probe(own, *std::move(device));
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::timeout);
  EXPECT_THAT(port.error().what, HasSubstr("SW_FW_SYNC"));
  EXPECT_EQ(fixture.package->sync(), held);
  EXPECT_EQ(fixture.package->violations().total(), 0u);
}

}  // namespace
}  // namespace pollux::drivers::igb
