// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/rss.hpp"

#include <array>
#include <utility>

#include "drivers/intel/common/ring_setup.hpp"
#include "net/rss_check.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr RssLimits kLimits{.table_size = reg::kRedirectionEntries, .types = RssTypes::kAll};
static_assert(packet::RssKey{}.size() == reg::kRssKeyWords * 4);

// The default key: DPDK, igb_rxtx.c, has the same one and names the 82576 datasheet as its source.
void write_key(const Card& card, const packet::RssKey& key) {
  for (std::uint32_t word = 0; word < reg::kRssKeyWords; ++word) {
    std::uint32_t value = 0;
    for (std::uint32_t byte = 0; byte < 4; ++byte) value |= std::uint32_t{key[4 * word + byte]} << (8 * byte);
    card.regs.write<reg::RSSRK>(word, reg::RSSRK::Value(value));
  }
}

// [I-RETA] Unlike on the 82575, entries are not shifted: Linux, igb_main.c, igb_write_rss_indir_tbl.
void write_redirection(const Card& card, const std::vector<std::uint16_t>& table) {
  for (std::uint32_t word = 0; word < reg::kRedirectionEntries / 4; ++word) {
    const std::uint32_t entry = 4 * word;
    card.regs.write<reg::RETA>(word, reg::RETA::ENTRY0(table[entry]) | reg::RETA::ENTRY1(table[entry + 1]) |
                                         reg::RETA::ENTRY2(table[entry + 2]) | reg::RETA::ENTRY3(table[entry + 3]));
  }
}

// Linux, igb_main.c, igb_setup_mrqc; DPDK, igb_rxtx.c, igb_hw_rss_hash_set.
reg::MRQC::Setting hash_types(RssTypes types) {
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
  reg::MRQC::Setting setting = reg::MRQC::RSS;
  for (const auto& [type, bit] : kBits) {
    if (types.has(type)) setting = setting | bit;
  }
  return setting;
}

void write_rss(const Card& card, const RssConfig& config) {
  if (config.types.bits == 0) return card.regs.write<reg::MRQC>({});
  write_key(card, config.key);
  write_redirection(card, config.table);
  card.regs.write<reg::MRQC>(hash_types(config.types));
}

}  // namespace

Result<void> RssControl::check(std::uint32_t queues) const {
  return setting_ ? check_rss_table(*setting_, queues, card_.name) : Result<void>{};
}

// RXCSUM.PCSD replaces the packet checksum in the write-back with the hash; RSS needs it (QEMU, igb_core.c,
// igb_rss_enabled).
void RssControl::start() {
  modify<reg::RXCSUM>(card_, reg::RXCSUM::PCSD);
  if (!aside_) write_rss(card_, rss());
  running_ = true;
}

RssConfig RssControl::rss() const {
  RssConfig config = setting_.value_or(RssConfig{});
  if (!setting_ && queues_ == 1) config.types = {0};
  if (!config.table.empty() || queues_ == 0) return config;
  // Round robin, as in Linux (igb_main.c, igb_setup_mrqc) and DPDK (igb_rxtx.c, igb_rss_configure).
  for (std::uint32_t entry = 0; entry < reg::kRedirectionEntries; ++entry) {
    config.table.push_back(static_cast<std::uint16_t>(entry % queues_));
  }
  return config;
}

Result<void> RssControl::set_rss(const RssConfig& config) {
  if (!card_.regs.bar()) {
    return fail(ErrorCode::bad_state, fmt::format("{}: RSS cannot be set: the port is closed", card_.name),
                "open the port again");
  }
  const std::uint32_t queues = queues_ == 0 ? card_.traits->queues : queues_;
  if (auto checked = check_rss(config, kLimits, queues, card_.name); !checked) return checked;
  // DPDK, igb_rxtx.c, eth_igb_rss_hash_update, does not turn RSS on or off while the card receives, either.
  if (running_ && (config.types.bits == 0) != (rss().types.bits == 0)) {
    return fail(ErrorCode::bad_state,
                fmt::format("{}: RSS cannot be turned on or off while the port is started", card_.name),
                "stop the port, set RSS, start it again");
  }
  setting_ = config;
  if (!running_ || aside_) return {};
  write_rss(card_, rss());
  return flush_registers(card_);
}

}  // namespace pollux::drivers::igb
