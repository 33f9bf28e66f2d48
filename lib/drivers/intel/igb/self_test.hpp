// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/gigabit/self_test.hpp"
#include "drivers/intel/igb/card.hpp"
#include "pollux/net/loopback.hpp"

/// The parts of the self-test that are the 82576's own: gigabit/self_test.hpp has the others, and what holds for all.
namespace pollux::drivers::igb {

[[nodiscard]] SelfTestResult test_registers(const IgbCard& card);
/// `event`: the eventfd of MSI-X vector 0, which is enabled.
[[nodiscard]] SelfTestResult test_interrupts(const IgbCard& card, int event);
/// Sends frames through `mode`, in rings and buffers of its own. Ends with the card's DMA stopped.
/// Errors: no_memory, and those of ending DMA; then the card may still access the memory, which is freed all the same
/// after a function level reset.
[[nodiscard]] Result<SelfTestResult> test_loopback(const IgbCard& card, LoopbackMode mode);

}  // namespace pollux::drivers::igb
