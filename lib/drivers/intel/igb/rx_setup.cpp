// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/rx_setup.hpp"

#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/port_limits.hpp"
#include "drivers/intel/igb/rss.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr Duration kEnableLimit = milliseconds(10);

/// [I-WTHRESH] Linux igb, igb.h, IGB_RX_PTHRESH, _HTHRESH and _WTHRESH for an 82576 with MSI-X; DPDK, igb_ethdev.c, has
/// the same. Above 1, finished descriptors would wait for the threshold to be reached or a timer that only runs with
/// interrupts.
constexpr auto kThresholds = reg::RXDCTL::PTHRESH(8) | reg::RXDCTL::HTHRESH(8) | reg::RXDCTL::WTHRESH(1);

// A write that was lost must not let the card write where an earlier ring was, or more than a buffer holds.
Result<void> check_ring(const Card& card, std::uint32_t queue, const intel::Ring& ring, std::uint32_t buffer_bytes) {
  auto held = check_written<reg::RDBAL>(card, "RDBAL", queue, static_cast<std::uint32_t>(ring.iova));
  if (held) held = check_written<reg::RDBAH>(card, "RDBAH", queue, static_cast<std::uint32_t>(ring.iova >> 32));
  if (held) held = check_written<reg::RDLEN>(card, "RDLEN", queue, static_cast<std::uint32_t>(ring.bytes()));
  constexpr std::uint32_t kFormat = reg::SRRCTL::BSIZEPACKET.mask() | reg::SRRCTL::DESCTYPE.mask();
  const auto format = reg::SRRCTL::ONE_BUFFER | reg::SRRCTL::BSIZEPACKET(buffer_bytes / reg::kRxBufferUnit);
  if (held) held = check_written<reg::SRRCTL>(card, "SRRCTL", queue, format.bits(), kFormat);
  return held;
}

// [I-BSIZE] [I-DESCTYPE] [I-RDH] Linux, igb_main.c, igb_configure_rx_ring: off, base, length, head and tail at 0, then
// SRRCTL. What says where the card may write is read back: a write that was lost must not let it write elsewhere.
Result<void> program_ring(const Card& card, std::uint32_t queue, const intel::Ring& ring, std::uint32_t buffer_bytes,
                          bool drop) {
  card.regs.write<reg::RXDCTL>(queue, {});
  card.regs.write<reg::RDBAL>(queue, reg::RDBAL::Value(static_cast<std::uint32_t>(ring.iova)));
  card.regs.write<reg::RDBAH>(queue, reg::RDBAH::Value(static_cast<std::uint32_t>(ring.iova >> 32)));
  card.regs.write<reg::RDLEN>(queue, reg::RDLEN::LEN(ring.bytes() / reg::kRingBytesMultiple));
  card.regs.write<reg::RDH>(queue, {});
  card.regs.write<reg::RDT>(queue, {});
  const auto format = reg::SRRCTL::ONE_BUFFER | reg::SRRCTL::BSIZEPACKET(buffer_bytes / reg::kRxBufferUnit);
  card.regs.write<reg::SRRCTL>(queue, drop ? format | reg::SRRCTL::DROP_EN : format);
  if (auto held = check_ring(card, queue, ring, buffer_bytes); !held) return held;
  card.regs.write<reg::RXDCTL>(queue, kThresholds | reg::RXDCTL::ENABLE);
  return {};
}

Result<void> wait_enabled(const Card& card, std::uint32_t queue) {
  return wait_for(card, fmt::format("RXDCTL[{}].ENABLE after the queue was enabled", queue), kEnableLimit,
                  [&] { return card.regs.read<reg::RXDCTL>(queue).has(reg::RXDCTL::ENABLE); });
}

}  // namespace

// [I-CRC] [I-RLPML] Linux, igb_main.c, igb_setup_rctl: CRC stripped, long packets allowed up to RLPML, bad packets not
// stored. Broadcasts are accepted; multicast hashes by bits 47:36.
Result<void> start_receive(const Card& card, const ValidatedConfig& config, const PortSettings& settings,
                           const intel::RingMemory& rings) {
  if (config.rx_queues == 0) return {};
  // One queue that is out of descriptors must not hold up the others; a lone one may as well use the packet buffer
  // (Linux, igb_main.c, igb_setup_srrctl).
  const bool drop = config.rx_queues > 1;
  for (std::uint32_t queue = 0; queue < config.rx_queues; ++queue) {
    auto programmed = program_ring(card, queue, rings.rx(queue), config.buffer_bytes, drop);
    if (!programmed) return programmed;
  }
  spread_over_queues(card, config.rx_queues);
  write_receive_limit(card, settings.mtu);
  // Erratum E-IPV6EX: Linux, e1000_82575.c, igb_rx_fifo_flush_82575.
  modify<reg::RFCTL>(card, reg::RFCTL::IPV6_EX_DIS);
  write_receive_control(card, settings.promiscuous, settings.all_multicast);
  // [I-QENABLE] [I-RDT] A queue reports itself enabled only when RCTL.RXEN is set, and ignores RDT until then: Linux,
  // tools/testing/selftests/vfio/lib/drivers/igb/igb.c, igb_hw_init; 82575 manual, 14.3.59.
  for (std::uint32_t queue = 0; queue < config.rx_queues; ++queue) {
    if (auto enabled = wait_enabled(card, queue); !enabled) return enabled;
  }
  return {};
}

void write_receive_limit(const Card& card, std::uint32_t mtu) {
  card.regs.write<reg::RLPML>(reg::RLPML::LENGTH(wire_bytes(mtu)));
  card.regs.bar().flush();
}

// The whole register, so that nothing that was read goes into it.
void write_receive_control(const Card& card, bool promiscuous, bool all_multicast) {
  card.regs.write<reg::RCTL>(reg::RCTL::BAM | reg::RCTL::LPE | reg::RCTL::SECRC | reg::RCTL::RXEN |
                             promiscuity(promiscuous, all_multicast));
  card.regs.bar().flush();
}

}  // namespace pollux::drivers::igb
