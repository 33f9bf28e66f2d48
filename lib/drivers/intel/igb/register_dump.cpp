// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/register_dump.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

namespace pollux::drivers::igb {
namespace {

/// Registers that may be read at a price: SWSM takes its semaphore, the high halves of time stamps make room for the
/// next one (QEMU, hw/net/igb_core.c, igb_mac_swsm_read, igb_get_rxsatrh and igb_get_txstmph), and a mailbox of a
/// virtual function belongs to the conversation with it.
constexpr std::array<std::string_view, 5> kLeftOut{"SWSM", "TXSTMPH", "RXSTMPH", "RXSATRH", "VMBMEM"};

bool may_be_dumped(const RegisterInfo& info) {
  return readable(info.access) && std::find(kLeftOut.begin(), kLeftOut.end(), info.name) == kLeftOut.end();
}

}  // namespace

std::vector<RegisterValue> dump_registers(const hw::igb::Registers& regs) {
  std::vector<RegisterValue> values;
  for (const RegisterInfo& info : hw::igb::kRegisters) {
    if (!may_be_dumped(info)) continue;
    for (std::uint32_t i = 0; i < info.stride.count; ++i) {
      const std::uint32_t offset = info.at(i);
      values.push_back({.name = info.stride.count == 1 ? std::string(info.name) : fmt::format("{}[{}]", info.name, i),
                        .offset = offset,
                        .value = regs.bar().read32(offset)});
    }
  }
  return values;
}

}  // namespace pollux::drivers::igb
