// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/e1000e/queue_setup.hpp"

#include "hw/intel/descriptors.hpp"

namespace pollux::drivers::e1000e {
namespace {

/// For half-duplex links. Linux, defines.h, E1000_COLLISION_THRESHOLD and E1000_COLLISION_DISTANCE.
constexpr std::uint32_t kCollisionThreshold = 15;
constexpr std::uint32_t kCollisionDistance = 63;

std::uint32_t low(std::uint64_t iova) noexcept { return static_cast<std::uint32_t>(iova); }
std::uint32_t high(std::uint64_t iova) noexcept { return static_cast<std::uint32_t>(iova >> 32); }

// Reads back the registers that say where the card may write.
template <class Low, class High, class Length>
Result<void> write_ring(const E1000eCard& card, const intel::Ring& ring, const char* name) {
  card.regs.write<Low>(0, typename Low::Value(low(ring.iova)));
  card.regs.write<High>(0, typename High::Value(high(ring.iova)));
  card.regs.write<Length>(0, typename Length::Value(ring.bytes()));
  auto checked = check_written<Low>(card, fmt::format("{}BAL", name), 0, low(ring.iova));
  if (checked) checked = check_written<High>(card, fmt::format("{}BAH", name), 0, high(ring.iova));
  if (checked) checked = check_written<Length>(card, fmt::format("{}LEN", name), 0, ring.bytes());
  return checked;
}

}  // namespace

// [I-WTHRESH] Linux, netdev.c, e1000_configure_tx, and 82571.c, e1000_init_hw_82571: a write-back of each descriptor,
// in units of descriptors (GRAN), without the delays of TIDV and TADV.
Result<void> start_transmit(const E1000eCard& card, const intel::Ring& ring) {
  if (auto written = write_ring<reg::TDBAL, reg::TDBAH, reg::TDLEN>(card, ring, "TD"); !written) return written;
  card.regs.write<reg::TDH>(0, {});
  card.regs.write<reg::TDT>(0, {});
  card.regs.write<reg::TIDV>({});
  card.regs.write<reg::TADV>({});
  card.regs.write<reg::TXDCTL>(0, reg::TXDCTL::PTHRESH(8) | reg::TXDCTL::HTHRESH(1) | reg::TXDCTL::WTHRESH(1) |
                                      reg::TXDCTL::COUNT_DESC | reg::TXDCTL::GRAN);
  // Linux, e1000.h and defines.h, DEFAULT_82543_TIPG_IPGT_COPPER, _IPGR1 and _IPGR2.
  card.regs.write<reg::TIPG>(reg::TIPG::IPGT(8) | reg::TIPG::IPGR1(8) | reg::TIPG::IPGR2(6));
  card.regs.write<reg::TCTL>(reg::TCTL::EN | reg::TCTL::PSP | reg::TCTL::RTLC | reg::TCTL::CT(kCollisionThreshold) |
                             reg::TCTL::COLD(kCollisionDistance));
  return {};
}

// Linux, netdev.c, e1000_configure_rx and e1000_setup_rctl (RFCTL.EXTEN), without delays of interrupts.
Result<void> program_receive(const E1000eCard& card, const intel::Ring& ring) {
  if (auto written = write_ring<reg::RDBAL, reg::RDBAH, reg::RDLEN>(card, ring, "RD"); !written) return written;
  card.regs.write<reg::RDH>(0, {});
  card.regs.write<reg::RDT>(0, {});
  card.regs.write<reg::RDTR>({});
  card.regs.write<reg::RADV>({});
  card.regs.write<reg::RXDCTL>(
      0, reg::RXDCTL::PTHRESH(8) | reg::RXDCTL::HTHRESH(8) | reg::RXDCTL::WTHRESH(1) | reg::RXDCTL::GRAN);
  card.regs.write<reg::RFCTL>(reg::RFCTL::EXTEN | reg::RFCTL::NFSW_DIS | reg::RFCTL::NFSR_DIS | reg::RFCTL::ACK_DIS);
  card.regs.write<reg::RXCSUM>(reg::RXCSUM::IPOFL | reg::RXCSUM::TUOFL);
  return check_written<reg::RFCTL>(card, "RFCTL", 0, reg::RFCTL::EXTEN.mask(), reg::RFCTL::EXTEN.mask());
}

Result<void> arm_receive(const E1000eCard& card, intel::QueueSet& queues) {
  const std::uint32_t tail = queues.rx(0)->first_tail();
  card.regs.write<reg::RDT>(0, reg::RDT::Value(tail));
  return check_written<reg::RDT>(card, "RDT", 0, tail);
}

// Linux, netdev.c, e1000_setup_rctl and e1000e_set_rx_mode. Writes the whole register, so that no bit depends on a
// read. Without LPE the card drops frames of more than 1,522 bytes; with it, it has no limit that could be set.
void write_receive_control(const E1000eCard& card, const PlacedSettings& settings) {
  if (settings.queues.rx_queues() == 0) return;
  const std::uint32_t kilobytes = settings.queues.rx[0].buffer_bytes / hw::intel::kRxBufferUnit;
  reg::RCTL::Setting bits = reg::RCTL::BAM | reg::RCTL::RXEN | reg::RCTL::FLXBUF(kilobytes);
  if (settings.promiscuous) bits = bits | reg::RCTL::UPE;
  if (settings.promiscuous || settings.all_multicast) bits = bits | reg::RCTL::MPE;
  if (settings.mtu > kUsualMtu) bits = bits | reg::RCTL::LPE;
  if (!settings.keep_fcs) bits = bits | reg::RCTL::SECRC;
  if (settings.vlans) bits = bits | reg::RCTL::VFE;
  card.regs.write<reg::RCTL>(bits);
  card.regs.bar().flush();
}

}  // namespace pollux::drivers::e1000e
