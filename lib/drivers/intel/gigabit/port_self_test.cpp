// SPDX-License-Identifier: BSD-3-Clause
// The self-test of a port that is not started: each part on a card that was just reset.
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/gigabit/port.hpp"
#include "drivers/intel/gigabit/self_test.hpp"

namespace pollux::drivers::gigabit {

// The vectors of queues stay enabled while a port is stopped, and vector 0 is the one for other causes. A port that was
// never started has none. Messages are writes to memory, so they need bus mastering; no queue is enabled meanwhile.
Result<SelfTestResult> GigabitPort::test_messages() {
  if (auto on = device_->set_bus_master(true); !on) return pass_on(std::move(on));
  auto result = test_any_vector();
  if (auto off = device_->set_bus_master(false); !off) return pass_on(std::move(off));
  return result;
}

Result<SelfTestResult> GigabitPort::test_any_vector() {
  const SelfTestResult skipped{SelfTestPart::interrupts, SelfTestOutcome::skipped,
                               "no MSI-X vector can be enabled for the other causes"};
  intel::QueueInterrupts* const interrupts = queues()->interrupts();
  if (interrupts != nullptr && interrupts->enabled() != 0) {
    return interrupts->other_event() < 0 ? skipped : test_vector(interrupts->other_event());
  }
  if (device_->interrupt_vectors() == 0) return skipped;
  const auto events = device_->enable_interrupts(1);
  if (!events) return skipped;
  SelfTestResult result = test_vector(events->front());
  if (auto disabled = device_->enable_interrupts(0); !disabled) return tl::unexpected<Error>(disabled.error());
  return result;
}

Result<std::vector<SelfTestResult>> GigabitPort::test_offline() {
  if (auto is_open = expect_open(card()); !is_open) return pass_on(std::move(is_open));
  if (running()) {
    return fail(ErrorCode::bad_state, fmt::format("{}: the port is started", card().name),
                "stop it first, or call test_online");
  }
  if (auto fits = check_self_test(); !fits) return pass_on(std::move(fits));
  before_reset();
  auto results = run_parts(self_test_parts());
  if (card().regs.removed()) return fail_removed(card().name);
  auto done = reset();
  announce(true);
  statistics_.discard();
  if (done) done = apply(nullptr, settings());
  if (results && !done) return pass_on(std::move(done));
  return results;
}

// Each part begins with a card that was just reset.
Result<std::vector<SelfTestResult>> GigabitPort::run_parts(std::span<const SelfTestStep> parts) {
  std::vector<SelfTestResult> results;
  for (const auto& part : parts) {
    if (auto done = reset(); !done) return pass_on(std::move(done));
    auto result = part();
    if (card().regs.removed()) return fail_removed(card().name);
    if (!result) return pass_on(std::move(result));
    results.push_back(*std::move(result));
  }
  return results;
}

Result<std::vector<SelfTestResult>> GigabitPort::test_online() {
  if (auto is_open = expect_open(card()); !is_open) return pass_on(std::move(is_open));
  if (card().regs.removed()) return fail_removed(card().name);
  if (running()) return std::vector<SelfTestResult>{test_running_link(card())};
  return fail(ErrorCode::bad_state, fmt::format("{}: the port is not started", card().name),
              "start it first, or call test_offline");
}

}  // namespace pollux::drivers::gigabit
