// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/self_test.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/nvm.hpp"

namespace pollux::drivers::gigabit {
namespace {

/// Autonegotiation to 1000BASE-T takes about three seconds; Linux, igb_link_test, waits five.
constexpr Duration kSelfTestLinkLimit = std::chrono::seconds(5);
/// Linux, igb_intr_test, waits 10 ms for each message, and as long to see that none comes.
constexpr Duration kSilence = milliseconds(10);
constexpr Duration kMessageLimit = milliseconds(200);
/// QEMU's 82574 sends a message once more after its shortest interval, 128 us.
constexpr Duration kEcho = milliseconds(1);

SelfTestResult failed_part(SelfTestPart part, std::string why) {
  return {part, SelfTestOutcome::failed, std::move(why)};
}

bool signalled(const GigabitCard& card, int event, Duration limit) {
  const Duration deadline = card.clock().now() + limit;
  std::array<pollfd, 1> wanted{{{.fd = event, .events = POLLIN, .revents = 0}}};
  while (true) {
    const auto ready = card.clock().wait(wanted, deadline);
    if (!ready) return false;
    if (*ready != 0) break;
    if (card.clock().now() >= deadline) return false;
  }
  eventfd_t count = 0;
  return ::eventfd_read(event, &count) == 0;
}

void clear_causes(const GigabitCard& card) {
  card.regs.write<reg::IMC>(reg::IMC::Value(~0U));
  card.regs.read_and_clear<reg::ICR>();
  card.regs.flush();
}

// What is wrong with a cause; empty if nothing is.
std::string check_cause(const GigabitCard& card, int event, std::uint32_t bit, std::uint32_t beside) {
  const std::uint32_t cause = std::uint32_t{1} << bit;
  clear_causes(card);
  static_cast<void>(signalled(card, event, kEcho));
  card.regs.write<reg::ICS>(reg::ICS::Value(cause));
  card.regs.flush();
  if (signalled(card, event, kSilence)) return fmt::format("cause {} sent a message although it is masked", bit);
  if ((card.regs.read_and_clear<reg::ICR>().raw() & cause) == 0) return fmt::format("ICR does not show cause {}", bit);
  card.regs.write<reg::IMS>(reg::IMS::Value(cause | beside));
  card.regs.write<reg::ICS>(reg::ICS::Value(cause));
  card.regs.flush();
  if (!signalled(card, event, kMessageLimit)) return fmt::format("cause {} sent no message", bit);
  return {};
}

}  // namespace

SelfTestResult test_nvm(const GigabitCard& card) {
  if (!has_words(card)) return {SelfTestPart::nvm, SelfTestOutcome::skipped, "the card has no flash"};
  const auto checked = check_nvm(card);
  return checked ? SelfTestResult{SelfTestPart::nvm} : failed_part(SelfTestPart::nvm, checked.error().what);
}

SelfTestResult test_causes(const GigabitCard& card, int event, std::uint32_t causes, std::uint32_t beside) {
  std::string wrong;
  for (std::uint32_t bit = 0; bit < 31 && wrong.empty(); ++bit) {
    if ((causes >> bit & 1) != 0) wrong = check_cause(card, event, bit, beside);
  }
  clear_causes(card);
  static_cast<void>(signalled(card, event, kEcho));
  return wrong.empty() ? SelfTestResult{SelfTestPart::interrupts} : failed_part(SelfTestPart::interrupts, wrong);
}

SelfTestResult test_link(const GigabitCard& card) {
  if (auto started = start_link(card, LinkSetup()); !started) {
    return failed_part(SelfTestPart::link, started.error().what);
  }
  const auto up = wait_for(
      card, "the link", kSelfTestLinkLimit, [&] { return read_link(card).up; }, milliseconds(10));
  return up ? SelfTestResult{SelfTestPart::link} : failed_part(SelfTestPart::link, "the link does not come up");
}

SelfTestResult test_running_link(const GigabitCard& card) {
  return read_link(card).up ? SelfTestResult{SelfTestPart::link} : failed_part(SelfTestPart::link, "the link is down");
}

void RegisterTest::value(std::string_view name, std::uint32_t offset, std::uint32_t written, std::uint32_t kept) {
  if (!wrong_.empty()) return;
  bar_.write32(offset, written);
  const std::uint32_t got = bar_.read32(offset);
  if ((got & kept) == (written & kept)) return;
  wrong_ =
      fmt::format("{} at {:#x} reads {:#010x} after {:#010x} was written", name, offset, got & kept, written & kept);
}

void RegisterTest::patterns(const TestedRegisters& row) {
  constexpr std::array<std::uint32_t, 4> kPatterns{0x55555555, 0xAAAAAAAA, 0, ~0U};
  for (std::uint32_t i = 0; i < row.count; ++i) {
    for (const std::uint32_t pattern : kPatterns) value(row.name, row.offset(i), pattern & row.written, row.kept);
  }
}

void RegisterTest::status(std::uint32_t steady) {
  const std::uint32_t before = bar_.read32(reg::STATUS::offset()) & steady;
  value("STATUS", reg::STATUS::offset(), steady, 0);
  const std::uint32_t after = bar_.read32(reg::STATUS::offset()) & steady;
  if (wrong_.empty() && before != after) wrong_ = fmt::format("STATUS changed from {:#x} to {:#x}", before, after);
}

SelfTestResult RegisterTest::result() const {
  if (wrong_.empty()) return {SelfTestPart::registers};
  return failed_part(SelfTestPart::registers, wrong_);
}

SelfTestResult test_registers(const GigabitCard& card, const RegisterPlan& plan) {
  RegisterTest test(card.regs.bar());
  test.status(plan.steady_status);
  for (const TestedRegisters& row : plan.patterns) test.patterns(row);
  test.value("RCTL", reg::RCTL::offset(), 0, ~0U);
  test.value("RCTL", reg::RCTL::offset(), plan.receive_control, plan.receive_control);
  test.value("RCTL", reg::RCTL::offset(), 0, ~0U);
  test.value("TCTL", reg::TCTL::offset(), 0, ~0U);
  return test.result();
}

}  // namespace pollux::drivers::gigabit
