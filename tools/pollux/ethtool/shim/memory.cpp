// SPDX-License-Identifier: BSD-3-Clause
// The card's registers and its NVM: ethtool -d, -e and -E.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>

#include "memory.hpp"
#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

/// Some registers of one name in the dump of Linux's igb, which ethtool decodes: igb_ethtool.c, igb_get_regs; ethtool,
/// igb.c. Registers that Pollux does not read (port.registers) are zero. So are the counters, which a read would clear:
/// -S has them.
struct Run {
  std::uint16_t at = 0;    ///< word of the dump
  const char* name = "";   ///< in the datasheet
  std::uint8_t count = 1;  ///< more than one: name[first], name[first + 1], ...
  std::uint8_t first = 0;
  bool indexed = false;
};

constexpr Run one(std::uint16_t at, const char* name) { return {at, name, 1, 0, false}; }
constexpr Run several(std::uint16_t at, const char* name, std::uint8_t count, std::uint8_t first = 0) {
  return {at, name, count, first, true};
}

constexpr std::array kRuns{one(0, "CTRL"),
                           one(1, "STATUS"),
                           one(2, "CTRL_EXT"),
                           one(3, "MDIC"),
                           one(4, "SCTL"),
                           one(5, "CONNSW"),
                           one(6, "VET"),
                           one(7, "LEDCTL"),
                           one(8, "PBA"),
                           one(9, "PBS"),
                           one(10, "FRTIMER"),
                           one(11, "TCPTIMER"),
                           one(12, "EECD"),
                           one(13, "EICS"),
                           one(14, "EICS"),
                           one(15, "EIMS"),
                           one(16, "EIMC"),
                           one(17, "EIAC"),
                           one(18, "EIAM"),
                           one(19, "ICS"),
                           one(20, "ICS"),
                           one(21, "IMS"),
                           one(22, "IMC"),
                           one(23, "IAC"),
                           one(24, "IAM"),
                           one(25, "IMIRVP"),
                           one(26, "FCAL"),
                           one(27, "FCAH"),
                           one(28, "FCTTV"),
                           one(29, "FCRTL"),
                           one(30, "FCRTH"),
                           one(31, "FCRTV"),
                           one(32, "RCTL"),
                           one(33, "RXCSUM"),
                           one(34, "RLPML"),
                           one(35, "RFCTL"),
                           one(36, "MRQC"),
                           one(37, "VT_CTL"),
                           one(38, "TCTL"),
                           one(39, "TCTL_EXT"),
                           one(40, "TIPG"),
                           one(41, "DTXCTL"),
                           one(42, "WUC"),
                           one(43, "WUFC"),
                           one(44, "WUS"),
                           one(45, "IPAV"),
                           one(46, "WUPL"),
                           one(47, "PCS_CFG0"),
                           one(48, "PCS_LCTL"),
                           one(49, "PCS_LSTAT"),
                           one(50, "PCS_ANADV"),
                           one(51, "PCS_LPAB"),
                           one(52, "PCS_NPTX"),
                           one(53, "PCS_LPABNP"),
                           several(121, "SRRCTL", 4),
                           several(125, "PSRTYPE", 4),
                           several(129, "RDBAL", 4),
                           several(133, "RDBAH", 4),
                           several(137, "RDLEN", 4),
                           several(141, "RDH", 4),
                           several(145, "RDT", 4),
                           several(149, "RXDCTL", 4),
                           several(153, "EITR", 10),
                           several(163, "IMIR", 8),
                           several(171, "IMIREXT", 8),
                           several(179, "RAL", 16),
                           several(195, "RAH", 16),
                           several(211, "TDBAL", 4),
                           several(215, "TDBAH", 4),
                           several(219, "TDLEN", 4),
                           several(223, "TDH", 4),
                           several(227, "TDT", 4),
                           several(231, "TXDCTL", 4),
                           several(235, "TDWBAL", 4),
                           several(239, "TDWBAH", 4),
                           several(243, "TXCTL", 4),
                           several(247, "IP4AT", 4),
                           several(251, "IP6AT", 4),
                           several(255, "WUPM", 32),
                           several(543, "FFLT", 4),
                           one(547, "TDFH"),
                           one(548, "TDFT"),
                           one(549, "TDFHS"),
                           one(550, "TDFPC"),
                           several(555, "SRRCTL", 12, 4),
                           several(567, "PSRTYPE", 4, 4),
                           several(571, "RDBAL", 12, 4),
                           several(583, "RDBAH", 12, 4),
                           several(595, "RDLEN", 12, 4),
                           several(607, "RDH", 12, 4),
                           several(619, "RDT", 12, 4),
                           several(631, "RXDCTL", 12, 4),
                           several(643, "TDBAL", 12, 4),
                           several(655, "TDBAH", 12, 4),
                           several(667, "TDLEN", 12, 4),
                           several(679, "TDH", 12, 4),
                           several(691, "TDT", 12, 4),
                           several(703, "TXDCTL", 12, 4),
                           several(715, "TDWBAL", 12, 4),
                           several(727, "TDWBAH", 12, 4)};
constexpr std::size_t kIgbWords = kIgbDumpBytes / sizeof(std::uint32_t);
/// Format 1 of the dump, in the highest byte.
constexpr std::uint32_t kIgbVersion = std::uint32_t{1} << 24;

using Registers = std::vector<std::uint32_t>;

Registers as_igb(const Json& registers) {
  std::map<std::string, std::uint32_t> values;
  for (const Json& one : registers) values[text(one, "name")] = static_cast<std::uint32_t>(number(one, "value"));
  Registers dump(kIgbWords);
  for (const Run& run : kRuns) {
    for (std::size_t i = 0; i < run.count; ++i) {
      const std::string suffix = run.indexed ? "[" + std::to_string(run.first + i) + "]" : "";
      const auto found = values.find(run.name + suffix);
      if (found != values.end()) dump[run.at + i] = found->second;
    }
  }
  return dump;
}

int read_registers(Port& port, Registers& dump, std::uint32_t& version) {
  Json info;
  if (const int error = port.ask("port.info", info)) return error;
  Json registers;
  if (const int error = port.ask("port.registers", registers)) return error;
  if (!registers.is_array()) return EIO;
  version = 0;
  if (text(info, "driver") == "igb") {
    Json nvm;
    if (port.ask("port.nvm", nvm) == 0) version = static_cast<std::uint32_t>(number(nvm, "device_id") & 0xFFFF);
    version |= kIgbVersion;
    dump = as_igb(registers);
    return 0;
  }
  for (const Json& one : registers) dump.push_back(static_cast<std::uint32_t>(number(one, "value")));
  return 0;
}

int registers(Port& port, void* data) {
  auto& request = *static_cast<ethtool_regs*>(data);
  if (request.len == 0) return EOPNOTSUPP;  // ethtool has no room, and would decode what is behind it
  Registers dump;
  std::uint32_t version = 0;
  if (const int error = read_registers(port, dump, version)) return error;
  request.version = version;
  request.len = std::min(request.len, static_cast<std::uint32_t>(dump.size() * sizeof dump[0]));
  std::memcpy(request.data, dump.data(), request.len);
  return 0;
}

/// So many words the program reads or writes at once: docs/telemetry.md.
constexpr std::uint32_t kWordsRead = 4096;
constexpr std::uint32_t kWordsWritten = 64;

std::uint32_t magic_of(const Json& nvm) {
  return static_cast<std::uint32_t>(number(nvm, "vendor_id") | number(nvm, "device_id") << 16);
}

int read_words(Port& port, std::uint32_t first, std::uint32_t count, std::vector<std::uint16_t>& words,
               std::uint32_t& magic) {
  while (count > 0) {
    const std::uint32_t now = std::min(count, kWordsRead);
    Json nvm;
    if (const int error = port.ask("port.nvm", nvm, {{"first", first}, {"count", now}})) return error;
    const Json& data = member(nvm, "data");
    if (!data.is_array() || data.size() != now) return EIO;
    magic = magic_of(nvm);
    for (const Json& word : data) words.push_back(static_cast<std::uint16_t>(number(word)));
    first += now;
    count -= now;
  }
  return 0;
}

/// The words that have the bytes of a request.
struct Range {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

Range words_of(const ethtool_eeprom& request) {
  const std::uint32_t first = request.offset / 2;
  return {first, (request.offset + request.len + 1) / 2 - first};
}

std::uint8_t byte_of(const std::vector<std::uint16_t>& words, std::size_t at) {
  return static_cast<std::uint8_t>(words[at / 2] >> (at % 2 * 8));
}

// Words are little-endian, as in the memory. ethtool asks for no bytes if -i says that there are none.
int read_nvm(Port& port, void* data) {
  auto& request = *static_cast<ethtool_eeprom*>(data);
  if (request.len == 0) {
    Json nvm;
    const int error = port.ask("port.nvm", nvm);
    return error == 0 ? EINVAL : error;
  }
  const Range range = words_of(request);
  std::vector<std::uint16_t> words;
  if (const int error = read_words(port, range.first, range.count, words, request.magic)) return error;
  for (std::uint32_t i = 0; i < request.len; ++i) request.data[i] = byte_of(words, request.offset % 2 + i);
  return 0;
}

int write_words(Port& port, std::uint32_t first, const std::vector<std::uint16_t>& words) {
  for (std::size_t at = 0; at < words.size(); at += kWordsWritten) {
    const auto end = std::min<std::size_t>(words.size(), at + kWordsWritten);
    Json list = Json::array();
    for (std::size_t i = at; i < end; ++i) list.push_back(words[i]);
    if (const int error = port.change("port.write_nvm", {{"first", first + at}, {"data", list}})) return error;
  }
  return 0;
}

// As in Linux, the magic number says that the caller means this kind of card.
int write_nvm(Port& port, void* data) {
  const auto& request = *static_cast<const ethtool_eeprom*>(data);
  if (request.len == 0) return EINVAL;
  const Range range = words_of(request);
  std::vector<std::uint16_t> words;
  std::uint32_t magic = 0;
  if (const int error = read_words(port, range.first, range.count, words, magic)) return error;
  if (request.magic != magic) {
    explain("the magic number is not that of " + port.name(), "its NVM says: magic " + std::to_string(magic));
    return EFAULT;
  }
  for (std::uint32_t i = 0; i < request.len; ++i) {
    const std::size_t at = request.offset % 2 + i;
    const unsigned shift = at % 2 * 8;
    auto& word = words[at / 2];
    word = static_cast<std::uint16_t>((word & ~(0xFFU << shift)) | static_cast<unsigned>(request.data[i]) << shift);
  }
  return write_words(port, range.first, words);
}

constexpr std::array kMemoryVerbs{Verb{ETHTOOL_GREGS, registers}, Verb{ETHTOOL_GEEPROM, read_nvm},
                                  Verb{ETHTOOL_SEEPROM, write_nvm}};

}  // namespace

std::uint32_t register_bytes(Port& port) {
  Registers dump;
  std::uint32_t version = 0;
  return read_registers(port, dump, version) == 0 ? static_cast<std::uint32_t>(dump.size() * sizeof dump[0]) : 0;
}

// As Linux's igb writes it: igb_main.c, igb_set_fw_version.
NvmSummary nvm_summary(Port& port) {
  Json nvm;
  if (port.ask("port.nvm", nvm) != 0) return {};
  const Json& version = member(nvm, "version");
  NvmSummary summary{static_cast<std::uint32_t>(2 * number(nvm, "words")),
                     std::to_string(number(version, "major")) + "." + std::to_string(number(version, "minor"))};
  if (const Json& track = member(version, "track_id"); track.is_number()) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), ", 0x%08x", static_cast<unsigned>(number(track)));
    summary.version += text.data();
  } else {
    summary.version += "." + std::to_string(number(version, "image"));
  }
  return summary;
}

std::span<const Verb> memory_verbs() { return kMemoryVerbs; }

}  // namespace pollux::ethtool
