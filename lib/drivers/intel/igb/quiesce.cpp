// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/quiesce.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr Duration kMasterLimit = milliseconds(80);
constexpr Duration kDrainLimit = milliseconds(50);
constexpr Duration kQueueLimit = milliseconds(10);

// A full ring of 1,518-byte frames takes 50 ms at 1 Gb/s. What the card has not sent by then is counted as dropped.
void let_transmit_finish(const Card& card, const std::function<bool()>& settled) {
  if (!card.regs.read<reg::STATUS>().has(reg::STATUS::LU)) return;
  const auto sent = wait_for(card, "the sending of what was handed over", kDrainLimit, settled, microseconds(100));
  if (!sent) card.log(LogLevel::warning, sent.error().what);
}

bool all_disabled(const Card& card, std::uint32_t rx_queues, std::uint32_t tx_queues) {
  for (std::uint32_t queue = 0; queue < rx_queues; ++queue) {
    if (card.regs.read<reg::RXDCTL>(queue).has(reg::RXDCTL::ENABLE)) return false;
  }
  for (std::uint32_t queue = 0; queue < tx_queues; ++queue) {
    if (card.regs.read<reg::TXDCTL>(queue).has(reg::TXDCTL::ENABLE)) return false;
  }
  return true;
}

// DPDK e1000, e1000_base.c, e1000_rx_fifo_flush_base, waits as long for queues to read back disabled.
void disable_queues(const Card& card, std::uint32_t rx_queues, std::uint32_t tx_queues) {
  for (std::uint32_t queue = 0; queue < rx_queues; ++queue) clear<reg::RXDCTL>(card, reg::RXDCTL::ENABLE, queue);
  for (std::uint32_t queue = 0; queue < tx_queues; ++queue) clear<reg::TXDCTL>(card, reg::TXDCTL::ENABLE, queue);
  const auto disabled = wait_for(card, "RXDCTL.ENABLE and TXDCTL.ENABLE clearing", kQueueLimit,
                                 [&] { return all_disabled(card, rx_queues, tx_queues); });
  if (!disabled) card.log(LogLevel::warning, disabled.error().what);
}

}  // namespace

// [I-GIOMASTER] Linux, e1000_mac.c, igb_disable_pcie_master: 800 looks, 100 us apart.
Result<void> disable_master(const Card& card) {
  modify<reg::CTRL>(card, reg::CTRL::GIO_MASTER_DISABLE);
  return wait_for(
      card, "STATUS.GIO_MASTER_ENABLE clearing", kMasterLimit,
      [&] { return !card.regs.read<reg::STATUS>().has(reg::STATUS::GIO_MASTER_ENABLE); }, microseconds(100));
}

// Linux, igb_main.c, igb_down, turns receive off first and transmit second.
Result<void> quiesce(const Card& card, std::uint32_t rx_queues, std::uint32_t tx_queues,
                     const std::function<bool()>& transmit_settled) {
  if (card.regs.removed()) return fail_removed(card.name);
  clear<reg::RCTL>(card, reg::RCTL::RXEN);
  let_transmit_finish(card, transmit_settled);
  clear<reg::TCTL>(card, reg::TCTL::EN);
  disable_queues(card, rx_queues, tx_queues);
  return disable_master(card);
}

}  // namespace pollux::drivers::igb
