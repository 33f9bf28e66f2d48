// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/rss.hpp"

#include <array>
#include <utility>
#include <vector>

namespace pollux::drivers::igb {
namespace {

/// The bit of an entry that selects the second queue of a pool: Linux, igb_main.c, igb_write_rss_indir_tbl.
constexpr std::uint32_t kPoolShift = 3;
static_assert(packet::RssKey{}.size() == reg::kRssKeyWords * 4);

// The default key: DPDK, igb_rxtx.c, has the same one and names the 82576 datasheet as its source.
void write_key(const Card& card, const packet::RssKey& key) {
  for (std::uint32_t word = 0; word < reg::kRssKeyWords; ++word) {
    std::uint32_t value = 0;
    for (std::uint32_t byte = 0; byte < 4; ++byte) value |= std::uint32_t{key[4 * word + byte]} << (8 * byte);
    card.regs.write<reg::RSSRK>(word, reg::RSSRK::Value(value));
  }
}

// [I-RETA] Unlike on the 82575, entries are shifted only with pools: Linux, igb_main.c, igb_write_rss_indir_tbl.
void write_redirection(const Card& card, const std::vector<std::uint16_t>& table, std::uint32_t shift) {
  for (std::uint32_t word = 0; word < reg::kRedirectionEntries / 4; ++word) {
    const auto entry = [&](std::uint32_t number) { return std::uint32_t{table[4 * word + number]} << shift; };
    card.regs.write<reg::RETA>(word, reg::RETA::ENTRY0(entry(0)) | reg::RETA::ENTRY1(entry(1)) |
                                         reg::RETA::ENTRY2(entry(2)) | reg::RETA::ENTRY3(entry(3)));
  }
}

// Linux, igb_main.c, igb_setup_mrqc; DPDK, igb_rxtx.c, igb_hw_rss_hash_set.
reg::MRQC::Setting hash_types(RssTypes types, reg::MRQC::Setting setting) {
  constexpr std::array<std::pair<RssTypes::Bit, reg::MRQC::Bit>, 9> kBits{
      {{RssTypes::ipv4, reg::MRQC::IPV4},
       {RssTypes::tcp_ipv4, reg::MRQC::TCP_IPV4},
       {RssTypes::udp_ipv4, reg::MRQC::UDP_IPV4},
       {RssTypes::ipv6, reg::MRQC::IPV6},
       {RssTypes::tcp_ipv6, reg::MRQC::TCP_IPV6},
       {RssTypes::udp_ipv6, reg::MRQC::UDP_IPV6},
       {RssTypes::ipv6_ex, reg::MRQC::IPV6_EX},
       {RssTypes::tcp_ipv6_ex, reg::MRQC::TCP_IPV6_EX},
       {RssTypes::udp_ipv6_ex, reg::MRQC::UDP_IPV6_EX}}};
  for (const auto& [type, bit] : kBits) {
    if (types.has(type)) setting = setting | bit;
  }
  return setting;
}

}  // namespace

// RXCSUM.PCSD: QEMU, igb_core.c, igb_rss_enabled.
void enable_hash(const Card& card) { modify<reg::RXCSUM>(card, reg::RXCSUM::PCSD); }

void write_rss(const Card& card, const RssConfig& config, bool in_pools) {
  if (config.types.bits == 0) return card.regs.write<reg::MRQC>({});
  write_key(card, config.key);
  write_redirection(card, config.table, in_pools ? kPoolShift : 0);
  card.regs.write<reg::MRQC>(hash_types(config.types, in_pools ? reg::MRQC::VMDQ_RSS : reg::MRQC::RSS));
}

}  // namespace pollux::drivers::igb
