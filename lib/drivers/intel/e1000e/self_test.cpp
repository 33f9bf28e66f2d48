// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/self_test.hpp"

#include <array>

#include "drivers/intel/e1000e/port.hpp"

namespace pollux::drivers::e1000e {
namespace {

using gigabit::tested;

// Linux e1000e, ethtool.c, e1000_reg_test, but for TXCW, which belongs to fiber, and TIDV, which QEMU's card reads as
// zero.
constexpr std::uint32_t kRingLength = 0x000FFF80;
constexpr std::uint32_t kRingBase = 0xFFFFFFF0;
constexpr std::array kPatternTests{
    tested<reg::FCAL>("FCAL", ~0U),
    tested<reg::FCAH>("FCAH", 0xFFFF),
    tested<reg::FCT>("FCT", 0xFFFF),
    tested<reg::VET>("VET", 0xFFFF),
    tested<reg::RDTR>("RDTR", 0xFFFF, 0xFFFF),
    tested<reg::RDBAL>("RDBAL", kRingBase),
    tested<reg::RDBAH>("RDBAH", ~0U),
    tested<reg::RDLEN>("RDLEN", kRingLength, 0xFFFFF),
    tested<reg::RDH>("RDH", 0xFFFF, 0xFFFF),
    tested<reg::RDT>("RDT", 0xFFFF, 0xFFFF),
    tested<reg::FCRTH>("FCRTH", 0xFFF8, 0xFFF8),
    tested<reg::FCTTV>("FCTTV", 0xFFFF, 0xFFFF),
    tested<reg::TIPG>("TIPG", 0x3FFFFFFF, 0x3FFFFFFF),
    tested<reg::TDBAL>("TDBAL", kRingBase),
    tested<reg::TDBAH>("TDBAH", ~0U),
    tested<reg::TDLEN>("TDLEN", kRingLength, 0xFFFFF),
    tested<reg::RAL>("RAL", ~0U, ~0U, hw::e1000e::k82574.exact_addresses),
    tested<reg::RAH>("RAH", 0x8003FFFF, ~0U, hw::e1000e::k82574.exact_addresses),
    tested<reg::MTA>("MTA", ~0U),
};
constexpr gigabit::RegisterPlan kPlan{
    .patterns = kPatternTests, .steady_status = 0x7FFFF033, .receive_control = 0x06DFB3FC};

}  // namespace

// The frames of a loopback are not driven on this card.
std::vector<gigabit::GigabitPort::SelfTestStep> E1000ePort::self_test_parts() {
  return {[this] { return Result<SelfTestResult>(gigabit::test_registers(card_, kPlan)); },
          [this] { return Result<SelfTestResult>(gigabit::test_nvm(card_)); }, [this] { return test_messages(); },
          [] {
            return Result<SelfTestResult>(
                {SelfTestPart::loopback, SelfTestOutcome::skipped, "the driver has no loopback of this card"});
          },
          [this] { return Result<SelfTestResult>(gigabit::test_link(card_)); }};
}

// With MSI-X the causes that belong to no queue come as one, which must be unmasked, too.
SelfTestResult E1000ePort::test_vector(int event) {
  card_.regs.write<reg::IVAR>(reg::IVAR::OTHER(0) | reg::IVAR::OTHER_VALID);
  return gigabit::test_causes(card_, event, reg::ICR::LSC.mask() | reg::ICR::RXO.mask() | reg::ICR::MDAC.mask(),
                              reg::ICR::OTHER.mask());
}

}  // namespace pollux::drivers::e1000e
