// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/e1000e/queue_setup.hpp"

#include <array>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/rss.hpp"
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
Result<void> write_ring(const E1000eCard& card, std::uint32_t queue, const intel::Ring& ring, const char* name) {
  card.regs.write<Low>(queue, typename Low::Value(low(ring.iova)));
  card.regs.write<High>(queue, typename High::Value(high(ring.iova)));
  card.regs.write<Length>(queue, typename Length::Value(ring.bytes()));
  auto checked = check_written<Low>(card, fmt::format("{}BAL", name), queue, low(ring.iova));
  if (checked) checked = check_written<High>(card, fmt::format("{}BAH", name), queue, high(ring.iova));
  if (checked) checked = check_written<Length>(card, fmt::format("{}LEN", name), queue, ring.bytes());
  return checked;
}

}  // namespace

// [I-WTHRESH] Linux, netdev.c, e1000_configure_tx, and 82571.c, e1000_init_hw_82571: a write-back of each descriptor,
// in units of descriptors (GRAN), without the delays of TIDV and TADV.
Result<void> program_transmit(const E1000eCard& card, std::uint32_t queue, const intel::Ring& ring) {
  auto written = write_ring<reg::TDBAL, reg::TDBAH, reg::TDLEN>(card, queue, ring, "TD");
  if (!written) return written;
  card.regs.write<reg::TDH>(queue, {});
  card.regs.write<reg::TDT>(queue, {});
  card.regs.write<reg::TXDCTL>(queue, reg::TXDCTL::PTHRESH(8) | reg::TXDCTL::HTHRESH(1) | reg::TXDCTL::WTHRESH(1) |
                                          reg::TXDCTL::COUNT_DESC | reg::TXDCTL::GRAN);
  return {};
}

void enable_transmit(const E1000eCard& card) {
  card.regs.write<reg::TIDV>({});
  card.regs.write<reg::TADV>({});
  // Linux, e1000.h and defines.h, DEFAULT_82543_TIPG_IPGT_COPPER, _IPGR1 and _IPGR2.
  card.regs.write<reg::TIPG>(reg::TIPG::IPGT(8) | reg::TIPG::IPGR1(8) | reg::TIPG::IPGR2(6));
  card.regs.write<reg::TCTL>(reg::TCTL::EN | reg::TCTL::PSP | reg::TCTL::RTLC | reg::TCTL::CT(kCollisionThreshold) |
                             reg::TCTL::COLD(kCollisionDistance));
}

// Linux, netdev.c, e1000_configure_rx and e1000_setup_rctl (RFCTL.EXTEN), without delays of interrupts. PCSD: the
// write-back has the hash in place of the packet's checksum (e1000e_setup_rss_hash).
Result<void> program_receive(const E1000eCard& card, std::uint32_t queues, const intel::RingMemory& rings) {
  for (std::uint32_t queue = 0; queue < queues; ++queue) {
    auto written = write_ring<reg::RDBAL, reg::RDBAH, reg::RDLEN>(card, queue, rings.rx(queue), "RD");
    if (!written) return written;
    card.regs.write<reg::RDH>(queue, {});
    card.regs.write<reg::RDT>(queue, {});
    card.regs.write<reg::RXDCTL>(
        queue, reg::RXDCTL::PTHRESH(8) | reg::RXDCTL::HTHRESH(8) | reg::RXDCTL::WTHRESH(1) | reg::RXDCTL::GRAN);
  }
  card.regs.write<reg::RDTR>({});
  card.regs.write<reg::RADV>({});
  card.regs.write<reg::RFCTL>(reg::RFCTL::EXTEN | reg::RFCTL::NFSW_DIS | reg::RFCTL::NFSR_DIS | reg::RFCTL::ACK_DIS);
  card.regs.write<reg::RXCSUM>(reg::RXCSUM::IPOFL | reg::RXCSUM::TUOFL | reg::RXCSUM::PCSD);
  return check_written<reg::RFCTL>(card, "RFCTL", 0, reg::RFCTL::EXTEN.mask(), reg::RFCTL::EXTEN.mask());
}

Result<void> arm_receive(const E1000eCard& card, intel::QueueSet& queues, std::uint32_t count) {
  for (std::uint32_t queue = 0; queue < count; ++queue) {
    const std::uint32_t tail = queues.rx(queue)->first_tail();
    card.regs.write<reg::RDT>(queue, reg::RDT::Value(tail));
    if (auto armed = check_written<reg::RDT>(card, "RDT", queue, tail); !armed) return armed;
  }
  return {};
}

namespace {

constexpr std::array<gigabit::HashBit, 4> kHashBits{{{RssTypes::ipv4, reg::MRQC::IPV4.mask()},
                                                     {RssTypes::tcp_ipv4, reg::MRQC::TCP_IPV4.mask()},
                                                     {RssTypes::ipv6, reg::MRQC::IPV6.mask()},
                                                     {RssTypes::tcp_ipv6, reg::MRQC::TCP_IPV6.mask()}}};
/// The highest bit of an entry selects the queue: FreeBSD, if_em.c, em_initialize_rss_mapping; QEMU, e1000e_core.c,
/// E1000_RSS_QUEUE.
constexpr std::uint32_t kQueueShift = 7;

}  // namespace

void write_rss(const E1000eCard& card, const RssConfig& config) {
  gigabit::write_rss(card, config, {.bits = kHashBits, .mode = reg::MRQC::RSS.bits(), .shift = kQueueShift});
}

namespace {

/// Linux, defines.h, E1000_CTRL_EXT_EIAME.
constexpr std::uint32_t kMaskByMessage = 1U << 24;
/// Vector n + 1 is queue n's, whose cause this bit begins (RXQ0).
constexpr unsigned kFirstBit = 19;
constexpr std::uint32_t kOtherVector = 0;
constexpr auto kOther = reg::IMS::OTHER | reg::IMS::LSC;

}  // namespace

// Linux, netdev.c, e1000_configure_msix and e1000_irq_enable. A message clears its cause and masks it (EIAC, EIAME),
// the other causes' too, so that receiver overruns, which raise it as well, come at the pace of the service (Linux,
// commit 4aea7a5c5e94; openwrt lede pull request 1229). Transmit queues have no vector.
void enable_interrupts(const E1000eCard& card, intel::QueueSet& queues, std::uint32_t count) {
  const intel::MaskRegisters masks{.bar = card.regs.bar(),
                                   .unmask = reg::IMS::offset(0),
                                   .mask = reg::IMC::offset(0),
                                   .moderation = reg::EITR::offset(0),
                                   .first_bit = kFirstBit,
                                   .causes = reg::ICR::offset(0),
                                   .interval_ns = 256,
                                   .interval_shift = 0,
                                   .interval_bits = 0};
  if (intel::enable_vectors(card, *card.device, masks, queues, count) == nullptr) return;
  const auto control = read_with_retry<reg::CTRL_EXT>(card);
  if (control.all_ones()) return;
  card.regs.write<reg::CTRL_EXT>(reg::CTRL_EXT::Value(control.with(reg::CTRL_EXT::PBA_CLR).raw() | kMaskByMessage));
  card.regs.write<reg::IVAR>(reg::IVAR::RXQ0(1) | reg::IVAR::RXQ0_VALID | reg::IVAR::RXQ1(2) | reg::IVAR::RXQ1_VALID |
                             reg::IVAR::OTHER(kOtherVector) | reg::IVAR::OTHER_VALID);
  card.regs.write<reg::EIAC>(reg::EIAC::RXQ0 | reg::EIAC::RXQ1 | reg::EIAC::OTHER);
  card.regs.write<reg::IMS>(kOther);
}

// Clears these causes alone: a read of ICR would clear those of queues whose messages wait for their interval, too.
void acknowledge_interrupts(const E1000eCard& card, intel::QueueSet& queues) {
  intel::QueueInterrupts* const interrupts = queues.interrupts();
  if (interrupts == nullptr || !interrupts->take_other()) return;
  card.regs.write<reg::ICR>(reg::ICR::OTHER | reg::ICR::LSC | reg::ICR::RXO);
  card.regs.write<reg::IMS>(kOther);
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
