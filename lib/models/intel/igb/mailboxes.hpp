// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// [I-M-MAILBOX] The mailboxes between the physical function and its virtual functions: who holds the memory, which
/// messages and acknowledgements are pending, and the signs of a reset of either side. QEMU, igb_core.c,
/// igb_set_pfmailbox and igb_set_vfmailbox.
class Mailboxes {
 public:
  using V2P = pollux::hw::igbvf::V2PMAILBOX;

  Mailboxes(RegisterFile& registers, Interrupts& interrupts);
  /// The physical function is reset: the others see RSTI until its driver sets CTRL_EXT.PFRSTD.
  void reset();
  /// CTRL_EXT.PFRSTD was set.
  void finish_reset();

  /// V2PMAILBOX, as function `number` accesses it.
  [[nodiscard]] std::uint32_t read(std::uint32_t number);
  void write(std::uint32_t number, std::uint32_t value);
  /// Tells the physical function that a virtual one was reset.
  void report_reset(std::uint32_t number);

 private:
  void write_physical(std::uint32_t number, std::uint32_t value);
  void interrupt_physical(std::uint32_t number);

  RegisterFile& registers_;
  Interrupts& interrupts_;
  std::array<V2P::Value, hw::kPools> virtual_{};
};

}  // namespace pollux::models::igb
