// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/flow/match.hpp"
#include "settings/field_table.hpp"

namespace pollux::test::settings {
namespace {

QueuePoolsConfig two_pools() {
  return {.pools = {{.addresses = {{0x02, 0, 0, 0, 0, 0x0A}}, .vlans = {7}, .untagged = false},
                    {.addresses = {{0x02, 0, 0, 0, 0, 0x0B}}, .broadcasts = false}},
          .default_pool = 1,
          .replication = true,
          .local_loopback = true};
}

}  // namespace

std::span<const FieldRow> receive_rows() {
  static const std::vector<FieldRow> rows{
      {"the defaults",
       [](Asked&) {},
       {// EN, BAM, LPE, SECRC; neither SBP, UPE, MPE, LBM, VFE nor the multicast offset
        {kRctl, 0x0404B0FE, 0x04008022},
        {kRlpml, 0x3FFF, 1500 + 22},
        {kRxcsum, 0x2800, 0x2800},    // PCSD, CRCOFL
        {kRfctl, 0x10000, 0x10000}},  // IPV6_EX_DIS
       "Linux, igb_main.c, igb_setup_rctl, igb_configure_rx, igb_setup_mrqc; e1000_82575.c, igb_rx_fifo_flush_82575"},
      {"mtu 9000",
       [](Asked& a) { a.config->mtu = 9000; },
       {{kRlpml, 0x3FFF, 9022}},
       "Linux, igb_main.c, igb_rlpml_set: the frame with its header, a tag and the FCS"},
      {"promiscuous",
       [](Asked& a) { a.config->promiscuous = true; },
       {{kRctl, 0x18, 0x18}},
       "Linux, igb_main.c, igb_set_rx_mode: UPE and MPE"},
      {"all_multicast",
       [](Asked& a) { a.config->all_multicast = true; },
       {{kRctl, 0x18, 0x10}},
       "Linux, igb_main.c, igb_set_rx_mode: MPE"},
      {"keep_fcs", [](Asked& a) { a.config->keep_fcs = true; }, {{kRctl, 0x04000000, 0}}, "82575 manual, 5.3.4: SECRC"},
      {"keep_bad_frames",
       [](Asked& a) { a.config->keep_bad_frames = true; },
       {{kRctl, 0x4, 0x4}},
       "Linux, igb_main.c, igb_setup_rctl: SBP"},
      {"mac",
       [](Asked& a) { a.mac = MacAddress{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}; },
       {{kRal, kAllBits, 0x33221102}, {kRah, 0x8000FFFF, 0x80005544}},
       "Linux, e1000_mac.c, igb_rar_set"},
      {"further unicast addresses",
       [](Asked& a) {
         a.unicast = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x56}};
       },
       {{kRal + 8, kAllBits, 0x33221102}, {kRah + 8, 0x8000FFFF, 0x80005644}, {kRctl, 0x8, 0}},
       "Linux, igb_main.c, igb_rar_set_index"},
      {"few multicast addresses",
       [](Asked& a) {
         a.multicast = {{0x01, 0, 0x5E, 0, 0x1F, 0x30}};
       },
       {{kRal + 8, kAllBits, 0x005E0001}, {kRah + 8, 0x8000FFFF, 0x8000301F}, {kRctl, 0x10, 0}},
       "82575 manual, 14.5.4: a receive address may be a group's"},
      // Bits 47:36 of each address: 0x301 is bit 1 of word 24.
      {"many multicast addresses",
       [](Asked& a) {
         for (std::uint8_t i = 0; i < 30; ++i) a.multicast.push_back({0x01, 0, 0x5E, i, 0x1F, 0x30});
       },
       {{kMta + 4 * 24, kAllBits, 0x2}, {kRctl, 0x3010, 0}},
       "Linux, e1000_mac.c, igb_hash_mc_addr, with RCTL.MO 0"},
      {"VLAN filter",
       [](Asked& a) {
         a.vlans = {5, 100};
       },
       {{kVfta, kAllBits, 0x21},
        {kVfta + 4 * 3, kAllBits, 0x10},
        {kVfta + 4 * 4, kAllBits, 0},
        {kRctl, 0x40000, 0x40000}},
       "Linux, e1000_mac.c, igb_vfta_set; igb_main.c, igb_set_rx_mode: VFE; VLAN 0 in igb_restore_vlan"},
      {"VLAN stripping",
       [](Asked& a) { a.strip_tags = true; },
       {{kCtrl, 0x40000000, 0x40000000}},
       "Linux, igb_main.c, igb_vlan_mode: CTRL.VME"},
      {"outer VLAN type",
       [](Asked& a) { a.outer_type = 0x88A8; },
       {{kVet, kAllBits, 0x88A88100}, {kCtrlExt, 1U << 26, 1U << 26}, {kRlpml, 0x3FFF, 1500 + 26}},
       "DPDK, igb_ethdev.c, eth_igb_vlan_tpid_set, igb_vlan_hw_extend_enable"},
      // Four queues in turn; the default types without UDP.
      {"RSS by default",
       [](Asked&) {},
       {{kMrqc, 0x1FF0007, 0x370002},
        {kReta, kAllBits, 0x03020100},
        {kReta + 4 * 31, kAllBits, 0x03020100},
        {kRssrk, kAllBits, 0xDA565A6D},
        {kRssrk + 4 * 9, kAllBits, 0xFA01ACBE}},
       "Linux, igb_main.c, igb_setup_mrqc; e1000_82575.h, MRQC; the key of Microsoft's definition of RSS"},
      {"RSS key, table and types",
       [](Asked& a) {
         a.rss =
             RssConfig{.table = std::vector<std::uint16_t>(128, 2), .types = {RssTypes::udp_ipv4 | RssTypes::udp_ipv6}};
         for (std::uint8_t i = 0; i < 40; ++i) a.rss->key[i] = i;
         a.rss->table[5] = 3;
       },
       {{kMrqc, 0x1FF0007, 0x0C00002},
        {kReta, kAllBits, 0x02020202},
        {kReta + 4, kAllBits, 0x02020302},
        {kRssrk + 4, kAllBits, 0x07060504}},
       "Linux, igb_main.c, igb_setup_mrqc, igb_write_rss_indir_tbl; e1000_82575.h, MRQC"},
      {"RSS off", [](Asked& a) { a.rss = RssConfig{.types = {0}}; }, {{kMrqc, 0x7, 0}}, "as above"},
      {"a rule for an EtherType",
       [](Asked& a) {
         a.rules = {{FlowRuleId{}, {match::eth().type(0x88B5), to_queue(3)}}};
       },
       {{kEtqf, 0xE407FFFF, 0x840388B5}},
       "Linux, igb.h and e1000_82575.h, ETQF: FILTER_ENABLE, QUEUE_ENABLE, the queue in bits 18:16"},
      {"a rule for addresses and ports",
       [](Asked& a) {
         a.rules = {{FlowRuleId{},
                     {match::ipv4()
                          .source({10, 0, 0, 1})
                          .destination({10, 0, 0, 2})
                          .udp()
                          .source_port(0x1234)
                          .destination_port(0x5678),
                      to_queue(2)}}};
       },
       {{kFtqf, 0xF80F81FF, 0x00028111},
        {kSaqf, kAllBits, 0x0100000A},
        {kDaqf, kAllBits, 0x0200000A},
        {kSpqf, 0xFFFF, 0x3412},
        {kImir, 0x2FFFF, 0x7856},
        {kImirext, 0x81000, 0x81000}},
       "DPDK, igb_ethdev.c, igb_inject_5tuple_filter_82576; byte order: Linux, igb_ptp.c, igb_ptp_set_timestamp_mode"},
      {"a rule for a protocol alone",
       [](Asked& a) {
         a.rules = {{FlowRuleId{}, {match::ipv4().tcp().destination_port(80), to_queue(1)}}};
       },
       {{kFtqf, 0xF80F81FF, 0xE0018106}, {kImir, 0x2FFFF, 0x5000}},
       "as above: bypass bits 31:29"},
      {"a rule for SYN",
       [](Asked& a) {
         a.rules = {{FlowRuleId{}, {match::tcp().flags(2, 2), to_queue(3)}}};
       },
       {{kSynqf, 0xF, 0x7}},
       "DPDK, igb_ethdev.c, eth_igb_syn_filter_set"},
      {"pools",
       [](Asked& a) { a.pools = two_pools(); },
       {{kMrqc, 0x7, 3},
        {kVtCtl, 0x60000380, 0x40000080},                 // REPL_EN, default pool 1
        {kVmolr, 0x99010000, 0x89010000 & ~0x01000000U},  // pool 0: STRCRC, BAM, LPE, no AUPE
        {kVmolr + 4, 0x99010000, 0x81010000},             // pool 1: STRCRC, AUPE, LPE, no BAM
        {kVmolr, 0x3FFF, 1522},
        {kDtxswc, 0x80000000, 0x80000000},
        {kRplolr, 0x80000000, 0x80000000},
        {kRctl, 0x40000, 0x40000}},
       "Linux, e1000_82575.h and igb_main.c, igb_set_vmolr, igb_vmdq_set_replication_pf, igb_vmdq_set_loopback_pf"},
      {"a pool's VLAN",
       [](Asked& a) { a.pools = two_pools(); },
       {{kVlvf + 4, 0x800FFFFF, 0x80001007}, {kVfta, 0x81, 0x81}},
       "Linux, e1000_mac.c, igb_vfta_set: POOLSEL from bit 12; its first entry is for VLAN 0"},
      {"two queues in a pool",
       [](Asked& a) {
         a.config->rx.resize(9, a.config->rx[0]);
         a.pools = {.pools = {{.queues = 2}}};
       },
       {{kMrqc, 0x7, 5}, {kReta, kAllBits, 0x08000800}, {kVmolr, 0x20000, 0x20000}},
       "Linux, igb_main.c, igb_setup_mrqc, igb_write_rss_indir_tbl (82576: the entry shifted by 3), igb_set_vmolr "
       "(RSSE)"},
      // 2 KiB, one buffer, without and with dropping; WTHRESH 1 is the most that a polled queue gets.
      {"receive queues",
       [](Asked&) {},
       {{kSrrctl + kQueue, 0x8E00007F, 0x82000002},
        {kRxdctl + kQueue, 1U << 25, 1U << 25},
        {0xC008 + kQueue, 0xFFF80, 64 * 16}},
       "Linux, igb_main.c, igb_configure_rx_ring, igb_setup_srrctl"},
      {"drop_enable false",
       [](Asked& a) { a.config->rx[0].drop_enable = false; },
       {{kSrrctl, 0x80000000, 0}},
       "Linux, e1000_82575.h, SRRCTL.DROP_EN"},
      {"thresholds",
       [](Asked& a) {
         a.config->rx[0].thresholds = QueueThresholds{.prefetch = 5, .host = 6, .write_back = 1};
         a.config->tx[0].thresholds = QueueThresholds{.prefetch = 31, .host = 3, .write_back = 0};
       },
       {{kRxdctl, 0x1F1F1F, 0x010605}, {kTxdctl, 0x1F1F1F, 0x00031F}},
       "Linux, igb_main.c, igb_configure_rx_ring, igb_configure_tx_ring: PTHRESH, HTHRESH from 8, WTHRESH from 16"},
  };
  return rows;
}

}  // namespace pollux::test::settings
