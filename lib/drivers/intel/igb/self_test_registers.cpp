// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <string>
#include <string_view>

#include "drivers/intel/igb/self_test.hpp"

// The registers, and the bits of them that keep what is written, are those of Linux, igb_ethtool.c, reg_test_82576 and
// igb_reg_test.
namespace pollux::drivers::igb {
namespace {

/// Registers of one kind: bits in `written` are written, and those in `kept` must read back.
struct TestedRegisters {
  std::string_view name;
  std::uint32_t (*offset)(std::uint32_t index);
  std::uint32_t count;
  std::uint32_t kept;
  std::uint32_t written;
};

template <class R>
constexpr TestedRegisters tested(std::string_view name, std::uint32_t kept, std::uint32_t written = ~0U,
                                 std::uint32_t count = R::kCount) {
  return {name, &R::offset, count, kept, written};
}

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
constexpr std::array<std::uint32_t, 4> kPatterns{0x55555555, 0xAAAAAAAA, 0, ~0U};

// RXEN is left out, so that no frame is received.
constexpr std::uint32_t kReceiveControl = 0x04CFB0FC;
/// The bits of STATUS that do not change by themselves and cannot be written.
constexpr std::uint32_t kSteadyStatus = 0x7FFFF3FF;

class RegisterTest {
 public:
  explicit RegisterTest(const Bar& bar) : bar_(bar) {}

  void value(std::string_view name, std::uint32_t offset, std::uint32_t written, std::uint32_t kept) {
    if (!wrong_.empty()) return;
    bar_.write32(offset, written);
    const std::uint32_t got = bar_.read32(offset);
    if ((got & kept) == (written & kept)) return;
    wrong_ =
        fmt::format("{} at {:#x} reads {:#010x} after {:#010x} was written", name, offset, got & kept, written & kept);
  }
  void patterns(const TestedRegisters& row) {
    for (std::uint32_t i = 0; i < row.count; ++i) {
      for (const std::uint32_t pattern : kPatterns) value(row.name, row.offset(i), pattern & row.written, row.kept);
    }
  }
  void status() {
    const std::uint32_t before = bar_.read32(reg::STATUS::offset()) & kSteadyStatus;
    value("STATUS", reg::STATUS::offset(), kSteadyStatus, 0);
    const std::uint32_t after = bar_.read32(reg::STATUS::offset()) & kSteadyStatus;
    if (wrong_.empty() && before != after) wrong_ = fmt::format("STATUS changed from {:#x} to {:#x}", before, after);
  }
  [[nodiscard]] const std::string& wrong() const noexcept { return wrong_; }

 private:
  const Bar& bar_;
  std::string wrong_;
};

}  // namespace

SelfTestResult test_registers(const Card& card) {
  RegisterTest test(card.regs.bar());
  test.status();
  for (const TestedRegisters& row : kPatternTests) test.patterns(row);
  // An 82576 takes RDT only of a queue that is enabled.
  for (std::uint32_t queue = 0; queue < card.traits->queues; ++queue) {
    card.regs.write<reg::RXDCTL>(queue, reg::RXDCTL::ENABLE);
  }
  test.patterns(tested<reg::RDT>("RDT", 0xFFFF, 0xFFFF));
  for (std::uint32_t queue = 0; queue < card.traits->queues; ++queue) card.regs.write<reg::RXDCTL>(queue, {});
  test.value("RCTL", reg::RCTL::offset(), 0, ~0U);
  test.value("RCTL", reg::RCTL::offset(), kReceiveControl, kReceiveControl);
  test.value("RCTL", reg::RCTL::offset(), 0, ~0U);
  test.value("TCTL", reg::TCTL::offset(), 0, ~0U);
  if (test.wrong().empty()) return {SelfTestPart::registers};
  return {SelfTestPart::registers, SelfTestOutcome::failed, test.wrong()};
}

}  // namespace pollux::drivers::igb
