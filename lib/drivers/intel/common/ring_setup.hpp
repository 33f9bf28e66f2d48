// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>

#include <fmt/format.h>

#include "drivers/intel/common/card.hpp"
#include "drivers/intel/queue/queue_set.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "hw/intel/registers_rx_queue.hpp"
#include "hw/intel/registers_tx_queue.hpp"
#include "hw/intel/rings.hpp"

/// Queues of advanced descriptors at the card: programmed, enabled, disabled. Who switches the whole receive or
/// transmit path on, and when, is the driver's.
namespace pollux::drivers::intel {

namespace reg = hw::intel;

inline constexpr Duration kQueueEnableLimit = milliseconds(10);

/// What a receive queue is told besides where its ring lies.
struct RxQueueFormat {
  std::uint32_t buffer_bytes = 2048;  ///< a multiple of reg::kRxBufferUnit
  bool drop = false;                  ///< a frame that finds no descriptor is dropped, and does not hold up the others
};

/// [I-WTHRESH] Linux igb, igb.h, IGB_RX_PTHRESH, _HTHRESH and _WTHRESH for an 82576 with MSI-X; DPDK, igb_ethdev.c, has
/// the same. Above 1, finished descriptors would wait for the threshold to be reached or a timer that only runs with
/// interrupts. DPDK, igb_rxtx.c, eth_igbvf_rx_init, takes 1 for a virtual function, too, for an erratum.
inline constexpr auto kRxThresholds = reg::RXDCTL::PTHRESH(8) | reg::RXDCTL::HTHRESH(8) | reg::RXDCTL::WTHRESH(1);

/// [I-WTHRESH] Linux igb, igb.h, IGB_TX_PTHRESH, _HTHRESH and _WTHRESH for an 82576 with MSI-X. DPDK, igb_rxtx.c,
/// brings any WTHRESH on an 82576 down to 1 for an erratum of its virtual functions; above 1, finished descriptors
/// would also wait for others.
inline constexpr auto kTxThresholds = reg::TXDCTL::PTHRESH(8) | reg::TXDCTL::HTHRESH(1) | reg::TXDCTL::WTHRESH(1);

// Reads back what says where the card may write: a lost write must not let it use an earlier ring, or write more than a
// buffer holds.
template <class Registers>
[[nodiscard]] Result<void> check_rx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring,
                                         reg::SRRCTL::Setting format) {
  auto held = check_written<reg::RDBAL>(card, "RDBAL", queue, static_cast<std::uint32_t>(ring.iova));
  if (held) held = check_written<reg::RDBAH>(card, "RDBAH", queue, static_cast<std::uint32_t>(ring.iova >> 32));
  if (held) held = check_written<reg::RDLEN>(card, "RDLEN", queue, ring.bytes());
  if (held) held = check_written<reg::SRRCTL>(card, "SRRCTL", queue, format.bits(), format.mask());
  return held;
}

// [I-BSIZE] [I-DESCTYPE] [I-RDH] Linux, igb_main.c, igb_configure_rx_ring: off, base, length, head and tail at 0, then
// SRRCTL; igbvf, netdev.c, igbvf_configure_rx, does the same.
/// Programs a receive queue and enables it; it takes its tail once the card says that it is enabled.
/// Errors: device_removed, device_fault.
template <class Registers>
[[nodiscard]] Result<void> program_rx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring,
                                           const RxQueueFormat& wanted) {
  write_register<reg::RXDCTL>(card, queue, {});
  write_register<reg::RDBAL>(card, queue, reg::RDBAL::Value(static_cast<std::uint32_t>(ring.iova)));
  write_register<reg::RDBAH>(card, queue, reg::RDBAH::Value(static_cast<std::uint32_t>(ring.iova >> 32)));
  write_register<reg::RDLEN>(card, queue, reg::RDLEN::LEN(ring.bytes() / reg::kRingBytesMultiple));
  write_register<reg::RDH>(card, queue, {});
  write_register<reg::RDT>(card, queue, {});
  const auto format = reg::SRRCTL::ONE_BUFFER | reg::SRRCTL::BSIZEPACKET(wanted.buffer_bytes / reg::kRxBufferUnit);
  write_register<reg::SRRCTL>(card, queue, wanted.drop ? format | reg::SRRCTL::DROP_EN : format);
  if (auto held = check_rx_ring(card, queue, ring, format); !held) return held;
  write_register<reg::RXDCTL>(card, queue, kRxThresholds | reg::RXDCTL::ENABLE);
  return {};
}

template <class Registers>
[[nodiscard]] Result<void> check_tx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring) {
  auto held = check_written<reg::TDBAL>(card, "TDBAL", queue, static_cast<std::uint32_t>(ring.iova));
  if (held) held = check_written<reg::TDBAH>(card, "TDBAH", queue, static_cast<std::uint32_t>(ring.iova >> 32));
  if (held) held = check_written<reg::TDLEN>(card, "TDLEN", queue, ring.bytes());
  return held;
}

// Linux, igb_main.c, igb_configure_tx_ring: off, length, base, head and tail at 0. Done bits in the descriptors tell
// what was sent, not a head written to memory, so TDWBAL stays 0.
/// Programs a transmit queue and enables it. Errors: device_removed, device_fault.
template <class Registers>
[[nodiscard]] Result<void> program_tx_ring(const Card<Registers>& card, std::uint32_t queue, const Ring& ring) {
  write_register<reg::TXDCTL>(card, queue, {});
  write_register<reg::TDLEN>(card, queue, reg::TDLEN::LEN(ring.bytes() / reg::kRingBytesMultiple));
  write_register<reg::TDBAL>(card, queue, reg::TDBAL::Value(static_cast<std::uint32_t>(ring.iova)));
  write_register<reg::TDBAH>(card, queue, reg::TDBAH::Value(static_cast<std::uint32_t>(ring.iova >> 32)));
  write_register<reg::TDWBAL>(card, queue, {});
  write_register<reg::TDH>(card, queue, {});
  write_register<reg::TDT>(card, queue, {});
  if (auto held = check_tx_ring(card, queue, ring); !held) return held;
  write_register<reg::TXDCTL>(card, queue, kTxThresholds | reg::TXDCTL::ENABLE);
  return {};
}

/// Waits until the queue says that it is enabled. Errors: device_removed, timeout.
template <class Registers>
[[nodiscard]] Result<void> wait_rx_enabled(const Card<Registers>& card, std::uint32_t queue) {
  return wait_for(card, fmt::format("RXDCTL[{}].ENABLE after the queue was enabled", queue), kQueueEnableLimit,
                  [&] { return read_register<reg::RXDCTL>(card, queue).has(reg::RXDCTL::ENABLE); });
}
template <class Registers>
[[nodiscard]] Result<void> wait_tx_enabled(const Card<Registers>& card, std::uint32_t queue) {
  return wait_for(card, fmt::format("TXDCTL[{}].ENABLE after the queue was enabled", queue), kQueueEnableLimit,
                  [&] { return read_register<reg::TXDCTL>(card, queue).has(reg::TXDCTL::ENABLE); });
}

/// Hands the filled receive rings to the card, whose queues are enabled. Errors: device_removed, device_fault.
template <class Registers>
[[nodiscard]] Result<void> arm_rx_rings(const Card<Registers>& card, QueueSet& queues, std::uint32_t count) {
  for (std::uint32_t queue = 0; queue < count; ++queue) {
    const std::uint32_t tail = queues.rx(queue)->first_tail();
    write_register<reg::RDT>(card, queue, reg::RDT::TAIL(tail));
    // A queue that is not enabled, whatever it says, does not take its tail.
    if (auto armed = check_written<reg::RDT>(card, "RDT", queue, tail); !armed) return armed;
  }
  return {};
}

template <class Registers>
[[nodiscard]] bool queues_disabled(const Card<Registers>& card, std::uint32_t rx_queues, std::uint32_t tx_queues) {
  for (std::uint32_t queue = 0; queue < rx_queues; ++queue) {
    if (read_register<reg::RXDCTL>(card, queue).has(reg::RXDCTL::ENABLE)) return false;
  }
  for (std::uint32_t queue = 0; queue < tx_queues; ++queue) {
    if (read_register<reg::TXDCTL>(card, queue).has(reg::TXDCTL::ENABLE)) return false;
  }
  return true;
}

// DPDK e1000, e1000_base.c, e1000_rx_fifo_flush_base, waits as long for queues to read back disabled.
/// Disables the queues and waits for that; one that does not is logged, since what follows ends DMA in any case.
template <class Registers>
void disable_queues(const Card<Registers>& card, std::uint32_t rx_queues, std::uint32_t tx_queues) {
  for (std::uint32_t queue = 0; queue < rx_queues; ++queue) clear<reg::RXDCTL>(card, reg::RXDCTL::ENABLE, queue);
  for (std::uint32_t queue = 0; queue < tx_queues; ++queue) clear<reg::TXDCTL>(card, reg::TXDCTL::ENABLE, queue);
  const auto disabled = wait_for(card, "RXDCTL.ENABLE and TXDCTL.ENABLE clearing", kQueueEnableLimit,
                                 [&] { return queues_disabled(card, rx_queues, tx_queues); });
  if (!disabled) card.log(LogLevel::warning, disabled.error().what);
}

// A full ring of 1,518-byte frames takes 50 ms at 1 Gb/s. What the card has not sent by then is counted as dropped.
/// Waits, for a while, until `settled` says that all that was handed over has been sent.
template <class Registers>
void let_transmit_finish(const Card<Registers>& card, const std::function<bool()>& settled) {
  const auto sent = wait_for(card, "the sending of what was handed over", milliseconds(50), settled, microseconds(100));
  if (!sent) card.log(LogLevel::warning, sent.error().what);
}

/// Returns when what was written has arrived. Error device_removed.
template <class Registers>
[[nodiscard]] Result<void> settle_registers(const Card<Registers>& card) {
  card.regs.flush();
  if (card.regs.removed()) return fail_removed(card.name);
  return {};
}

}  // namespace pollux::drivers::intel
