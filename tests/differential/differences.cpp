// SPDX-License-Identifier: BSD-3-Clause
#include "differential/differences.hpp"

#include <array>
#include <string>
#include <vector>

namespace pollux::differential {
namespace {

constexpr std::uint64_t kWord = 0xFFFFFFFF;

/// Registers that the model implements and QEMU's card does not. The model keeps the written value; QEMU reads 0.
constexpr auto kAbsentInQemu = std::to_array<std::string_view>(
    {"IMIR",       "IMIREXT", "IMIRVP",    "FTQF",     "PSRTYPE",  "SAQF",      "DAQF",   "SPQF",
     "SYNQF",      "RXCTL",   "VMRVLAN",   "VMRVM",    "VMRCTL",   "DVMOLR",    "IOVCTL", "TXSWC",
     "DTXTCPFLGL", "SCCRL",   "DTXMXSZRQ", "PCS_CFG0", "PCS_LCTL", "PCS_NPTX",  "SCTL",   "PCS_ANADV",
     "DTXTCPFLGH", "MSCTRH",  "BSCTRH",    "FHFT_EXT", "EEARBC",   "I2CPARAMS", "SWPBS",  "CONNSW"});

std::vector<Difference> list() {
  using enum Scope;
  std::vector<Difference> all{
      {reset, "RAH 0", 0x6000, "D-MAC", Zero::qemu},
      {reset, "CTRL", 0x8, "D-LRST", Zero::model},
      {reset, "STATUS", 0x80000004, "D-LRST"},
      {reset, "EECD", 0x210, "D-EECD"},
      {reset, "EEMNGCTL", 0x803C0000, "D-EECD"},
      {reset, "LEDCTL", 0x07068302, "D-RESET", Zero::model},
      {reset, "TCTL", 0xA4000000, "D-RESET", Zero::model},
      {reset, "TCTL_EXT", 0x00010840, "D-RESET", Zero::model},
      {reset, "DTXCTL", 0x44, "D-RESET", Zero::model},
      {reset, "TXCTL", 0x2A00, "D-RESET", Zero::model},
      {reset, "GCR", 0x06800200, "D-GCR", Zero::model},
      {reset, "FRTIMER", Difference::kAnyBits, "D-TIME", Zero::qemu},

      {written, "RDBAL", 0x60, "D-RING", Zero::model},
      {written, "TDBAL", 0x60, "D-RING", Zero::model},
      {written, "FCAH", 0xFFFF0000, "D-RESERVED", Zero::qemu},
      {written, "FCT", 0xFFFF0000, "D-RESERVED", Zero::qemu},
      {written, "FCTTV", 0xFFFF0000, "D-RESERVED", Zero::qemu},
      {written, "FCRTV", 0xFFFF0000, "D-RESERVED", Zero::qemu},
      {written, "FCRTH", 0xFFFF0007, "D-RESERVED", Zero::qemu},
      {written, "FCRTL", 0x7FFF0007, "D-RESERVED", Zero::qemu},
      {written, "GCR", 0x00800000, "D-GCR", Zero::model},
      {written, "GCR", 0x02000000, "D-GCR", Zero::model},
      {written, "GCR", 0x04000000, "D-GCR", Zero::model},
      {written, "DCA_CTRL", kWord, "D-ABSENT", Zero::qemu},
      {written, "FHFT", 0xFFFFFFF0, "D-FLEX", Zero::qemu},
      {written, "FHFT 255", 0xF, "D-FLEX", Zero::qemu},

      {alias, "RDBAL", 0x60, "D-RING", Zero::model},
      {alias, "TDBAL", 0x60, "D-RING", Zero::model},
      {alias, "FCRTL", 0x7FFF0007, "D-RESERVED", Zero::qemu},
      {alias, "RXCTL", kWord, "D-ABSENT", Zero::qemu},
      {alias, "MTA", kWord, "D-ALIAS", Zero::qemu},
      {alias, "TXCTL 3", kWord, "D-ALIAS"},

      {traffic, "rx status", 0x80, "D-INEXACT", Zero::qemu},
      {traffic, "rx status", 0x200, "D-IPID", Zero::model},
      {traffic, "rx type", 0x20, "D-EXTENSION", Zero::qemu},
      {traffic, "rx type", 0x40, "D-EXTENSION", Zero::qemu},
      {traffic, "rx crc", 0x1, "D-CRC", Zero::qemu},
      {traffic, "RPTHC", Difference::kAnyBits, "D-UNCOUNTED", Zero::qemu},
      {traffic, "HGPTC", Difference::kAnyBits, "D-UNCOUNTED", Zero::qemu},
      {traffic, "HGOTCL", Difference::kAnyBits, "D-UNCOUNTED", Zero::qemu},
      {traffic, "HGORCL", Difference::kAnyBits, "D-UNCOUNTED", Zero::qemu},
      {traffic, "IAC", Difference::kAnyBits, "D-UNCOUNTED", Zero::qemu},
      {traffic, "oversize: ROC", Difference::kAnyBits, "D-UNCOUNTED", Zero::qemu},
      {traffic, "oversize: RLEC", Difference::kAnyBits, "D-UNCOUNTED", Zero::qemu},
      {traffic, "oversize: TPR", Difference::kAnyBits, "D-OVERSIZE"},
      {traffic, "oversize: TORL", Difference::kAnyBits, "D-OVERSIZE"},
      {traffic, "stripped: PRC", Difference::kAnyBits, "D-SIZES"},
      {traffic, "stripped: GORCL", Difference::kAnyBits, "D-SIZES"},
      {traffic, "stripped: TORL", Difference::kAnyBits, "D-SIZES"},
  };
  for (const std::string_view name : kAbsentInQemu) {
    all.push_back({written, std::string(name), kWord, "D-ABSENT", Zero::qemu});
  }
  return all;
}

bool is_letter(char c) { return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

}  // namespace

bool Difference::explains(std::string_view observed, std::uint64_t model, std::uint64_t qemu) const {
  if (!observed.starts_with(what)) return false;
  if (observed.size() > what.size() && is_letter(observed[what.size()])) return false;
  if (zero == Zero::model) return (model & bits) == 0;
  if (zero == Zero::qemu) return (qemu & bits) == 0;
  return true;
}

std::span<const Difference> known_differences() {
  static const std::vector<Difference> all = list();
  return all;
}

}  // namespace pollux::differential
