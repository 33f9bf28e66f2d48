// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/rss.hpp"

#include "pollux/net/packet/toeplitz.hpp"

namespace pollux::drivers::igb {
namespace {

/// DPDK, igb_rxtx.c, has the same key and names the 82576 datasheet as its source.
constexpr const packet::RssKey& kKey = packet::kDefaultRssKey;
static_assert(kKey.size() == reg::kRssKeyWords * 4);

void write_key(const Card& card) {
  for (std::uint32_t word = 0; word < reg::kRssKeyWords; ++word) {
    std::uint32_t value = 0;
    for (std::uint32_t byte = 0; byte < 4; ++byte) value |= std::uint32_t{kKey[4 * word + byte]} << (8 * byte);
    card.regs.write<reg::RSSRK>(word, reg::RSSRK::Value(value));
  }
}

// [I-RETA] Round robin, as in Linux (igb_main.c, igb_setup_mrqc) and DPDK (igb_rxtx.c, igb_rss_configure). Unlike on
// the 82575, entries are not shifted.
void write_redirection(const Card& card, std::uint32_t queues) {
  for (std::uint32_t word = 0; word < reg::kRedirectionEntries / 4; ++word) {
    const std::uint32_t entry = 4 * word;
    card.regs.write<reg::RETA>(word, reg::RETA::ENTRY0(entry % queues) | reg::RETA::ENTRY1((entry + 1) % queues) |
                                         reg::RETA::ENTRY2((entry + 2) % queues) |
                                         reg::RETA::ENTRY3((entry + 3) % queues));
  }
}

}  // namespace

// Linux, igb_main.c, igb_setup_mrqc. RXCSUM.PCSD replaces the packet checksum in the write-back with the hash; RSS
// needs it (QEMU, igb_core.c, igb_rss_enabled). UDP ports are not hashed, or fragments of one datagram would go to
// different queues.
void set_up_rss(const Card& card, std::uint32_t queues) {
  modify<reg::RXCSUM>(card, reg::RXCSUM::PCSD);
  if (queues <= 1) return card.regs.write<reg::MRQC>({});
  write_key(card);
  write_redirection(card, queues);
  card.regs.write<reg::MRQC>(reg::MRQC::RSS | reg::MRQC::TCP_IPV4 | reg::MRQC::IPV4 | reg::MRQC::TCP_IPV6 |
                             reg::MRQC::IPV6 | reg::MRQC::TCP_IPV6_EX);
}

}  // namespace pollux::drivers::igb
