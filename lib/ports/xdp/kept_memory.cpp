// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/kept_memory.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace pollux::xdp {

struct KeptMemory::State {
  Losses losses;
  std::array<std::uint64_t, kCounts> counts;  // of the kernel, when a program last gave the queue up
  std::uint32_t rx_from;                      // positions of the rings at the program's start
  std::uint32_t tx_from;
  std::uint32_t repairs;  // its losses are counted, and not all buffers are where they belong
};

struct KeptMemory::Front {
  struct alignas(64) Queue {
    std::uint32_t active;
    std::array<State, 2> states;
  };
  std::array<Queue, kMaxQueues> queues;
  std::array<std::uint8_t, kMaxBuffers> marks;
};

namespace {

constexpr std::uint64_t kFrontBytes = std::uint64_t{1} << 20;  // pages without content take no memory

std::uint32_t at(const std::uint32_t* position) noexcept { return __atomic_load_n(position, __ATOMIC_ACQUIRE); }

/// Frames that end in so many slots from `first` on.
std::uint32_t frames_in(const FrameRing& ring, std::uint32_t first, std::uint32_t count) noexcept {
  std::uint32_t frames = 0;
  for (std::uint32_t i = 0; i < count; ++i) frames += (ring.at(first + i).options & kContinues) == 0 ? 1U : 0U;
  return frames;
}

}  // namespace

Result<FileDescriptor> KeptMemory::make_file(const std::string& name, std::size_t buffers) {
  return handover::KeptFile::make(name, kFrontBytes + buffers * kBuffer);
}

MemoryPlace KeptMemory::place(std::size_t buffers) noexcept {
  return {.offset = kFrontBytes, .bytes = buffers * kBuffer, .data = 0, .room = kBuffer};
}

Result<std::unique_ptr<KeptMemory>> KeptMemory::map(const std::string& name, int file) {
  static_assert(handover::KeptFile::kFirst + sizeof(Front) <= kFrontBytes);
  auto mapped = handover::KeptFile::map(name, file, kFrontBytes);
  if (!mapped) return pass_on(std::move(mapped));
  return std::unique_ptr<KeptMemory>(new KeptMemory(*std::move(mapped)));
}

KeptMemory::KeptMemory(handover::KeptFile file) noexcept
    : file_(std::move(file)), front_(reinterpret_cast<Front*>(file_.rest())) {}

std::uint8_t* KeptMemory::marks() noexcept { return front_->marks.data(); }

KeptMemory::State KeptMemory::state(std::size_t queue) const noexcept {
  const Front::Queue& of = front_->queues[queue];
  return of.states[at(&of.active) & 1];
}

void KeptMemory::commit(std::size_t queue, const State& next) noexcept {
  Front::Queue& of = front_->queues[queue];
  const std::uint32_t other = 1 - (at(&of.active) & 1);
  of.states[other] = next;
  __atomic_store_n(&of.active, other, __ATOMIC_RELEASE);
}

// Each buffer that a burst takes from the receive ring goes to the fill ring, and its address is there before the
// receive ring's position moves. So the two positions differ by the buffers posted, unless the burst was cut between
// the two stores: those that are missing stand behind the fill ring's end, and nobody has got their frames. What the
// burst had read before the first store is in the ring still.
//
// To be sent, a buffer is in its slot first, then marked, and the kernel gets the slots of a burst at its end. So marks
// that exceed what the kernel got and did not return are those of a burst that was cut, whose slots stand behind the
// ring's end.
Result<handover::QueueRecord> KeptMemory::recover(std::size_t queue, const Rings& rings, Buffers rx, Buffers tx) {
  const auto is_of = [](Buffers range, std::uint64_t address) {
    return address >= range.first && address < range.first + range.count * kBuffer && address % kBuffer == 0;
  };
  handover::QueueRecord found;
  State now = state(queue);
  std::uint32_t fill_end = 0;
  std::uint32_t taken = 0;
  if (rx.count != 0) {
    fill_end = at(rings.fill.producer);
    const std::uint32_t read = at(rings.rx.consumer);
    taken = rx.count - (fill_end - read);
    if (taken > rx.count) return handover::malformed("the rings have other buffers than the record");
    for (std::uint32_t i = 0; i < taken; ++i) {
      if (!is_of(rx, rings.fill.at(fill_end + i))) return handover::malformed("the fill ring has other buffers");
    }
    if (now.repairs == 0) {
      now.losses.lost += frames_in(rings.rx, read - taken, taken);
      now.losses.received += read - taken - now.rx_from;
      now.rx_from = read;
    }
  }
  std::uint8_t* const marked = marks() + tx.first / kBuffer;
  std::uint32_t cut = 0;
  const std::uint32_t tx_end = tx.count != 0 ? at(rings.tx.producer) : 0;
  if (tx.count != 0) {
    found.in_flight = tx_end - at(rings.completion.consumer);
    const auto all = static_cast<std::uint32_t>(std::count(marked, marked + tx.count, 1));
    cut = all > found.in_flight ? all - found.in_flight : 0;
    if (found.in_flight > tx.count) return handover::malformed("the rings have other buffers than the record");
    for (std::uint32_t i = 0; i < cut; ++i) {
      const std::uint64_t address = rings.tx.at(tx_end + i).addr;
      if (!is_of(tx, address) || marks()[address / kBuffer] == 0)
        return handover::malformed("the transmit ring has other buffers");
    }
    if (now.repairs == 0) {
      now.losses.lost += frames_in(rings.tx, tx_end, cut);
      now.losses.sent += tx_end - now.tx_from;
      now.tx_from = tx_end;
    }
  }
  // A successor that ends from here on has counted the losses, and the next one only repairs.
  now.repairs = 1;
  commit(queue, now);
  if (taken != 0) __atomic_store_n(rings.fill.producer, fill_end + taken, __ATOMIC_RELEASE);
  for (std::uint32_t i = cut; i-- > 0;)  // from the end, so that those that are left stand at the beginning
    __atomic_store_n(&marks()[rings.tx.at(tx_end + i).addr / kBuffer], 0, __ATOMIC_RELEASE);
  now.repairs = 0;
  commit(queue, now);
  found.posted = rx.count;
  for (std::uint32_t i = 0; i < tx.count; ++i)
    (marked[i] != 0 ? found.given : found.free).push_back(tx.first + i * kBuffer);
  found.counts.assign(now.counts.begin(), now.counts.end());
  return found;
}

KeptMemory::Losses KeptMemory::losses(std::size_t queues) const noexcept {
  Losses all;
  for (std::size_t queue = 0; queue < queues; ++queue) {
    const Losses one = state(queue).losses;
    all = {all.lost + one.lost, all.received + one.received, all.sent + one.sent};
  }
  return all;
}

void KeptMemory::settle(std::size_t queue, const Rings& rings, const std::vector<std::uint64_t>& counts) noexcept {
  State now = state(queue);
  if (rings.rx.consumer != nullptr) now.rx_from = at(rings.rx.consumer);
  if (rings.tx.producer != nullptr) now.tx_from = at(rings.tx.producer);
  std::copy_n(counts.begin(), std::min(counts.size(), now.counts.size()), now.counts.begin());
  commit(queue, now);
}

}  // namespace pollux::xdp
