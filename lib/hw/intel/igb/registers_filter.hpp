// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/registers_filter.hpp"
#include "pollux/device/register.hpp"

/// Packet filters and the selection of receive queues. Offsets: Linux igb, e1000_regs.h; bits: e1000_82575.h and
/// e1000_defines.h; aliases: QEMU, hw/net/e1000x_regs.h.
namespace pollux::hw::igb {

using gigabit::MTA;
using gigabit::RAH;
using gigabit::RAL;
using gigabit::VFTA;

struct UTA : Register<UTA, 0xA000, Access::wo, Stride{4, 128}> {};

/// Selects how queues are chosen, and which headers RSS hashes.
struct MRQC : Register<MRQC, 0x5818, Access::rw> {
  static constexpr Field ENABLE{0, 3};
  static constexpr Choice NONE{ENABLE, 0}, RSS{ENABLE, 2}, VMDQ{ENABLE, 3}, VMDQ_RSS{ENABLE, 5};
  static constexpr Bit TCP_IPV4{16}, IPV4{17}, TCP_IPV6_EX{18}, IPV6_EX{19}, IPV6{20}, TCP_IPV6{21}, UDP_IPV4{22},
      UDP_IPV6{23}, UDP_IPV6_EX{24};
  POLLUX_FIELDS(ENABLE, TCP_IPV4, IPV4, TCP_IPV6_EX, IPV6_EX, IPV6, TCP_IPV6, UDP_IPV4, UDP_IPV6, UDP_IPV6_EX);
};

/// RSS redirection: 128 entries, four per register; entry n is byte n % 4 of register n / 4. The queue is in an entry's
/// low four bits (QEMU, hw/net/igb_regs.h, E1000_RSS_QUEUE).
struct RETA : Register<RETA, 0x5C00, Access::rw, Stride{4, 32}> {
  static constexpr Field ENTRY0{0, 4}, ENTRY1{8, 4}, ENTRY2{16, 4}, ENTRY3{24, 4};
  POLLUX_FIELDS(ENTRY0, ENTRY1, ENTRY2, ENTRY3);
};
/// RSS key: byte n of the key is byte n % 4 of register n / 4.
struct RSSRK : Register<RSSRK, 0x5C80, Access::rw, Stride{4, 10}> {};

/// EtherType filters. Fields: QEMU, hw/net/igb_regs.h.
struct ETQF : Register<ETQF, 0x5CB0, Access::rw, Stride{4, 8}> {
  static constexpr Field ETYPE{0, 16}, QUEUE{16, 3};
  static constexpr Bit FILTER_ENABLE{26}, IMM_INT{29}, TIME_STAMP{30}, QUEUE_ENABLE{31};
  POLLUX_FIELDS(ETYPE, QUEUE, FILTER_ENABLE, IMM_INT, TIME_STAMP, QUEUE_ENABLE);
};

/// Five-tuple filters: source address, destination address, source port, and in FTQF the protocol, queue and bypass
/// bits. Fields: DPDK e1000, e1000_defines.h and e1000_82575.h.
struct SAQF : Register<SAQF, 0x5980, Access::rw, Stride{4, 8}> {};
struct DAQF : Register<DAQF, 0x59A0, Access::rw, Stride{4, 8}> {};
struct SPQF : Register<SPQF, 0x59C0, Access::rw, Stride{4, 8}> {
  static constexpr Field PORT{0, 16};
  POLLUX_FIELDS(PORT);
};
struct FTQF : Register<FTQF, 0x59E0, Access::rw, Stride{4, 8}> {
  static constexpr Field PROTOCOL{0, 8};
  static constexpr Bit QUEUE_ENABLE{8}, VF_BP{15};
  static constexpr Field QUEUE{16, 4};
  static constexpr Bit TIME_STAMP{27}, PROTOCOL_BP{28}, SOURCE_ADDRESS_BP{29}, DESTINATION_ADDRESS_BP{30},
      SOURCE_PORT_BP{31};
  POLLUX_FIELDS(PROTOCOL, QUEUE_ENABLE, VF_BP, QUEUE, TIME_STAMP, PROTOCOL_BP, SOURCE_ADDRESS_BP,
                DESTINATION_ADDRESS_BP, SOURCE_PORT_BP);
};
/// TCP packets with the SYN flag. Fields: DPDK e1000, e1000_ethdev.h, E1000_SYN_FILTER_*.
struct SYNQF : Register<SYNQF, 0x55FC, Access::rw> {
  static constexpr Bit QUEUE_ENABLE{0};
  static constexpr Field QUEUE{1, 3};
  POLLUX_FIELDS(QUEUE_ENABLE, QUEUE);
};

/// Immediate interrupts for matching packets.
struct IMIR : Register<IMIR, 0x5A80, Access::rw, Stride{4, 8}> {
  static constexpr Field PORT{0, 16};
  static constexpr Bit PORT_IM_EN{16}, PORT_BP{17};
  static constexpr Field PRIORITY{29, 3};
  POLLUX_FIELDS(PORT, PORT_IM_EN, PORT_BP, PRIORITY);
};
struct IMIREXT : Register<IMIREXT, 0x5AA0, Access::rw, Stride{4, 8}> {
  static constexpr Field SIZE_THRESHOLD{0, 12};
  static constexpr Bit SIZE_BP{12}, URG{13}, ACK{14}, PSH{15}, RST{16}, SYN{17}, FIN{18}, CTRL_BP{19};
  POLLUX_FIELDS(SIZE_THRESHOLD, SIZE_BP, URG, ACK, PSH, RST, SYN, FIN, CTRL_BP);
};
struct IMIRVP : Register<IMIRVP, 0x5AC0, Access::rw> {};

/// Flexible filters of the wake-up function (DPDK e1000, e1000_regs.h, FHFT, FHFT_EXT, FFVT_REG and FFLT_REG). Linux
/// igb's register dump reads them under the names that these offsets have on older cards.
struct FHFT : Register<FHFT, 0x9000, Access::rw, Stride{4, 256}> {};
struct FFVT : Register<FFVT, 0x9800, Access::ro, Stride{4, 128}> {};
struct FHFT_EXT : Register<FHFT_EXT, 0x9A00, Access::rw, Stride{4, 256}> {};
struct FFLT : Register<FFLT, 0x5F00, Access::ro, Stride{8, 4}> {};

inline constexpr auto kFilterRegisters =
    POLLUX_REGISTERS("filter", RAL, RAH, MTA, UTA, VFTA, MRQC, RETA, RSSRK, ETQF, SAQF, DAQF, SPQF, FTQF, SYNQF, IMIR,
                     IMIREXT, IMIRVP, FHFT, FFVT, FHFT_EXT, FFLT);

}  // namespace pollux::hw::igb
