// SPDX-License-Identifier: BSD-3-Clause
// The parts of the self-test that need no more than a few registers.
#include "drivers/intel/igb/self_test.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "drivers/intel/igb/link.hpp"
#include "drivers/intel/igb/nvm.hpp"

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

bool signalled(const Card& card, int event, Duration limit) {
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

void clear_causes(const Card& card) {
  card.regs.write<reg::IMC>(reg::IMC::Value(~0U));
  card.regs.read_and_clear<reg::ICR>();
  card.regs.flush();
}

// What is wrong with a cause; empty if nothing is.
std::string check_cause(const Card& card, int event, std::uint32_t bit) {
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

SelfTestResult test_nvm(const Card& card) {
  const auto checked = check_nvm(card);
  return checked ? SelfTestResult{SelfTestPart::nvm} : failed_part(SelfTestPart::nvm, checked.error().what);
}

// Vector 0 gets the causes that belong to no queue, as in enable_interrupts.
SelfTestResult test_interrupts(const Card& card, int event) {
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

SelfTestResult test_link(const Card& card) {
  if (auto started = start_link(card, LinkSetup()); !started) {
    return failed_part(SelfTestPart::link, started.error().what);
  }
  const auto up = wait_for(
      card, "the link", kSelfTestLinkLimit, [&] { return read_link(card).up; }, milliseconds(10));
  return up ? SelfTestResult{SelfTestPart::link} : failed_part(SelfTestPart::link, "the link does not come up");
}

SelfTestResult test_running_link(const Card& card) {
  return read_link(card).up ? SelfTestResult{SelfTestPart::link} : failed_part(SelfTestPart::link, "the link is down");
}

}  // namespace pollux::drivers::igb
