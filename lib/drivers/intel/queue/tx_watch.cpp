// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/tx_watch.hpp"

#include "hw/intel/registers_tx_queue.hpp"

namespace pollux::drivers::intel {
namespace {

// Distances between registers of one queue, the same on a virtual function.
constexpr std::uint32_t kToHead = hw::intel::TDT::offset(0) - hw::intel::TDH::offset(0);
constexpr std::uint32_t kTxdctlAfterTdt = hw::intel::TXDCTL::offset(0) - hw::intel::TDT::offset(0);

}  // namespace

// A queue that was stopped alone keeps what was in its ring, and sends it to no one.
TransmitWatch::Report TxWatch::look(const QueueRegisters& registers, std::uint16_t queues, Time now, Duration limit) {
  stands_.resize(queues);
  TransmitWatch::Report report;
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    std::optional<Stand>& stand = stands_[queue];
    const std::uint32_t tail_register = registers.tdt + queue * registers.stride;
    const std::uint32_t head = registers.bar.read32(tail_register - kToHead);
    const hw::intel::TXDCTL::Value control(registers.bar.read32(tail_register + kTxdctlAfterTdt));
    if (head == registers.bar.read32(tail_register) || !control.has(hw::intel::TXDCTL::ENABLE)) {
      stand.reset();
      continue;
    }
    if (!stand || stand->head != head) stand = Stand{.head = head, .since = now};
    if (now - stand->since >= limit) return {TransmitWatch::Progress::stands, queue};
    report.progress = TransmitWatch::Progress::sends;
  }
  return report;
}

}  // namespace pollux::drivers::intel
