// SPDX-License-Identifier: BSD-3-Clause
// Registers: their other addresses, narrow accesses, and the bits that they keep. No queue is enabled.
#include <fmt/format.h>

#include <array>

#include "silicon_probe/groups.hpp"
#include "silicon_probe/raw_port.hpp"

namespace pollux::silicon {
namespace {

constexpr std::array<std::uint32_t, 2> kPatterns{0x5A5A5A00, 0xA5A5A580};

/// Registers without side effects, all with a second address.
bool is_harmless(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames{"RDBAL", "RDBAH", "RDLEN", "TDBAL", "TDBAH",
                                                   "TDLEN", "MTA",   "VFTA",  "RAL"};
  for (const std::string_view known : kNames) {
    if (known == name) return true;
  }
  return false;
}

// The number of registers of the array whose second address does not show what was written at the first one.
std::uint32_t mismatches(const RawPort& port, const RegisterInfo& info) {
  const Bar& bar = port.regs().bar();
  std::uint32_t wrong = 0;
  for (std::uint32_t index = 0; index < info.alias.count; ++index) {
    const std::uint32_t other = info.alias.offset + index * info.alias.bytes;
    bool same = true;
    for (const std::uint32_t pattern : kPatterns) {
      bar.write32(info.at(index), pattern);
      same = same && bar.read32(info.at(index)) == bar.read32(other);
    }
    bar.write32(info.at(index), 0);
    wrong += same ? 0 : 1;
  }
  return wrong;
}

Result<void> ask_alias(ProbePorts& ports, Answer& answer) {
  for (const RegisterInfo& info : reg::kRegisters) {
    if (info.alias.count == 0 || info.access != Access::rw || !is_harmless(info.name)) continue;
    answer.equal(
        "I-ALIAS",
        fmt::format("{}: of {} registers, those whose second address shows another value", info.name, info.alias.count),
        mismatches(ports.port, info), 0);
  }
  return {};
}

Result<void> ask_narrow(ProbePorts& ports, Answer& answer) {
  const Bar& bar = ports.port.regs().bar();
  constexpr std::uint32_t kQueue = 2;
  constexpr std::uint32_t kValue = 0xA1B2C380;
  const std::uint32_t at = reg::RDBAL::offset(kQueue);
  bar.write32(at, kValue);
  answer.equal_hex("I-M-NARROW", "RDBAL, read by 32 bits", bar.read32(at), kValue);
  answer.equal_hex("I-M-NARROW", "low half of RDBAL, read by 16 bits", bar.read16(at), kValue & 0xFFFF);
  answer.equal_hex("I-M-NARROW", "high half of RDBAL, read by 16 bits", bar.read16(at + 2), kValue >> 16);
  answer.equal_hex("I-M-NARROW", "second byte of RDBAL, read by 8 bits", bar.read8(at + 1), kValue >> 8 & 0xFF);
  bar.write16(at + 2, 0x1234);
  answer.equal_hex("I-M-NARROW", "RDBAL after a 16-bit write of 0x1234 to its high half", bar.read32(at), kValue);
  bar.write32(at, kValue);
  bar.write8(at + 1, 0x55);
  answer.equal_hex("I-M-NARROW", "RDBAL after an 8-bit write of 0x55 to its second byte", bar.read32(at), kValue);
  bar.write32(at, 0);
  return {};
}

Result<void> ask_kept_bits(ProbePorts& ports, Answer& answer) {
  const reg::Registers& regs = ports.port.regs();
  constexpr std::uint32_t kQueue = 2;
  regs.bar().write32(reg::RDLEN::offset(kQueue), ~0U);
  answer.equal_hex("I-M-RINGLENGTH", "RDLEN after all ones were written", regs.read<reg::RDLEN>(kQueue).raw(), 0xFFFF0);
  answer.note("I-RDLEN", "descriptors of the longest ring that RDLEN holds", regs.read<reg::RDLEN>(kQueue).raw() / 16);
  regs.write<reg::RDLEN>(kQueue, {});
  regs.bar().write32(reg::TDLEN::offset(kQueue), ~0U);
  answer.equal_hex("I-M-RINGLENGTH", "TDLEN after all ones were written", regs.read<reg::TDLEN>(kQueue).raw(), 0xFFFF0);
  regs.write<reg::TDLEN>(kQueue, {});
  regs.bar().write32(reg::RLPML::offset(), ~0U);
  answer.note_hex("I-JUMBO", "RLPML after all ones were written", regs.read<reg::RLPML>().raw());
  answer.note_hex("I-WTHRESH", "RXDCTL[1] after a reset", regs.read<reg::RXDCTL>(1).raw());
  answer.note_hex("I-WTHRESH", "TXDCTL[1] after a reset", regs.read<reg::TXDCTL>(1).raw());
  answer.note_hex("I-BSIZE", "SRRCTL[1] after a reset", regs.read<reg::SRRCTL>(1).raw());
  regs.write<reg::RDH>(kQueue, reg::RDH::HEAD(3));
  answer.note("I-RDH", "RDH of a disabled queue after 3 was written", regs.read<reg::RDH>(kQueue).raw());
  regs.write<reg::RDH>(kQueue, {});
  regs.write<reg::RDT>(kQueue, reg::RDT::TAIL(5));
  answer.equal("I-M-EARLYTAIL", "RDT of a disabled queue after 5 was written", regs.read<reg::RDT>(kQueue).raw(), 5);
  regs.write<reg::RDT>(kQueue, {});
  return {};
}

constexpr std::array<std::string_view, 1> kAliasTags{"I-ALIAS"};
constexpr std::array<std::string_view, 1> kNarrowTags{"I-M-NARROW"};
constexpr std::array<std::string_view, 7> kKeptTags{"I-M-RINGLENGTH", "I-RDLEN",   "I-RDH",  "I-M-EARLYTAIL",
                                                    "I-BSIZE",        "I-WTHRESH", "I-JUMBO"};
constexpr std::array kRegisterProbes{
    Probe{"alias", "Do registers with two addresses show the same value at both?", kAliasTags, false, false, ask_alias},
    Probe{"narrow", "What do accesses of 8 and 16 bits do?", kNarrowTags, false, false, ask_narrow},
    Probe{"kept_bits", "Which bits do queue registers keep while the queue is disabled?", kKeptTags, false, false,
          ask_kept_bits},
};

}  // namespace

std::span<const Probe> register_probes() { return kRegisterProbes; }

}  // namespace pollux::silicon
