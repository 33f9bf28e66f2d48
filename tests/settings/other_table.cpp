// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>

#include "settings/field_table.hpp"

namespace pollux::test::settings {
namespace {

FlowControlConfig pause(bool receive, bool transmit) {
  return {.pause = {.receive = receive, .transmit = transmit},
          .autonegotiate = false,
          .pause_time = 0x1234,
          .high_water = 0x4000,
          .low_water = 0x2000};
}

void ask_for_functions(Asked& asked) {
  asked.config->rx.resize(1);
  asked.config->tx.resize(1);
  asked.functions = {{.mac = MacAddress{0x02, 0, 0, 0, 0, 0x21}, .vlan = 9, .qos = 5},
                     {.mac = MacAddress{0x02, 0, 0, 0, 0, 0x22}, .spoof_check = false}};
}

}  // namespace

std::span<const FieldRow> other_rows() {
  static const std::vector<FieldRow> rows{
      // EN, PSP, RTLC, a collision threshold of 15.
      {"transmission",
       [](Asked&) {},
       {{kTctl, 0x01000FFA, 0x010000FA},
        {kTxdctl + 3 * kQueue, 1U << 25, 1U << 25},
        {0xE008 + kQueue, 0xFFF80, 64 * 16}},
       "Linux, igb_main.c, igb_setup_tctl, igb_configure_tx_ring"},
      {"packet buffers",
       [](Asked& a) { a.config->packet_buffers = {.receive = 40 * 1024, .transmit = 16 * 1024}; },
       {{0x2404, 0x7F, 40}, {0x3404, kAllBits, 16}},
       "Linux, e1000_82575.h, RXPBS in KiB; QEMU, igb_core.c, TXPBS"},
      {"the driver is loaded; the link is not forced",
       [](Asked&) {},
       {{kCtrlExt, 1U << 28 | 1U << 26, 1U << 28}, {kCtrl, 0x58001840, 0x40}},
       "Linux, igb_main.c, igb_get_hw_control; e1000_82575.c, igb_setup_copper_link_82575: SLU"},
      {"forced 100/full",
       [](Asked& a) { a.link.forced = LinkMode::full_100; },
       {{kCtrl, 0x1B41, 0x1941}},
       "Linux, e1000_phy.c, igb_phy_force_speed_duplex_setup: FRCSPD, FRCDPX, SPD_100, FD"},
      {"forced 10/half", [](Asked& a) { a.link.forced = LinkMode::half_10; }, {{kCtrl, 0x1B41, 0x1840}}, "as above"},
      {"loopback in the MAC",
       [](Asked& a) { a.loopback = LoopbackMode::mac; },
       {{kRctl, 0xC0, 0x40}},
       "Linux, e1000_defines.h, E1000_RCTL_LBM_MAC"},
      {"loopback in the PHY",
       [](Asked& a) { a.loopback = LoopbackMode::phy; },
       {{kCtrl, 0x1B41, 0x1A41}, {kRctl, 0xC0, 0}},
       "Linux, igb_ethtool.c, igb_integrated_phy_loopback: FRCSPD, FRCDPX, SPD_1000, FD, SLU"},
      {"pause frames sent and obeyed",
       [](Asked& a) { a.flow_control = pause(true, true); },
       {{kCtrl, 0x18000000, 0x18000000},
        {kFct, 0xFFFF, 0x8808},
        {kFcal, kAllBits, 0x00C28001},
        {kFcah, 0xFFFF, 0x0100},
        {kFcttv, 0xFFFF, 0x1234},
        {kFcrtl, 0x8000FFFF, 0x80002000},
        {kFcrth, 0xFFFF, 0x4000}},
       "Linux, e1000_mac.c, igb_setup_link, igb_set_fc_watermarks, igb_force_mac_fc"},
      {"pause frames obeyed",
       [](Asked& a) { a.flow_control = pause(true, false); },
       {{kCtrl, 0x18000000, 0x08000000}, {kFcrtl, kAllBits, 0}, {kFcrth, kAllBits, 0}},
       "as above"},
      {"moderation",
       [](Asked& a) { a.moderation[1] = {.interval = std::chrono::microseconds(100)}; },
       {{kEitr + 4 * 2, 0x7FFC, 100 << 2}, {kEitr + 4, 0x7FFC, 0}},
       "I210 datasheet, 8.8.14: microseconds from bit 2; Linux, igb_main.c, igb_write_itr"},
      {"the LED blinks",
       [](Asked& a) { a.led = LedMode::blink; },
       {{0x0E00, 0xFF000000, 0x8E000000}},
       "Linux, e1000_mac.c, igb_id_led_init, igb_blink_led: by default light 3 is off, then on (ID_LED_OFF1_ON2)"},
      // Vector 0 for other causes, then one for each receive queue: those from 8 on in the third byte.
      {"vectors",
       [](Asked& a) { a.config->rx.resize(9, a.config->rx[0]); },
       {{kIvar, 0xFF00FF, 0x890081},
        {kIvar + 4 * 7, 0xFF, 0x88},
        {kIvarMisc, 0xFF00, 0x8000},
        {kGpie, 0xC0000011, 0xC0000011},
        {kIms, 0x4, 0x4}},
       "Linux, igb_main.c, igb_assign_vector, igb_configure_msix, igb_irq_enable"},
      {"the clock",
       [](Asked& a) { a.clock = 0; },
       {{kTiminca, kAllBits, 1U << 24 | 16U << 19}},
       "Linux, igb_ptp.c, INCVALUE_82576 and igb_ptp_reset"},
      // A hundredth of 16 << 19 is 83,886.
      {"the clock, 1 % faster",
       [](Asked& a) { a.clock = 1e7; },
       {{kTiminca, kAllBits, 1U << 24 | ((16U << 19) + 83886)}},
       "Linux, igb_ptp.c, igb_ptp_adjfine_82576"},
      {"stamps of PTP over Ethernet",
       [](Asked& a) {
         a.stamps = {.receive = StampedMessages::ptp2_ethernet, .transmit = true};
         a.clock = 0;
       },
       {{kTsyncrxctl, 0x1E, 0x1A}, {kTsynctxctl, 0x10, 0x10}, {kEtqf, 0xC400FFFF, 0x440088F7, 8}},
       "Linux, igb_ptp.c, igb_ptp_set_timestamp_mode: EVENT_V2, ETQF_1588"},
      {"stamps of PTP version 1",
       [](Asked& a) {
         a.stamps = {.receive = StampedMessages::ptp1_delay_request};
         a.clock = 0;
       },
       {{kTsyncrxctl, 0x1E, 0x12},
        {kTsynctxctl, 0x10, 0},
        {kTsyncrxcfg, 0xFF, 1},
        {kFtqf, 0xF80081FF, 0x68008011, 8},
        {kSpqf, 0xFFFF, 0x3F01, 8},
        {kImir, 0x2FFFF, 0x3F01, 8}},
       "Linux, igb_ptp.c, igb_ptp_set_timestamp_mode: L4_V1, UDP from port 319 to port 319"},
      // The port has the pool after those of its two functions.
      {"virtual functions",
       ask_for_functions,
       {{kMrqc, 0x7, 3},
        {kVtCtl, 0x60000380, 0x40000100},
        {kRctl, 0x40000, 0x40000},
        {kVmolr, 0x50010000, 0x40010000},
        {kVmolr + 8, 0x89010000, 0x89010000},
        {kCtrlExt, 0x4000, 0x4000},
        {0x0C84, 0xFF, 0x3},
        {0x2408, 0xFFFF, 0xFFFF}},
       "Linux, igb_main.c, igb_configure, igb_set_vmolr, igb_irq_enable (MBVFIMR), __igb_open (PFRSTD), igb_setup_rctl "
       "(QDE)"},
      {"a function's VLAN",
       ask_for_functions,
       {{kVmvir, 0xC000FFFF, 0x4000A009}, {kVmvir + 4, 0xC0000000, 0}, {kVlvf + 4, 0x80001FFF, 0x80001009}},
       "Linux, igb_main.c, igb_set_vmvir, igb_enable_port_vlan"},
      {"spoof checks",
       ask_for_functions,
       {{kDtxswc, 0x80000003, 0x80000001}},
       "Linux, igb_main.c, igb_ndo_set_vf_spoofchk; e1000_82575.c, igb_vmdq_set_anti_spoofing_pf"},
  };
  return rows;
}

}  // namespace pollux::test::settings
