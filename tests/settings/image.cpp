// SPDX-License-Identifier: BSD-3-Clause
#include "settings/image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace pollux::test::settings {
namespace {

constexpr std::uint32_t kAll = ~std::uint32_t{0};

/// Bits that are not compared. The names are those of the datasheet.
struct Left {
  std::string_view name;
  std::uint32_t bits;
};
constexpr std::array kLeftOut{
    // Positions in rings, and the rings' addresses. TDWBAL has the bit HEAD_WB_EN besides an address.
    Left{"RDH", kAll},
    Left{"RDT", kAll},
    Left{"TDH", kAll},
    Left{"TDT", kAll},
    Left{"RDBAL", kAll},
    Left{"RDBAH", kAll},
    Left{"TDBAL", kAll},
    Left{"TDBAH", kAll},
    Left{"TDWBAL", ~1U},
    Left{"TDWBAH", kAll},
    Left{"TDFH", kAll},
    Left{"TDFT", kAll},
    Left{"TDFHS", kAll},
    Left{"TDFPC", kAll},
    Left{"PBRWAC", kAll},
    // Armed vectors, and causes of interrupts.
    Left{"EIMS", kAll},
    Left{"EICS", kAll},
    Left{"EICR", kAll},
    Left{"ICS", kAll},
    Left{"PBACL", kAll},
    Left{"MBVFICR", kAll},
    Left{"VFLRE", kAll},
    Left{"TSICR", kAll},
    Left{"WVBR", kAll},
    // Time, stamps and their valid bits.
    Left{"SYSTIML", kAll},
    Left{"SYSTIMH", kAll},
    Left{"FRTIMER", kAll},
    Left{"TXSTMPL", kAll},
    Left{"RXSTMPL", kAll},
    Left{"RXSATRL", kAll},
    Left{"TSYNCTXCTL", 1},
    Left{"TSYNCRXCTL", 1},
    // EITR: a counter, and the bit that keeps it (I210 datasheet, 8.8.14).
    Left{"EITR", 0xFFFF8000U},
    // Accesses to the PHY and the NVM, semaphores, mailboxes.
    Left{"MDIC", kAll},
    Left{"EERD", kAll},
    Left{"EECD", kAll},
    Left{"SW_FW_SYNC", kAll},
    Left{"P2VMAILBOX", kAll},
    // What woke the machine. WUFC counts only while WUC.PME_EN is set, which it is in a port that sleeps.
    Left{"WUS", kAll},
    Left{"WUPL", kAll},
    Left{"WUPM", kAll},
    Left{"WUFC", kAll},
    // STATUS: TXOFF (a pause of the link partner), PHYRA (latched by a reset of the PHY).
    Left{"STATUS", 1U << 4 | 1U << 10},
};

/// Filters whose slots have no order: the registers of a slot, and the bits that say that it is used.
struct Slots {
  std::string_view kind;
  unsigned first, count;
  std::vector<std::string_view> registers;  ///< the first one has the bits
  std::uint32_t used;
};
const std::vector<Slots>& slots() {
  static const std::vector<Slots> all{
      {"further address", 1, 23, {"RAH", "RAL"}, 1U << 31},
      {"VLAN filter", 0, 32, {"VLVF"}, 1U << 31},
      {"EtherType filter", 0, 8, {"ETQF"}, 1U << 26},
      // Unused: neither a queue nor a stamp is selected.
      {"five-tuple filter", 0, 8, {"FTQF", "SAQF", "DAQF", "SPQF", "IMIR", "IMIREXT"}, 1U << 8 | 1U << 27},
  };
  return all;
}

std::string base_name(const std::string& name) { return name.substr(0, name.find('[')); }

void sort_slots(Image& image, const Slots& kind) {
  std::vector<std::vector<Image::Entry>> used;
  for (unsigned slot = kind.first; slot < kind.first + kind.count; ++slot) {
    std::vector<Image::Entry> values;
    for (const std::string_view name : kind.registers) {
      const auto found = image.registers.find(fmt::format("{}[{}]", name, slot));
      if (found == image.registers.end()) continue;
      values.push_back(found->second);
      image.registers.erase(found);
    }
    if (!values.empty() && (values.front().value & kind.used) != 0) used.push_back(std::move(values));
  }
  std::ranges::sort(used, [](const auto& a, const auto& b) {
    return std::ranges::lexicographical_compare(a, b, {}, &Image::Entry::value, &Image::Entry::value);
  });
  for (std::size_t i = 0; i < used.size(); ++i) {
    for (std::size_t j = 0; j < used[i].size(); ++j)
      image.registers[fmt::format("{} {} by value, {}", kind.kind, i + 1, kind.registers[j])] = used[i][j];
  }
}

/// A vector that no cause has sends nothing, so its interval means nothing. Each byte of IVAR and IVAR_MISC that has
/// bit 7 names a vector.
void remove_unused_vectors(Image& image) {
  std::set<unsigned> used;
  for (const auto& [name, entry] : image.registers) {
    if (!name.starts_with("IVAR")) continue;
    for (unsigned shift = 0; shift < 32; shift += 8) {
      if ((entry.value >> shift & 0x80) != 0) used.insert(entry.value >> shift & 0x1F);
    }
  }
  std::erase_if(image.registers, [&](const auto& entry) {
    return entry.first.starts_with("EITR[") && !used.contains(static_cast<unsigned>(std::stoul(entry.first.substr(5))));
  });
}

std::string text(const Image::Entry* entry, std::uint32_t differing) {
  if (entry == nullptr) return "absent";
  std::string text = fmt::format("{:#010x}", entry->value);
  for (const FieldInfo& field : entry->fields) {
    if ((field.mask() & differing) == 0) continue;
    text += fmt::format(" {}={:#x}", field.name, (entry->value & field.mask()) >> field.lo);
  }
  return text;
}

}  // namespace

Image image_of(const std::vector<RegisterValue>& dump) {
  Image image;
  for (const RegisterValue& value : dump) {
    const std::string name = base_name(value.name);
    if (name.starts_with("PVF") || name.starts_with("ICT") || name.starts_with("ICR")) continue;  // counters
    const auto* const left = std::ranges::find(kLeftOut, name, &Left::name);
    const std::uint32_t left_out = left == kLeftOut.end() ? 0 : left->bits;
    if (left_out != kAll) image.registers[value.name] = {.value = value.value & ~left_out, .fields = value.fields};
  }
  // Without a link (LU), its speed and mode mean nothing.
  if (Image::Entry& status = image.registers["STATUS"]; (status.value & 1U << 1) == 0) status.value &= ~0xC1U;
  for (const Slots& kind : slots()) sort_slots(image, kind);
  remove_unused_vectors(image);
  return image;
}

std::string difference(const Image& got, const Image& expected) {
  std::string lines;
  const auto find = [](const Image& image, const std::string& name) {
    const auto found = image.registers.find(name);
    return found == image.registers.end() ? nullptr : &found->second;
  };
  std::map<std::string, bool> names;
  for (const Image* image : {&got, &expected}) {
    for (const auto& [name, entry] : image->registers) names[name] = true;
  }
  for (const auto& [name, is_known] : names) {
    const Image::Entry* const a = find(got, name);
    const Image::Entry* const b = find(expected, name);
    if (a != nullptr && b != nullptr && a->value == b->value) continue;
    const std::uint32_t bits = a == nullptr || b == nullptr ? kAll : a->value ^ b->value;
    lines += fmt::format("  {}: {}, expected {}\n", name, text(a, bits), text(b, bits));
  }
  return lines;
}

}  // namespace pollux::test::settings
