// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/loopback.hpp"
#include "pollux/net/self_test.hpp"

/// The parts of the self-test. Each needs a card that was reset and does no DMA, and leaves one that needs a reset.
/// They follow Linux, igb_ethtool.c, igb_diag_test. A removed card fails; the caller checks for that.
namespace pollux::drivers::igb {

[[nodiscard]] SelfTestResult test_registers(const IgbCard& card);
[[nodiscard]] SelfTestResult test_nvm(const IgbCard& card);
/// `event`: the eventfd of MSI-X vector 0, which is enabled; -1: the part is skipped.
[[nodiscard]] SelfTestResult test_interrupts(const IgbCard& card, int event);
/// Sends frames through `mode`, in rings and buffers of its own. Ends with the card's DMA stopped.
/// Errors: no_memory, and those of ending DMA; then the card may still access the memory, which is freed all the same
/// after a function level reset.
[[nodiscard]] Result<SelfTestResult> test_loopback(const IgbCard& card, LoopbackMode mode);
/// Starts the link and waits for it, at most five seconds.
[[nodiscard]] SelfTestResult test_link(const IgbCard& card);
/// Only reads the link.
[[nodiscard]] SelfTestResult test_running_link(const IgbCard& card);

}  // namespace pollux::drivers::igb
