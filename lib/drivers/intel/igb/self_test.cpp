// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/self_test.hpp"

#include <array>
#include <vector>

#include "drivers/intel/igb/port.hpp"

// The self-test, but for the loopback (self_test_loopback.cpp).
namespace pollux::drivers::igb {
namespace {

using gigabit::tested;

// The registers, and the bits of them that keep what is written, are those of Linux, igb_ethtool.c, reg_test_82576 and
// igb_reg_test.
constexpr std::uint32_t kRingBase = 0xFFFFFF80;
constexpr std::uint32_t kRingLength = 0x000FFFF0;

constexpr std::array kPatternTests{
    tested<reg::FCAL>("FCAL", ~0U),
    tested<reg::FCAH>("FCAH", 0xFFFF),
    tested<reg::FCT>("FCT", 0xFFFF),
    tested<reg::VET>("VET", ~0U),
    tested<reg::RDBAL>("RDBAL", kRingBase),
    tested<reg::RDBAH>("RDBAH", ~0U),
    tested<reg::RDLEN>("RDLEN", kRingLength, 0xFFFFF),
    tested<reg::FCRTH>("FCRTH", 0xFFF0, 0xFFF0),
    tested<reg::FCTTV>("FCTTV", 0xFFFF, 0xFFFF),
    tested<reg::TIPG>("TIPG", 0x3FFFFFFF, 0x3FFFFFFF),
    tested<reg::TDBAL>("TDBAL", kRingBase),
    tested<reg::TDBAH>("TDBAH", ~0U),
    tested<reg::TDLEN>("TDLEN", kRingLength, 0xFFFFF),
    tested<reg::RAL>("RAL", ~0U),
    tested<reg::RAH>("RAH", 0x83FFFFFF),
    tested<reg::MTA>("MTA", ~0U),
};

/// The rows, with as many registers as the card has, and the bits that its registers keep.
std::vector<gigabit::TestedRegisters> rows_of(const hw::igb::CardTraits& card) {
  std::vector<gigabit::TestedRegisters> rows(kPatternTests.begin(), kPatternTests.end());
  for (gigabit::TestedRegisters& row : rows) {
    const bool addresses = row.name == "RAL" || row.name == "RAH";
    if (addresses) row.count = card.exact_addresses;
    if (!addresses && row.count == reg::kRxQueues) row.count = card.queues;
    if (row.name == "VET") row.kept &= card.kept_vlan_types;
    if (row.kept == kRingLength) row.kept = card.kept_ring_length;
  }
  return rows;
}

}  // namespace

// Vector 0 gets the causes that belong to no queue, as in enable_interrupts.
SelfTestResult test_interrupts(const IgbCard& card, int event) {
  card.regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE | reg::GPIE::PBA | reg::GPIE::NSICR);
  card.regs.write<reg::EIAC>(reg::EIAC::VECTORS(1));
  // QEMU's card sends the message of a device reset (DRSTA) by the TCP timer's vector.
  card.regs.write<reg::IVAR_MISC>(reg::IVAR_MISC::OTHER(0) | reg::IVAR_MISC::OTHER_VALID |
                                  reg::IVAR_MISC::TCP_TIMER(0) | reg::IVAR_MISC::TCP_TIMER_VALID);
  card.regs.write<reg::EIMS>(reg::EIMS::VECTORS(1));
  SelfTestResult result = gigabit::test_causes(card, event, card.traits->forced_causes, 0);
  card.regs.write<reg::EIMC>(reg::EIMC::Value(~0U));
  card.regs.flush();
  return result;
}

// An 82576 takes RDT only of a queue that is enabled.
SelfTestResult test_registers(const IgbCard& card) {
  const auto rows = rows_of(*card.traits);
  auto result =
      gigabit::test_registers(card, {.patterns = rows, .steady_status = 0x7FEFF3FF, .receive_control = 0x04CFB0FC});
  if (result.outcome != SelfTestOutcome::passed) return result;
  gigabit::RegisterTest tails(card.regs.bar());
  for (std::uint32_t queue = 0; queue < card.traits->queues; ++queue) {
    card.regs.write<reg::RXDCTL>(queue, reg::RXDCTL::ENABLE);
  }
  tails.patterns(tested<reg::RDT>("RDT", 0xFFFF, 0xFFFF, card.traits->queues));
  for (std::uint32_t queue = 0; queue < card.traits->queues; ++queue) card.regs.write<reg::RXDCTL>(queue, {});
  return tails.result();
}

Result<void> IgbPort::check_self_test() const {
  if (!functions_.enabled()) return {};
  return fail(ErrorCode::bad_state, fmt::format("{}: the test would reset the port's virtual functions", card_.name),
              "disable the functions first (VirtualFunctions)");
}

std::vector<gigabit::GigabitPort::SelfTestStep> IgbPort::self_test_parts() {
  const LoopbackMode loop = card_.traits->features.phy_loopback ? LoopbackMode::phy : LoopbackMode::mac;
  return {[this] { return Result<SelfTestResult>(test_registers(card_)); },
          [this] { return Result<SelfTestResult>(gigabit::test_nvm(card_)); }, [this] { return test_messages(); },
          [this, loop] { return test_loopback(card_, loop); },
          [this] { return Result<SelfTestResult>(gigabit::test_link(card_)); }};
}

SelfTestResult IgbPort::test_vector(int event) { return test_interrupts(card_, event); }

}  // namespace pollux::drivers::igb
