// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/rx_setup.hpp"

#include <algorithm>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/port_limits.hpp"

namespace pollux::drivers::igb {
namespace {

bool splits_headers(const ValidatedConfig& config) {
  return std::any_of(config.rx.begin(), config.rx.end(),
                     [](const ValidatedRxQueue& queue) { return queue.header_bytes != 0; });
}

}  // namespace

Result<void> program_receive(const Card& card, const ValidatedConfig& config, const intel::RingMemory& rings) {
  for (std::uint32_t queue = 0; queue < config.rx_queues(); ++queue) {
    auto programmed = program_rx_ring(card, queue, rings.rx(queue), intel::rx_format(config.rx[queue]));
    if (!programmed) return programmed;
  }
  if (splits_headers(config)) write_split_types(card, config);  // a reset clears the types
  // Linux, igb_main.c, igb_configure_rx: SCTP checksums on an 82576. Erratum E-SCTP60 is handled by RxMetadata.
  modify<reg::RXCSUM>(card, reg::RXCSUM::CRCOFL);
  // Erratum E-IPV6EX: Linux, e1000_82575.c, igb_rx_fifo_flush_82575.
  modify<reg::RFCTL>(card, reg::RFCTL::IPV6_EX_DIS);
  return {};
}

// [I-QENABLE] [I-RDT] A queue reports itself enabled only when RCTL.RXEN is set, and ignores RDT until then: Linux,
// tools/testing/selftests/vfio/lib/drivers/igb/igb.c, igb_hw_init; 82575 manual, 14.3.59.
Result<void> wait_receive(const Card& card, const ValidatedConfig& config) {
  for (std::uint32_t queue = 0; queue < config.rx_queues(); ++queue) {
    if (auto enabled = wait_rx_enabled(card, queue); !enabled) return enabled;
  }
  return {};
}

// [I-PSRTYPE] Which register a queue follows depends on the pools, so all have the same types. They say nothing to
// queues that do not split.
void write_split_types(const Card& card, const ValidatedConfig& config) {
  constexpr reg::PSRTYPE::Value kTypes = reg::PSRTYPE::IPV4_FRAGMENT | reg::PSRTYPE::IPV4_TCP | reg::PSRTYPE::IPV4_UDP |
                                         reg::PSRTYPE::TUNNEL_FRAGMENT | reg::PSRTYPE::TUNNEL_TCP |
                                         reg::PSRTYPE::TUNNEL_UDP | reg::PSRTYPE::IPV6_FRAGMENT |
                                         reg::PSRTYPE::IPV6_TCP | reg::PSRTYPE::IPV6_UDP;
  const reg::PSRTYPE::Value types = splits_headers(config) ? kTypes : reg::PSRTYPE::Value();
  for (std::uint32_t pool = 0; pool < reg::kPools; ++pool) card.regs.write<reg::PSRTYPE>(pool, types);
}

// DPDK, igb_ethdev.c, igb_vlan_hw_extend_enable: the second tag counts, too.
std::uint32_t limit_bytes(const Card& card, ReceiveLimit limit) noexcept {
  return std::min(wire_bytes(limit.mtu) + (limit.outer_vlan ? kVlanTagBytes : 0), card.traits->max_frame);
}

void write_receive_limit(const Card& card, ReceiveLimit limit) {
  card.regs.write<reg::RLPML>(reg::RLPML::LENGTH(limit_bytes(card, limit)));
  card.regs.bar().flush();
}

// [I-CRC] [I-RLPML] Linux, igb_main.c, igb_setup_rctl: strip the CRC, allow long packets up to RLPML, do not store bad
// packets, unless the configuration says otherwise (igb_set_features: NETIF_F_RXALL sets SBP). Broadcasts are accepted.
// The multicast hash uses address bits 47:36. [I-LOOPBACK] Writes the whole register, so that no bit depends on a read.
void write_receive_control(const Card& card, const ReceiveControl& control) {
  const reg::RCTL::Setting loop = control.loopback == LoopbackMode::mac ? reg::RCTL::LBM_MAC : reg::RCTL::LBM_NONE;
  reg::RCTL::Setting bits = reg::RCTL::BAM | reg::RCTL::LPE | reg::RCTL::RXEN |
                            promiscuity(control.promiscuous, control.all_multicast) | loop;
  if (!control.keep_fcs) bits = bits | reg::RCTL::SECRC;
  if (control.keep_bad_frames) bits = bits | reg::RCTL::SBP;
  if (control.filter_vlans) bits = bits | reg::RCTL::VFE;
  card.regs.write<reg::RCTL>(bits);
  card.regs.bar().flush();
}

}  // namespace pollux::drivers::igb
