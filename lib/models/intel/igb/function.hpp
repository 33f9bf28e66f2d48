// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"
#include "pollux/device/device_model.hpp"

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

class Card;

/// A virtual function of the card, as its own driver sees it: a window of 16 KiB on the card's registers, and three
/// MSI-X vectors. Function n has the queues n and n + 8. A function that is not enabled reads all ones. QEMU,
/// hw/net/igbvf.c, vf_to_pf_addr.
class Function : public DeviceModel {
 public:
  /// The card sends the function's message.
  virtual void message(unsigned vector) = 0;
};
[[nodiscard]] std::unique_ptr<Function> make_function(Card& card, unsigned number);

}  // namespace pollux::models::igb
