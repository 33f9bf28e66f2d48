// SPDX-License-Identifier: BSD-3-Clause
// The self-test of a port that is not started: each part on a card that was just reset.
#include <functional>
#include <utility>

#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/self_test.hpp"

namespace pollux::drivers::igb {

// The vectors of queues stay enabled while a port is stopped, and vector 0 is the one for other causes. A port that was
// never started has none. Messages are writes to memory, so they need bus mastering; no queue is enabled meanwhile.
Result<SelfTestResult> Port::test_messages() {
  if (auto on = device_->set_bus_master(true); !on) return pass_on(std::move(on));
  auto result = test_vector();
  if (auto off = device_->set_bus_master(false); !off) return pass_on(std::move(off));
  return result;
}

Result<SelfTestResult> Port::test_vector() {
  intel::QueueInterrupts* const interrupts = queues()->interrupts();
  if (interrupts != nullptr && interrupts->enabled() != 0) return test_interrupts(card_, interrupts->other_event());
  if (device_->interrupt_vectors() == 0) return test_interrupts(card_, -1);
  const auto events = device_->enable_interrupts(1);
  if (!events) return test_interrupts(card_, -1);
  SelfTestResult result = test_interrupts(card_, events->front());
  if (auto disabled = device_->enable_interrupts(0); !disabled) return tl::unexpected<Error>(disabled.error());
  return result;
}

Result<std::vector<SelfTestResult>> Port::test_offline() {
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
Result<std::vector<SelfTestResult>> Port::run_parts(std::span<const SelfTestStep> parts) {
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

Result<std::vector<SelfTestResult>> Port::test_online() {
  if (auto is_open = expect_open(); !is_open) return pass_on(std::move(is_open));
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (running()) return std::vector<SelfTestResult>{test_running_link(card_)};
  return fail(ErrorCode::bad_state, fmt::format("{}: the port is not started", card_.name),
              "start it first, or call test_offline");
}

}  // namespace pollux::drivers::igb
