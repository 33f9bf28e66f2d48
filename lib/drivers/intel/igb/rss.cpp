// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/rss.hpp"

#include <array>
#include <utility>

#include "drivers/intel/common/ring_setup.hpp"
#include "net/config_check.hpp"
#include "net/rss_check.hpp"

namespace pollux::drivers::igb {
namespace {

/// The bit of an entry that selects the second queue of a pool: Linux, igb_main.c, igb_write_rss_indir_tbl.
constexpr std::uint32_t kPoolShift = 3;
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

void RssControl::write() const {
  if (pool_queues_ == 1) return;
  const RssConfig config = rss();
  if (config.types.bits == 0) return card_.regs.write<reg::MRQC>({});
  write_key(card_, config.key);
  write_redirection(card_, config.table, spreads_pools() ? kPoolShift : 0);
  card_.regs.write<reg::MRQC>(hash_types(config.types, spreads_pools() ? reg::MRQC::VMDQ_RSS : reg::MRQC::RSS));
}

Result<void> RssControl::check(std::uint32_t queues) const {
  return setting_ ? check_rss_table(*setting_, choices(queues), card_.name) : Result<void>{};
}

Result<void> RssControl::check_pools(std::uint32_t queues) const {
  if (!setting_ || queues < 2) return {};
  if (setting_->types.bits == 0) {
    return refuse(card_.name, "pools: a pool has two queues, but RSS is off",
                  "set RSS with types, or one queue a pool");
  }
  return check_rss_table(*setting_, queues, card_.name);
}

// RXCSUM.PCSD replaces the packet checksum in the write-back with the hash; RSS needs it (QEMU, igb_core.c,
// igb_rss_enabled).
void RssControl::start() {
  modify<reg::RXCSUM>(card_, reg::RXCSUM::PCSD);
  write();
  running_ = true;
}

RssConfig RssControl::rss() const {
  RssConfig config = setting_.value_or(RssConfig{});
  if (!setting_ && queues_ == 1) config.types = {0};
  if (!config.table.empty() || queues_ == 0) return config;
  // Round robin, as in Linux (igb_main.c, igb_setup_mrqc) and DPDK (igb_rxtx.c, igb_rss_configure).
  for (std::uint32_t entry = 0; entry < reg::kRedirectionEntries; ++entry) {
    config.table.push_back(static_cast<std::uint16_t>(entry % choices(queues_)));
  }
  return config;
}

Result<void> RssControl::set_rss(const RssConfig& config) {
  if (auto is_open = expect_open(card_, "RSS cannot be set"); !is_open) return is_open;
  const std::uint32_t queues = queues_ == 0 ? card_.traits->queues : queues_;
  if (auto checked = check_rss(config, kLimits, choices(queues), card_.name); !checked) return checked;
  if (spreads_pools() && config.types.bits == 0) {
    return refuse(card_.name, "RSS cannot be turned off: a pool has two queues, between which it chooses",
                  "set pools of one queue first, on a stopped port");
  }
  // DPDK, igb_rxtx.c, eth_igb_rss_hash_update, does not turn RSS on or off while the card receives, either.
  if (running_ && (config.types.bits == 0) != (rss().types.bits == 0)) {
    return fail(ErrorCode::bad_state,
                fmt::format("{}: RSS cannot be turned on or off while the port is started", card_.name),
                "stop the port, set RSS, start it again");
  }
  setting_ = config;
  if (!running_) return {};
  write();
  return flush_registers(card_);
}

}  // namespace pollux::drivers::igb
