// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/queue_watch.hpp"

#include "hw/intel/registers_queue.hpp"

namespace pollux::drivers::intel {
namespace {

// Distances between registers of one queue, the same on a virtual function.
constexpr std::uint32_t kToHead = hw::intel::TDT::offset(0) - hw::intel::TDH::offset(0);
constexpr std::uint32_t kTxdctlAfterTdt = hw::intel::TXDCTL::offset(0) - hw::intel::TDT::offset(0);
constexpr std::uint32_t kRxdctlAfterRdt = hw::intel::RXDCTL::offset(0) - hw::intel::RDT::offset(0);
/// For one frame: the longest, 9,728 bytes, in the smallest buffers, 1 KiB.
constexpr std::uint32_t kMostDescriptors = 10;

}  // namespace

// Linux, igb_main.c, igb_clean_tx_irq, compares the age of the oldest frame, which only the queue's own thread knows;
// the head is there for any thread. A queue that was stopped alone keeps its frames in the ring and does not send them.
std::optional<std::uint32_t> tx_position(const QueueRegisters& registers, std::uint16_t queue) {
  const std::uint32_t tail_register = registers.tdt + queue * registers.stride;
  const std::uint32_t head = registers.bar.read32(tail_register - kToHead);
  const hw::intel::TXDCTL::Value control(registers.bar.read32(tail_register + kTxdctlAfterTdt));
  const bool is_enabled = !registers.have_enable || control.has(hw::intel::TXDCTL::ENABLE);
  if (head == registers.bar.read32(tail_register) || !is_enabled) return std::nullopt;
  return head;
}

// The counters are read before the head: a frame that they count before `base` may still be on its way at the first
// look, but not at a later one.
bool RxWatch::Evidence::holds(std::uint64_t counted, Time now, Duration limit) {
  if (!base) base = counted;
  if (counted != *base && !since) since = now;
  return since && now - *since >= limit;
}

bool RxWatch::is_stalled(Queue& queue, const QueueRegisters& registers, IntelRxQueue& ring, std::uint16_t number) {
  const std::uint32_t head = registers.bar.read32(registers.rx_head(number));
  const std::uint64_t packets = ring.packets();
  if (queue.head != head || queue.packets != packets) {
    queue = {.head = head, .packets = packets, .dropped = {}};
    return false;
  }
  const std::uint32_t tail_register = registers.rdt + number * registers.stride;
  const std::uint32_t free = (registers.bar.read32(tail_register) - head) & ring.slot_mask();
  const hw::intel::RXDCTL::Value control(registers.bar.read32(tail_register + kRxdctlAfterRdt));
  const bool is_enabled = !registers.have_enable || control.has(hw::intel::RXDCTL::ENABLE);
  if (free >= kMostDescriptors && is_enabled) return true;
  queue.dropped = {};
  return false;
}

std::optional<std::uint16_t> RxWatch::look(const QueueRegisters& registers, QueueSet& queues, std::uint16_t count,
                                           const CountedFrames& counted, Time now, Duration limit) {
  queues_.resize(count);
  std::optional<std::uint16_t> hangs;
  bool all_stalled = counted.all.has_value();
  for (std::uint16_t number = 0; number < count; ++number) {
    Queue& queue = queues_[number];
    if (!is_stalled(queue, registers, *queues.rx(number), number)) {
      all_stalled = false;
    } else if (number < counted.dropped.size() && queue.dropped.holds(counted.dropped[number], now, limit) && !hangs) {
      hangs = number;
    }
  }
  if (!all_stalled) {
    all_ = {};
  } else if (count != 0 && all_.holds(*counted.all, now, limit) && !hangs) {
    hangs = std::uint16_t{0};
  }
  if (hangs) forget();
  return hangs;
}

void RxWatch::forget() noexcept {
  queues_.clear();
  all_ = {};
}

}  // namespace pollux::drivers::intel
