// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/register_dump.hpp"

#include <array>
#include <string_view>

#include "net/register_dump.hpp"

namespace pollux::drivers::igb {
namespace {

/// A read of SWSM takes its semaphore. A read of a time stamp's high half releases the stamp (QEMU, hw/net/igb_core.c,
/// igb_mac_swsm_read, igb_get_rxsatrh and igb_get_txstmph). VMBMEM belongs to the exchange with a virtual function.
constexpr std::array<std::string_view, 5> kNotDumped{"SWSM", "TXSTMPH", "RXSTMPH", "RXSATRH", "VMBMEM"};

}  // namespace

std::vector<RegisterValue> dump_registers(const hw::igb::Registers& regs) {
  return pollux::dump_registers(regs.bar(), hw::igb::kRegisters, kNotDumped);
}

}  // namespace pollux::drivers::igb
