// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/tx_setup.hpp"

#include "drivers/intel/common/ring_setup.hpp"

namespace pollux::drivers::igb {
namespace {

/// For half-duplex links. Linux, e1000_defines.h, E1000_COLLISION_THRESHOLD and E1000_COLLISION_DISTANCE.
constexpr std::uint32_t kCollisionThreshold = 15;
constexpr std::uint32_t kCollisionDistance = 63;

}  // namespace

// Linux, igb_main.c, igb_setup_tctl, and e1000_82575.c, igb_config_collision_dist: pad short packets, retransmit on
// late collision. The DMA engine's packet limit stays at its default of 9.5 KiB, which is the card's longest frame.
Result<void> start_transmit(const Card& card, const ValidatedConfig& config, const intel::RingMemory& rings) {
  if (config.tx_queues() == 0) return {};
  for (std::uint32_t queue = 0; queue < config.tx_queues(); ++queue) {
    auto programmed = program_tx_ring(card, queue, rings.tx(queue), intel::tx_thresholds(config.tx[queue]));
    if (!programmed) return programmed;
  }
  modify<reg::TCTL_EXT>(card, reg::TCTL_EXT::COLD(kCollisionDistance));
  modify<reg::TCTL>(card, reg::TCTL::PSP | reg::TCTL::RTLC | reg::TCTL::CT(kCollisionThreshold) | reg::TCTL::EN);
  // [I-QENABLE] A queue reports itself enabled only when TCTL.EN is set: Linux,
  // tools/testing/selftests/vfio/lib/drivers/igb/igb.c, igb_hw_init.
  for (std::uint32_t queue = 0; queue < config.tx_queues(); ++queue) {
    if (auto enabled = wait_tx_enabled(card, queue); !enabled) return enabled;
  }
  return {};
}

}  // namespace pollux::drivers::igb
