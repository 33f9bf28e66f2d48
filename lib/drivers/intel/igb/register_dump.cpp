// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/register_dump.hpp"

#include <array>
#include <string_view>

#include "drivers/intel/common/register_dump.hpp"

namespace pollux::drivers::igb {
namespace {

/// SWSM takes its semaphore, the high halves of time stamps make room for the next one (QEMU, hw/net/igb_core.c,
/// igb_mac_swsm_read, igb_get_rxsatrh and igb_get_txstmph), and a mailbox of a virtual function belongs to the
/// conversation with it.
constexpr std::array<std::string_view, 5> kLeftOut{"SWSM", "TXSTMPH", "RXSTMPH", "RXSATRH", "VMBMEM"};

}  // namespace

std::vector<RegisterValue> dump_registers(const hw::igb::Registers& regs) {
  return intel::dump_registers(regs.bar(), hw::igb::kRegisters, kLeftOut);
}

}  // namespace pollux::drivers::igb
