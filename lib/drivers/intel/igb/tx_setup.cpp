// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/tx_setup.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr Duration kEnableLimit = milliseconds(10);

/// [I-WTHRESH] Linux igb, igb.h, IGB_TX_PTHRESH, _HTHRESH and _WTHRESH for an 82576 with MSI-X. DPDK, igb_rxtx.c,
/// brings any WTHRESH on an 82576 down to 1 for an erratum of its virtual functions; above 1, finished descriptors
/// would also wait for others.
constexpr auto kThresholds = reg::TXDCTL::PTHRESH(8) | reg::TXDCTL::HTHRESH(1) | reg::TXDCTL::WTHRESH(1);

/// Of a half-duplex link. Linux, e1000_defines.h, E1000_COLLISION_THRESHOLD and E1000_COLLISION_DISTANCE.
constexpr std::uint32_t kCollisionThreshold = 15;
constexpr std::uint32_t kCollisionDistance = 64;

// A write that was lost must not let the card take an earlier ring for this one, and write done bits to it.
Result<void> check_ring(const Card& card, std::uint32_t queue, const intel::Ring& ring) {
  auto held = check_written<reg::TDBAL>(card, "TDBAL", queue, static_cast<std::uint32_t>(ring.iova));
  if (held) held = check_written<reg::TDBAH>(card, "TDBAH", queue, static_cast<std::uint32_t>(ring.iova >> 32));
  if (held) held = check_written<reg::TDLEN>(card, "TDLEN", queue, static_cast<std::uint32_t>(ring.bytes()));
  return held;
}

// Linux, igb_main.c, igb_configure_tx_ring: off, length, base, head and tail at 0. Done bits in the descriptors tell
// what was sent, not a head written to memory, so TDWBAL stays 0.
Result<void> program_ring(const Card& card, std::uint32_t queue, const intel::Ring& ring) {
  card.regs.write<reg::TXDCTL>(queue, {});
  card.regs.write<reg::TDLEN>(queue, reg::TDLEN::LEN(ring.bytes() / reg::kRingBytesMultiple));
  card.regs.write<reg::TDBAL>(queue, reg::TDBAL::Value(static_cast<std::uint32_t>(ring.iova)));
  card.regs.write<reg::TDBAH>(queue, reg::TDBAH::Value(static_cast<std::uint32_t>(ring.iova >> 32)));
  card.regs.write<reg::TDWBAL>(queue, {});
  card.regs.write<reg::TDH>(queue, {});
  card.regs.write<reg::TDT>(queue, {});
  if (auto held = check_ring(card, queue, ring); !held) return held;
  card.regs.write<reg::TXDCTL>(queue, kThresholds | reg::TXDCTL::ENABLE);
  return {};
}

Result<void> wait_enabled(const Card& card, std::uint32_t queue) {
  return wait_for(card, fmt::format("TXDCTL[{}].ENABLE after the queue was enabled", queue), kEnableLimit,
                  [&] { return card.regs.read<reg::TXDCTL>(queue).has(reg::TXDCTL::ENABLE); });
}

}  // namespace

// Linux, igb_main.c, igb_setup_tctl, and e1000_82575.c, igb_config_collision_dist: pad short packets, retransmit on
// late collision. The longest packet that the DMA engine takes stays at its default of 9.5 KiB, which is the card's
// longest.
Result<void> start_transmit(const Card& card, const ValidatedConfig& config, const intel::RingMemory& rings) {
  if (config.tx_queues == 0) return {};
  for (std::uint32_t queue = 0; queue < config.tx_queues; ++queue) {
    if (auto programmed = program_ring(card, queue, rings.tx(queue)); !programmed) return programmed;
  }
  modify<reg::TCTL_EXT>(card, reg::TCTL_EXT::COLD(kCollisionDistance));
  modify<reg::TCTL>(card, reg::TCTL::PSP | reg::TCTL::RTLC | reg::TCTL::CT(kCollisionThreshold) | reg::TCTL::EN);
  // [I-QENABLE] As on the receive side, a queue reports itself enabled only when TCTL.EN is set (igb_hw_init of the
  // same selftest).
  for (std::uint32_t queue = 0; queue < config.tx_queues; ++queue) {
    if (auto enabled = wait_enabled(card, queue); !enabled) return enabled;
  }
  return {};
}

}  // namespace pollux::drivers::igb
