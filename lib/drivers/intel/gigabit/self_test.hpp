// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "drivers/intel/gigabit/card.hpp"
#include "pollux/net/self_test.hpp"

/// The parts of the self-test that cards have in common. Each needs a card that was reset and does no DMA, and leaves
/// one that needs a reset. They follow Linux, igb_ethtool.c, igb_diag_test, and e1000e, ethtool.c, e1000_diag_test. A
/// removed card fails; the caller checks for that.
namespace pollux::drivers::gigabit {

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

/// What a card's registers keep.
struct RegisterPlan {
  std::span<const TestedRegisters> patterns;
  std::uint32_t steady_status = 0;    ///< the bits of STATUS that do not change by themselves and cannot be written
  std::uint32_t receive_control = 0;  ///< of RCTL, without RXEN, so that no frame is received
};

/// Writes patterns to registers and reads them back, until one is wrong.
class RegisterTest {
 public:
  explicit RegisterTest(const Bar& bar) : bar_(bar) {}

  void value(std::string_view name, std::uint32_t offset, std::uint32_t written, std::uint32_t kept);
  void patterns(const TestedRegisters& row);
  void status(std::uint32_t steady);
  [[nodiscard]] SelfTestResult result() const;

 private:
  const Bar& bar_;
  std::string wrong_;
};

[[nodiscard]] SelfTestResult test_registers(const GigabitCard& card, const RegisterPlan& plan);
[[nodiscard]] SelfTestResult test_nvm(const GigabitCard& card);
/// Whether each of `causes` sends a message on `event`, which its vector has, if, and only if, it is not masked.
/// `beside`: bits that are unmasked with it.
[[nodiscard]] SelfTestResult test_causes(const GigabitCard& card, int event, std::uint32_t causes,
                                         std::uint32_t beside);
/// Starts the link and waits for it, at most five seconds.
[[nodiscard]] SelfTestResult test_link(const GigabitCard& card);
/// Only reads the link.
[[nodiscard]] SelfTestResult test_running_link(const GigabitCard& card);

}  // namespace pollux::drivers::gigabit
