// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/self_test.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <utility>

#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/nvm.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/port.hpp"

// The self-test, but for the loopback (self_test_loopback.cpp).
namespace pollux::drivers::igb {
namespace {

/// Autonegotiation to 1000BASE-T takes about three seconds; Linux, igb_link_test, waits five.
constexpr Duration kSelfTestLinkLimit = std::chrono::seconds(5);
/// Linux, igb_intr_test, waits 10 ms for each message, and as long to see that none comes.
constexpr Duration kSilence = milliseconds(10);
constexpr Duration kMessageLimit = milliseconds(200);
/// The causes that ICS can raise on an 82576: Linux, igb_intr_test.
constexpr std::uint32_t kTestedCauses = 0x77D4FBFD;

SelfTestResult failed_part(SelfTestPart part, std::string why) {
  return {part, SelfTestOutcome::failed, std::move(why)};
}

bool signalled(const IgbCard& card, int event, Duration limit) {
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

void clear_causes(const IgbCard& card) {
  card.regs.write<reg::IMC>(reg::IMC::Value(~0U));
  card.regs.read_and_clear<reg::ICR>();
  card.regs.flush();
}

// What is wrong with a cause; empty if nothing is.
std::string check_cause(const IgbCard& card, int event, std::uint32_t bit) {
  const std::uint32_t cause = std::uint32_t{1} << bit;
  clear_causes(card);
  static_cast<void>(signalled(card, event, Duration(0)));
  card.regs.write<reg::ICS>(reg::ICS::Value(cause));
  card.regs.flush();
  if (signalled(card, event, kSilence)) return fmt::format("cause {} sent a message although it is masked", bit);
  if ((card.regs.read_and_clear<reg::ICR>().raw() & cause) == 0) return fmt::format("ICR does not show cause {}", bit);
  card.regs.write<reg::IMS>(reg::IMS::Value(cause));
  card.regs.write<reg::ICS>(reg::ICS::Value(cause));
  card.regs.flush();
  if (!signalled(card, event, kMessageLimit)) return fmt::format("cause {} sent no message", bit);
  return {};
}

}  // namespace

SelfTestResult test_nvm(const IgbCard& card) {
  const auto checked = check_nvm(card);
  return checked ? SelfTestResult{SelfTestPart::nvm} : failed_part(SelfTestPart::nvm, checked.error().what);
}

// Vector 0 gets the causes that belong to no queue, as in enable_interrupts.
SelfTestResult test_interrupts(const IgbCard& card, int event) {
  if (event < 0) {
    return {SelfTestPart::interrupts, SelfTestOutcome::skipped, "no MSI-X vector can be enabled for the other causes"};
  }
  card.regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE | reg::GPIE::PBA | reg::GPIE::NSICR);
  card.regs.write<reg::EIAC>(reg::EIAC::VECTORS(1));
  // QEMU's card sends the message of a device reset (DRSTA) by the TCP timer's vector.
  card.regs.write<reg::IVAR_MISC>(reg::IVAR_MISC::OTHER(0) | reg::IVAR_MISC::OTHER_VALID |
                                  reg::IVAR_MISC::TCP_TIMER(0) | reg::IVAR_MISC::TCP_TIMER_VALID);
  card.regs.write<reg::EIMS>(reg::EIMS::VECTORS(1));
  std::string wrong;
  for (std::uint32_t bit = 0; bit < 31 && wrong.empty(); ++bit) {
    if ((kTestedCauses >> bit & 1) != 0) wrong = check_cause(card, event, bit);
  }
  clear_causes(card);
  card.regs.write<reg::EIMC>(reg::EIMC::Value(~0U));
  card.regs.flush();
  static_cast<void>(signalled(card, event, Duration(0)));
  return wrong.empty() ? SelfTestResult{SelfTestPart::interrupts} : failed_part(SelfTestPart::interrupts, wrong);
}

SelfTestResult test_link(const IgbCard& card) {
  if (auto started = start_link(card, gigabit::LinkSetup()); !started) {
    return failed_part(SelfTestPart::link, started.error().what);
  }
  const auto up = wait_for(
      card, "the link", kSelfTestLinkLimit, [&] { return read_link(card).up; }, milliseconds(10));
  return up ? SelfTestResult{SelfTestPart::link} : failed_part(SelfTestPart::link, "the link does not come up");
}

SelfTestResult test_running_link(const IgbCard& card) {
  return read_link(card).up ? SelfTestResult{SelfTestPart::link} : failed_part(SelfTestPart::link, "the link is down");
}

// The registers, and the bits of them that keep what is written, are those of Linux, igb_ethtool.c, reg_test_82576 and
// igb_reg_test.
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

SelfTestResult test_registers(const IgbCard& card) {
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

// A port that is not started: each part on a card that was just reset.
//
// The vectors of queues stay enabled while a port is stopped, and vector 0 is the one for other causes. A port that was
// never started has none. Messages are writes to memory, so they need bus mastering; no queue is enabled meanwhile.
Result<SelfTestResult> IgbPort::test_messages() {
  if (auto on = device_->set_bus_master(true); !on) return pass_on(std::move(on));
  auto result = test_vector();
  if (auto off = device_->set_bus_master(false); !off) return pass_on(std::move(off));
  return result;
}

Result<SelfTestResult> IgbPort::test_vector() {
  intel::QueueInterrupts* const interrupts = queues()->interrupts();
  if (interrupts != nullptr && interrupts->enabled() != 0) return test_interrupts(card_, interrupts->other_event());
  if (device_->interrupt_vectors() == 0) return test_interrupts(card_, -1);
  const auto events = device_->enable_interrupts(1);
  if (!events) return test_interrupts(card_, -1);
  SelfTestResult result = test_interrupts(card_, events->front());
  if (auto disabled = device_->enable_interrupts(0); !disabled) return tl::unexpected<Error>(disabled.error());
  return result;
}

Result<std::vector<SelfTestResult>> IgbPort::test_offline() {
  if (auto is_open = expect_open(); !is_open) return pass_on(std::move(is_open));
  if (running()) {
    return fail(ErrorCode::bad_state, fmt::format("{}: the port is started", card_.name),
                "stop it first, or call test_online");
  }
  if (functions_.enabled()) {
    return fail(ErrorCode::bad_state, fmt::format("{}: the test would reset the port's virtual functions", card_.name),
                "disable the functions first (VirtualFunctions)");
  }
  const LoopbackMode loop = card_.traits->features.phy_loopback ? LoopbackMode::phy : LoopbackMode::mac;
  const std::array<SelfTestStep, 5> parts{
      [this] { return Result<SelfTestResult>(test_registers(card_)); },
      [this] { return Result<SelfTestResult>(test_nvm(card_)); }, [this] { return test_messages(); },
      [this, loop] { return test_loopback(card_, loop); }, [this] { return Result<SelfTestResult>(test_link(card_)); }};
  clock_.suspend();
  auto results = run_parts(parts);
  if (card_.regs.removed()) return fail_removed(card_.name);
  auto reset = reset_card(card_);
  announce_driver(card_, true);
  statistics_.discard();
  if (reset) reset = apply(nullptr, settings());
  if (results && !reset) return pass_on(std::move(reset));
  return results;
}

// Each part begins with a card that was just reset.
Result<std::vector<SelfTestResult>> IgbPort::run_parts(std::span<const SelfTestStep> parts) {
  std::vector<SelfTestResult> results;
  for (const auto& part : parts) {
    if (auto reset = reset_card(card_); !reset) return pass_on(std::move(reset));
    auto result = part();
    if (card_.regs.removed()) return fail_removed(card_.name);
    if (!result) return pass_on(std::move(result));
    results.push_back(*std::move(result));
  }
  return results;
}

Result<std::vector<SelfTestResult>> IgbPort::test_online() {
  if (auto is_open = expect_open(); !is_open) return pass_on(std::move(is_open));
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (running()) return std::vector<SelfTestResult>{test_running_link(card_)};
  return fail(ErrorCode::bad_state, fmt::format("{}: the port is not started", card_.name),
              "start it first, or call test_offline");
}

}  // namespace pollux::drivers::igb
