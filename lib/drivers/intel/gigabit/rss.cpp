// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/rss.hpp"

namespace pollux::drivers::gigabit {
namespace {

static_assert(packet::RssKey{}.size() == reg::RSSRK::kCount * 4);

// The default key: DPDK, igb_rxtx.c, has the same one and names the 82576 datasheet as its source.
void write_key(const GigabitCard& card, const packet::RssKey& key) {
  for (std::uint32_t word = 0; word < reg::RSSRK::kCount; ++word) {
    std::uint32_t value = 0;
    for (std::uint32_t byte = 0; byte < 4; ++byte) value |= std::uint32_t{key[4 * word + byte]} << (8 * byte);
    card.regs.write<reg::RSSRK>(word, reg::RSSRK::Value(value));
  }
}

void write_table(const GigabitCard& card, const std::vector<std::uint16_t>& table, std::uint32_t shift) {
  for (std::uint32_t word = 0; word < reg::RETA::kCount; ++word) {
    const auto entry = [&](std::uint32_t number) { return std::uint32_t{table[4 * word + number]} << shift; };
    card.regs.write<reg::RETA>(word, reg::RETA::ENTRY0(entry(0)) | reg::RETA::ENTRY1(entry(1)) |
                                         reg::RETA::ENTRY2(entry(2)) | reg::RETA::ENTRY3(entry(3)));
  }
}

}  // namespace

// Linux, igb_main.c, igb_setup_mrqc; DPDK, igb_rxtx.c, igb_hw_rss_hash_set; e1000e, netdev.c, e1000e_setup_rss_hash.
void write_rss(const GigabitCard& card, const RssConfig& config, const RssFormat& format) {
  if (config.types.bits == 0) return card.regs.write<reg::MRQC>({});
  write_key(card, config.key);
  write_table(card, config.table, format.shift);
  std::uint32_t fields = format.mode;
  for (const HashBit& one : format.bits) fields |= config.types.has(one.type) ? one.bit : 0;
  card.regs.write<reg::MRQC>(reg::MRQC::Value(fields));
}

}  // namespace pollux::drivers::gigabit
