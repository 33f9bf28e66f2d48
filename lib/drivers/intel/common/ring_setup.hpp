// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>

#include <fmt/format.h>

#include "drivers/intel/common/card.hpp"
#include "drivers/intel/queue/queue_set.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "hw/intel/descriptors.hpp"
#include "hw/intel/registers_queue.hpp"
#include "net/queue_caches.hpp"

/// Programs, enables and disables the card's queues of advanced descriptors. The card's driver enables the receive and
/// transmit units themselves.
namespace pollux::drivers::intel {

namespace reg = hw::intel;

inline constexpr Duration kQueueEnableLimit = milliseconds(10);

/// [I-QRESTART] After this time, all writes of a queue whose ENABLE bit reads 0 have reached memory.
inline constexpr Duration kQueueQuietTime = microseconds(100);

/// [I-WTHRESH] Linux igb, igb.h, IGB_RX_PTHRESH, _HTHRESH and _WTHRESH for an 82576 with MSI-X; DPDK, igb_ethdev.c, has
/// the same. Above 1, write-backs would wait for the threshold or for a timer that runs only with interrupts. DPDK,
/// igb_rxtx.c, eth_igbvf_rx_init, also uses 1 for a virtual function, because of an erratum.
inline constexpr auto kRxThresholds = reg::RXDCTL::PTHRESH(8) | reg::RXDCTL::HTHRESH(8) | reg::RXDCTL::WTHRESH(1);

/// [I-WTHRESH] Linux igb, igb.h, IGB_TX_PTHRESH, _HTHRESH and _WTHRESH for an 82576 with MSI-X. DPDK, igb_rxtx.c,
/// limits WTHRESH on an 82576 to 1 because of an erratum of its virtual functions. Above 1, write-backs would also wait
/// for later descriptors.
inline constexpr auto kTxThresholds = reg::TXDCTL::PTHRESH(8) | reg::TXDCTL::HTHRESH(1) | reg::TXDCTL::WTHRESH(1);

/// The settings of a receive queue besides its ring.
struct RxQueueFormat {
  std::uint32_t buffer_bytes = 2048;  ///< a multiple of reg::kRxBufferUnit
  std::uint32_t header_bytes = 0;     ///< of the headers' buffers, a multiple of reg::kRxHeaderUnit; 0: not split
  bool drop = false;                  ///< drop frames without a descriptor, so that they do not block other queues
  reg::RXDCTL::Setting thresholds = kRxThresholds;
};

[[nodiscard]] inline RxQueueFormat rx_format(const PlacedRxQueue& queue) {
  RxQueueFormat format{.buffer_bytes = queue.buffer_bytes, .header_bytes = queue.header_bytes, .drop = queue.drops};
  if (const auto& wish = queue.thresholds) {
    format.thresholds = reg::RXDCTL::PTHRESH(wish->prefetch) | reg::RXDCTL::HTHRESH(wish->host) |
                        reg::RXDCTL::WTHRESH(wish->write_back);
  }
  return format;
}

[[nodiscard]] inline reg::TXDCTL::Setting tx_thresholds(const PlacedTxQueue& queue) {
  const auto& wish = queue.thresholds;
  if (!wish) return kTxThresholds;
  return reg::TXDCTL::PTHRESH(wish->prefetch) | reg::TXDCTL::HTHRESH(wish->host) |
         reg::TXDCTL::WTHRESH(wish->write_back);
}

// Reads back the registers that say where the card may write. After a lost write, the card could use an earlier ring or
// write beyond a buffer.
template <class Registers>
[[nodiscard]] Result<void> check_rx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring,
                                         reg::SRRCTL::Setting format) {
  auto checked =
      check_written<reg::RDBAL>(card, "RDBAL", card.first_queue + queue, static_cast<std::uint32_t>(ring.iova));
  if (checked)
    checked =
        check_written<reg::RDBAH>(card, "RDBAH", card.first_queue + queue, static_cast<std::uint32_t>(ring.iova >> 32));
  if (checked) checked = check_written<reg::RDLEN>(card, "RDLEN", card.first_queue + queue, ring.bytes());
  if (checked)
    checked = check_written<reg::SRRCTL>(card, "SRRCTL", card.first_queue + queue, format.bits(), format.mask());
  return checked;
}

// [I-HDRSPLIT] 82575 manual, table 33.
[[nodiscard]] inline reg::SRRCTL::Setting descriptor_format(const RxQueueFormat& wanted) {
  const auto sizes = reg::SRRCTL::BSIZEPACKET(wanted.buffer_bytes / reg::kRxBufferUnit);
  if (wanted.header_bytes == 0) return reg::SRRCTL::ONE_BUFFER | sizes;
  return reg::SRRCTL::SPLIT | sizes | reg::SRRCTL::BSIZEHEADER(wanted.header_bytes / reg::kRxHeaderUnit);
}

// [I-BSIZE] [I-DESCTYPE] [I-RDH] Linux, igb_main.c, igb_configure_rx_ring: disable, base, length, head and tail 0, then
// SRRCTL; igbvf, netdev.c, igbvf_configure_rx, does the same.
/// Programs a receive queue and enables it. RDT may be written once the card reports the queue enabled. `keeps_tail`:
/// it has a position in the ring, all of whose descriptors have buffers. A card of QEMU's that waits for descriptors
/// loses the frame that waits, uncounted, when the tail of a queue is written that is not enabled (igb_core.c,
/// igb_set_rdt). Errors: device_removed, device_fault.
template <class Registers>
[[nodiscard]] Result<void> program_rx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring,
                                           const RxQueueFormat& wanted, bool keeps_tail = false) {
  write_register<reg::RXDCTL>(card, card.first_queue + queue, {});
  write_register<reg::RDBAL>(card, card.first_queue + queue, reg::RDBAL::Value(static_cast<std::uint32_t>(ring.iova)));
  write_register<reg::RDBAH>(card, card.first_queue + queue,
                             reg::RDBAH::Value(static_cast<std::uint32_t>(ring.iova >> 32)));
  write_register<reg::RDLEN>(card, card.first_queue + queue, reg::RDLEN::LEN(ring.bytes() / reg::kDescriptorBytes));
  write_register<reg::RDH>(card, card.first_queue + queue, {});
  if (!keeps_tail) write_register<reg::RDT>(card, card.first_queue + queue, {});
  const reg::SRRCTL::Setting format = descriptor_format(wanted);
  write_register<reg::SRRCTL>(card, card.first_queue + queue, wanted.drop ? format | reg::SRRCTL::DROP_EN : format);
  if (auto checked = check_rx_ring(card, queue, ring, format); !checked) return checked;
  write_register<reg::RXDCTL>(card, card.first_queue + queue, wanted.thresholds | reg::RXDCTL::ENABLE);
  return {};
}

template <class Registers>
[[nodiscard]] Result<void> check_tx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring) {
  auto checked =
      check_written<reg::TDBAL>(card, "TDBAL", card.first_queue + queue, static_cast<std::uint32_t>(ring.iova));
  if (checked)
    checked =
        check_written<reg::TDBAH>(card, "TDBAH", card.first_queue + queue, static_cast<std::uint32_t>(ring.iova >> 32));
  if (checked) checked = check_written<reg::TDLEN>(card, "TDLEN", card.first_queue + queue, ring.bytes());
  return checked;
}

// Linux, igb_main.c, igb_configure_tx_ring: disable, length, base, head and tail 0.
/// Programs a transmit queue and enables it. Errors: device_removed, device_fault.
template <class Registers>
[[nodiscard]] Result<void> program_tx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring,
                                           reg::TXDCTL::Setting thresholds) {
  write_register<reg::TXDCTL>(card, card.first_queue + queue, {});
  write_register<reg::TDLEN>(card, card.first_queue + queue, reg::TDLEN::LEN(ring.bytes() / reg::kDescriptorBytes));
  write_register<reg::TDBAL>(card, card.first_queue + queue, reg::TDBAL::Value(static_cast<std::uint32_t>(ring.iova)));
  write_register<reg::TDBAH>(card, card.first_queue + queue,
                             reg::TDBAH::Value(static_cast<std::uint32_t>(ring.iova >> 32)));
  write_register<reg::TDWBAL>(card, card.first_queue + queue, {});  // done bits in the descriptors report sent frames
  write_register<reg::TDH>(card, card.first_queue + queue, {});
  write_register<reg::TDT>(card, card.first_queue + queue, {});
  if (auto checked = check_tx_ring(card, queue, ring); !checked) return checked;
  write_register<reg::TXDCTL>(card, card.first_queue + queue, thresholds | reg::TXDCTL::ENABLE);
  return {};
}

/// Waits until the card reports the queue enabled. Errors: device_removed, timeout.
template <class Registers>
[[nodiscard]] Result<void> wait_rx_enabled(const Card<Registers>& card, std::uint32_t queue) {
  return wait_for(card, fmt::format("RXDCTL[{}].ENABLE after the queue was enabled", queue), kQueueEnableLimit,
                  [&] { return read_register<reg::RXDCTL>(card, card.first_queue + queue).has(reg::RXDCTL::ENABLE); });
}
template <class Registers>
[[nodiscard]] Result<void> wait_tx_enabled(const Card<Registers>& card, std::uint32_t queue) {
  return wait_for(card, fmt::format("TXDCTL[{}].ENABLE after the queue was enabled", queue), kQueueEnableLimit,
                  [&] { return read_register<reg::TXDCTL>(card, card.first_queue + queue).has(reg::TXDCTL::ENABLE); });
}

/// Hands a filled receive ring to the card. Needs the queue enabled. Errors: device_removed, device_fault.
template <class Registers>
[[nodiscard]] Result<void> arm_rx_ring(const Card<Registers>& card, QueueSet& queues, std::uint32_t queue) {
  const std::uint32_t tail = queues.rx(queue)->first_tail();
  write_register<reg::RDT>(card, card.first_queue + queue, reg::RDT::TAIL(tail));
  // Reads RDT back: a queue that is not really enabled ignores the write.
  return check_written<reg::RDT>(card, "RDT", card.first_queue + queue, tail);
}

template <class Registers>
[[nodiscard]] Result<void> arm_rx_rings(const Card<Registers>& card, QueueSet& queues, std::uint32_t count) {
  for (std::uint32_t queue = 0; queue < count; ++queue) {
    if (auto armed = arm_rx_ring(card, queues, queue); !armed) return armed;
  }
  return {};
}

template <class Registers>
[[nodiscard]] bool queues_disabled(const Card<Registers>& card, std::uint32_t rx_queues, std::uint32_t tx_queues) {
  for (std::uint32_t queue = 0; queue < rx_queues; ++queue) {
    if (read_register<reg::RXDCTL>(card, card.first_queue + queue).has(reg::RXDCTL::ENABLE)) return false;
  }
  for (std::uint32_t queue = 0; queue < tx_queues; ++queue) {
    if (read_register<reg::TXDCTL>(card, card.first_queue + queue).has(reg::TXDCTL::ENABLE)) return false;
  }
  return true;
}

// DPDK e1000, e1000_base.c, e1000_rx_fifo_flush_base, waits equally long for the ENABLE bits to read 0.
/// Disables the queues and waits until their ENABLE bits read 0. A timeout is only logged, since the caller's next
/// steps end DMA in any case.
template <class Registers>
void disable_queues(const Card<Registers>& card, std::uint32_t rx_queues, std::uint32_t tx_queues) {
  for (std::uint32_t queue = 0; queue < rx_queues; ++queue)
    clear<reg::RXDCTL>(card, reg::RXDCTL::ENABLE, card.first_queue + queue);
  for (std::uint32_t queue = 0; queue < tx_queues; ++queue)
    clear<reg::TXDCTL>(card, reg::TXDCTL::ENABLE, card.first_queue + queue);
  const auto disabled = wait_for(card, "the clearing of RXDCTL.ENABLE and TXDCTL.ENABLE", kQueueEnableLimit,
                                 [&] { return queues_disabled(card, rx_queues, tx_queues); });
  if (!disabled) card.log(LogLevel::warning, disabled.error().what);
}

/// Notes where each transmit queue has stopped. The queues are disabled, and the card was not reset since.
template <class Registers>
void note_heads(const Card<Registers>& card, QueueSet& queues, std::uint32_t tx_queues) {
  for (std::uint32_t queue = 0; queue < tx_queues; ++queue) {
    queues.tx(queue)->note_head(read_register<reg::TDH>(card, card.first_queue + queue).raw());
  }
}

// A full ring of 1,518-byte frames takes 50 ms at 1 Gb/s. Frames that have not been sent by then are counted as
// dropped.
/// Waits at most 50 ms until `finished` reports that all queued frames have been sent.
template <class Registers>
void wait_for_transmit(const Card<Registers>& card, const std::function<bool()>& finished) {
  const auto sent =
      wait_for(card, "the transmission of all queued frames", milliseconds(50), finished, microseconds(100));
  if (!sent) card.log(LogLevel::warning, sent.error().what);
}

/// Returns when all register writes have reached the card. Error device_removed.
template <class Registers>
[[nodiscard]] Result<void> flush_registers(const Card<Registers>& card) {
  card.regs.flush();
  if (card.regs.removed()) return fail_removed(card.name);
  return {};
}

// [I-QRESTART] Linux, igb_xsk.c, igb_txrx_ring_disable, and ixgbe_main.c, ixgbe_disable_rx_queue, which waits for the
// bit.
/// Disables one queue while others run, after its frames are sent if the link is up. Afterwards the card does not use
/// its ring and buffers. Errors: device_removed, timeout (the queue does not stop).
template <class Registers>
[[nodiscard]] Result<void> halt_queue(const Card<Registers>& card, QueueId queue, QueueSet& queues, bool link_up) {
  if (queue.receives()) {
    clear<reg::RXDCTL>(card, reg::RXDCTL::ENABLE, card.first_queue + queue.index);
  } else {
    IntelTxQueue& tx = *queues.tx(queue.index);
    if (link_up) wait_for_transmit(card, [&] { return tx.reclaim_sent() == 0; });
    clear<reg::TXDCTL>(card, reg::TXDCTL::ENABLE, card.first_queue + queue.index);
  }
  const auto off = [&] {
    return queue.receives()
               ? !read_register<reg::RXDCTL>(card, card.first_queue + queue.index).has(reg::RXDCTL::ENABLE)
               : !read_register<reg::TXDCTL>(card, card.first_queue + queue.index).has(reg::TXDCTL::ENABLE);
  };
  const char* const name = queue.receives() ? "RXDCTL" : "TXDCTL";
  auto halted = wait_for(card, fmt::format("the clearing of {}[{}].ENABLE", name, queue.index), kQueueEnableLimit, off);
  if (!halted) return halted;
  card.clock().sleep_for(kQueueQuietTime);
  if (!queue.receives()) {
    queues.tx(queue.index)->note_head(read_register<reg::TDH>(card, card.first_queue + queue.index).raw());
  }
  return flush_registers(card);
}

// Linux, igb_xsk.c, igb_txrx_ring_enable, programs it as after a reset.
/// Programs and enables one queue while others run, and hands it its ring. `keeps_tail`: see program_rx_ring. Errors:
/// device_removed, device_fault, timeout.
template <class Registers>
[[nodiscard]] Result<void> start_queue(const Card<Registers>& card, QueueId queue, QueueSet& queues,
                                       const RingMemory& rings, const PlacedQueues& config, bool keeps_tail = false) {
  const std::uint16_t index = queue.index;
  auto started = queue.receives()
                     ? program_rx_ring(card, index, rings.rx(index), rx_format(config.rx[index]), keeps_tail)
                     : program_tx_ring(card, index, rings.tx(index), tx_thresholds(config.tx[index]));
  if (started) started = queue.receives() ? wait_rx_enabled(card, queue.index) : wait_tx_enabled(card, queue.index);
  if (started && queue.receives()) started = arm_rx_ring(card, queues, queue.index);
  return started ? flush_registers(card) : started;
}

/// Enables the vectors of the first `count` receive queues. nullptr: no thread can sleep on them, since the device has
/// no vectors or, as the log says, none could be enabled.
template <class Registers>
[[nodiscard]] QueueInterrupts* enable_vectors(const Card<Registers>& card, Device& device, const MaskRegisters& masks,
                                              QueueSet& queues, std::uint32_t count) {
  QueueInterrupts* const interrupts = queues.interrupts();
  if (interrupts == nullptr) return nullptr;
  if (auto enabled = interrupts->enable(device, masks, queues, count); !enabled) {
    card.log(LogLevel::warning, enabled.error().message() + "; no thread can sleep on the port's queues");
    return nullptr;
  }
  return interrupts->enabled() == 0 ? nullptr : interrupts;
}

}  // namespace pollux::drivers::intel
