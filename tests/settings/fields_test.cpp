// SPDX-License-Identifier: BSD-3-Clause
// Each setting leaves in the card what the datasheets and Linux's driver say.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "pollux/net/port_clock.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/self_test.hpp"
#include "settings/field_table.hpp"
#include "settings/sim_port.hpp"

namespace pollux::test::settings {
namespace {

/// Four queues each way, and what the row asks.
Asked asked_by(const FieldRow& row, const Pools& pools) {
  Asked asked{.config = Settings{.rx = {4, {.pool = pools.frames, .ring = 64}}, .tx = {4, {.ring = 64}}}};
  row.ask(asked);
  return asked;
}

/// The values of all registers by offset, of a port that is started with these settings and has its link.
std::map<std::uint32_t, RegisterValue> registers_with(SimLab& lab, const Asked& asked) {
  SimPort port(lab, 1);
  port.asked = asked;
  if (auto set = set_all(port.port(), asked); !set) ADD_FAILURE() << set.error().message();
  if (auto settled = port.settle(); !settled) ADD_FAILURE() << settled.error().message();
  std::map<std::uint32_t, RegisterValue> values;
  for (RegisterValue& value : port.port().capability<RegisterDump>()->registers())
    values[value.offset] = std::move(value);
  return values;
}

TEST(Settings, LeaveTheFieldsThatDatasheetsAndLinuxName) {
  SimLab lab;
  for (const auto rows : {receive_rows(), other_rows()}) {
    for (const FieldRow& row : rows) {
      const auto registers = registers_with(lab, asked_by(row, lab.pools));
      for (const Field& field : row.fields) {
        std::string seen;
        bool holds = false;
        for (std::uint32_t slot = 0; slot < field.slots; ++slot) {
          const auto found = registers.find(field.offset + 4 * slot);
          ASSERT_NE(found, registers.end()) << row.setting << fmt::format(": no register at {:#06x}", field.offset);
          holds = holds || (found->second.value & field.mask) == field.value;
          seen += fmt::format(" {} is {:#010x}", found->second.name, found->second.value);
        }
        EXPECT_TRUE(holds) << row.setting << ":" << seen
                           << fmt::format(", under the mask {:#010x} expected {:#010x}. ", field.mask, field.value)
                           << row.source;
      }
    }
  }
}

/// The bits of the PHY's registers 0, 4 and 9 (IEEE 802.3, 22.2.4, 28.2.4.1.3, 40.5.1.1).
struct PhyRow {
  std::string_view setting;
  void (*ask)(Asked& asked);
  std::uint32_t number, mask, value;
};
const std::array kPhyRows{
    PhyRow{"negotiation of all modes", [](Asked&) {}, 0, 0x1C00, 0x1000},
    PhyRow{"negotiation of all modes", [](Asked&) {}, 4, 0x0DE0, 0x01E0},
    PhyRow{"negotiation of all modes", [](Asked&) {}, 9, 0x1300, 0x0200},
    PhyRow{"10/full and 100/half",
           [](Asked& a) {
             a.link.advertised = {LinkMode::full_10, LinkMode::half_100};
           },
           4, 0x01E0, 0x00C0},
    PhyRow{"10/full and 100/half",
           [](Asked& a) {
             a.link.advertised = {LinkMode::full_10, LinkMode::half_100};
           },
           9, 0x0300, 0},
    PhyRow{"forced 100/full", [](Asked& a) { a.link.forced = LinkMode::full_100; }, 0, 0x3140, 0x2100},
    PhyRow{"forced 10/half", [](Asked& a) { a.link.forced = LinkMode::half_10; }, 0, 0x3140, 0x0000},
    PhyRow{"loopback", [](Asked& a) { a.loopback = LoopbackMode::phy; }, 0, 0x7140, 0x4140},
    PhyRow{"a stopped PHY", [](Asked& a) { a.phy_enabled = false; }, 0, 0x0800, 0x0800},
    PhyRow{"pause in both directions",
           [](Asked& a) {
             a.flow_control.pause = {true, true};
           },
           4, 0x0C00, 0x0400},
    PhyRow{"pause sent",
           [](Asked& a) {
             a.flow_control.pause = {false, true};
           },
           4, 0x0C00, 0x0800},
    PhyRow{"pause obeyed",
           [](Asked& a) {
             a.flow_control.pause = {true, false};
           },
           4, 0x0C00, 0x0C00},
};

TEST(Settings, LeaveInThePhyWhatTheStandardSays) {
  SimLab lab;
  for (const PhyRow& row : kPhyRows) {
    SimPort port(lab, 1);
    port.asked = asked_by({.setting = row.setting, .ask = row.ask, .fields = {}, .source = {}}, lab.pools);
    ASSERT_TRUE(set_all(port.port(), port.asked));
    ASSERT_TRUE(port.settle());
    const auto value =
        port.port().capability<PhyRegisters>()->read_phy_register({.number = static_cast<std::uint8_t>(row.number)});
    ASSERT_TRUE(value);
    EXPECT_EQ(*value & row.mask, row.value)
        << row.setting << ": PHY register " << row.number << fmt::format(" is {:#06x}", *value);
  }
}

/// Rate limits: RTTBCNRC has the link's speed divided by the rate with 14 fractional bits, and RS_ENA in bit 31.
/// Linux, igb_main.c, igb_set_vf_rate_limit.
TEST(Settings, LeaveTheRatesThatLinuxComputes) {
  SimLab lab;
  SimPort port(lab, 1);
  port.asked = asked_by({.setting = {},
                         .ask =
                             [](Asked& a) {
                               a.rates = {{0, 333}, {1, 1}, {2, 1000}};
                             },
                         .fields = {},
                         .source = {}},
                        lab.pools);
  ASSERT_TRUE(set_all(port.port(), port.asked));
  ASSERT_TRUE(port.settle());
  const auto rate = [image = port.image()](int queue) {
    return image.registers.at("RTTBCNRC of queue " + std::to_string(queue)).value;
  };
  EXPECT_EQ(rate(0), 1U << 31 | 3U << 14 | 49U) << "1000 / 333 is 3 + 1 / 333";
  EXPECT_EQ(rate(1), 1U << 31 | 1000U << 14);
  EXPECT_EQ(rate(2), 0U) << "the link's own speed is no limit";
  EXPECT_EQ(rate(3), 0U);
}

/// Linux, igb_main.c, __igb_shutdown: WUC.PME_EN, and in WUFC what wakes.
TEST(Settings, LeaveTheWakeUpEventsInASuspendedPort) {
  SimLab lab;
  SimPort port(lab, 1);
  port.asked = asked_by(
      {.setting = {}, .ask = [](Asked& a) { a.wake = {.magic = true, .broadcast = true}; }, .fields = {}, .source = {}},
      lab.pools);
  ASSERT_TRUE(set_all(port.port(), port.asked));
  ASSERT_TRUE(port.settle());
  ASSERT_TRUE(port.port().suspend());
  const Image image = port.image_asleep();
  EXPECT_EQ(image.registers.at("WUC[0]").value & 2, 2U);
  EXPECT_EQ(image.registers.at("WUFC[0]").value, 0x12U);
}

/// The LED blinks, the clock runs and the PHY is powered down (bit 11 of its control register) while a port is open,
/// whatever becomes of it.
TEST(Settings, ReachTheCardOfAStoppedPort) {
  SimLab lab;
  SimPort port(lab, 1);
  const auto expect = [&port](const char* when, bool phy_enabled = false) {
    const auto register_at = [&port](std::uint32_t offset) {
      const auto all = port.port().capability<RegisterDump>()->registers();
      return std::ranges::find(all, offset, &RegisterValue::offset)->value;
    };
    EXPECT_EQ(register_at(0x0E00) >> 24, 0x8EU) << when;
    EXPECT_EQ(register_at(kTiminca), 1U << 24 | 16U << 19) << when;
    const auto control = port.port().capability<PhyRegisters>()->read_phy_register({.number = 0});
    EXPECT_EQ((control.value() & 0x0800) == 0, phy_enabled) << when;
  };
  ASSERT_TRUE(port.port().change([](Settings& settings) { settings.led = LedMode::blink; }));
  ASSERT_TRUE(port.port().change([](Settings& settings) { settings.clock_frequency = 0; }));
  expect("opened", true);
  ASSERT_TRUE(port.port().change([](Settings& settings) { settings.phy_enabled = false; }));
  expect("opened");
  ASSERT_TRUE(port.port().capability<SelfTest>()->test_offline());
  expect("after a self-test");
  ASSERT_TRUE(port.suspend_and_resume());
  expect("resumed");
  ASSERT_TRUE(port.detach_and_attach());
  expect("attached");
  ASSERT_TRUE(port.settle());
  expect("started");
}

}  // namespace
}  // namespace pollux::test::settings
