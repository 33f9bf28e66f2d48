// SPDX-License-Identifier: BSD-3-Clause
#include "differential/differences.hpp"

#include <array>
#include <string>
#include <vector>

namespace pollux::differential {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

/// Registers that QEMU's card does not have.
constexpr std::array<std::string_view, 40> kAbsent{
    "IMIR",  "FTQF",   "PSRTYPE", "SAQF",     "DAQF",    "SPQF", "SYNQF",  "DCA_",   "RXCTL",  "VMRVLAN",
    "VMRVM", "VMRCTL", "DVMOLR",  "DTXTCPFL", "DTXMXSZ", "PCS_", "EEARBC", "SCCRL",  "SCCR",   "MSCTR",
    "BSCTR", "IOVCTL", "TXSWC",   "SWPBS",    "I2C",     "SCTL", "PBACL",  "CONNSW", "LEDCTL", "PBRTH",
    "RPBS",  "WVBR",   "UTA",     "TTQ",      "STHD",    "WUPL", "FHFT",   "FLEX",   "FFLT",   "IPAV"};

std::vector<Difference> list() {
  std::vector<Difference> all{
      // After a reset.
      {"reset RAL 0", kAll, "D-MAC"},
      {"reset RAH 0", 0xFFFF, "D-MAC"},
      {"reset CTRL 0", 0x8, "D-LRST"},
      {"reset STATUS 0", 0x80080004, "D-LRST"},
      {"reset EECD 0", kAll, "D-EECD"},
      {"reset EEMNGCTL 0", kAll, "D-EECD"},
      {"reset LEDCTL 0", kAll, "D-RESET"},
      {"reset TCTL", kAll, "D-RESET"},
      {"reset DTXCTL", kAll, "D-RESET"},
      {"reset TXCTL", kAll, "D-RESET"},
      {"reset MBVFIMR", kAll, "D-RESET"},
      {"reset RPLOLR", kAll, "D-RESET"},
      {"reset VFRE", kAll, "D-RESET"},
      {"reset VFTE", kAll, "D-RESET"},
      {"reset VMOLR", kAll, "D-RESET"},
      // What is kept of what is written.
      {"written RDLEN", 0x70, "D-RING"},
      {"written TDLEN", 0x70, "D-RING"},
      {"written RDBAL", 0x60, "D-RING"},
      {"written TDBAL", 0x60, "D-RING"},
      {"other place of RDLEN", 0x70, "D-RING"},
      {"other place of TDLEN", 0x70, "D-RING"},
      {"other place of RDBAL", 0x60, "D-RING"},
      {"other place of TDBAL", 0x60, "D-RING"},
      {"other place of MTA", kAll, "D-ALIAS", true},
      {"other place of FCRTL", 0x7FFF0007, "D-RESERVED", true},
      {"written FCAH", 0xFFFF0000, "D-RESERVED", true},
      {"written FCT", 0xFFFF0000, "D-RESERVED", true},
      {"written FCRTV", 0xFFFF0000, "D-RESERVED", true},
      {"written FCRTH", 0xFFFF0007, "D-RESERVED", true},
      {"written FCRTL", 0x7FFF0007, "D-RESERVED", true},
      {"reset GCR", 0x06850200, "D-GCR"},
      {"written GCR", 0x06800000, "D-GCR"},
      {"other place of TXCTL 3", kAll, "D-ALIAS"},
      // Traffic.
      {"rx status ", 0x80, "D-INEXACT", true},
      {"rx status ", 0x200, "D-IPID"},
      {"rx type ", 0x60, "D-EXTENSION"},
      {"rx crc ", kAll, "D-CRC", true},
      {"RPTHC of", kAll, "D-UNCOUNTED", true},
      {"HG", kAll, "D-UNCOUNTED", true},
      {"IAC of", kAll, "D-UNCOUNTED", true},
      {"ROC of", kAll, "D-UNCOUNTED", true},
      {"RLEC of", kAll, "D-UNCOUNTED", true},
      {"TPR of", kAll, "D-OVERSIZE"},
      {"TORL of", kAll, "D-OVERSIZE"},
      {"stripped: PRC", kAll, "D-SIZES"},
      {"stripped: GORCL", kAll, "D-SIZES"},
  };
  for (const std::string_view name : kAbsent) {
    for (const std::string_view how : {"reset ", "written ", "other place of "}) {
      all.push_back({std::string(how).append(name), kAll, "D-ABSENT", true});
    }
  }
  return all;
}

}  // namespace

std::span<const Difference> known_differences() {
  static const std::vector<Difference> all = list();
  return all;
}

}  // namespace pollux::differential
