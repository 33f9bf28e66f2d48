// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/kept_queues.hpp"

#include <array>
#include <bit>

#include "hw/intel/descriptors.hpp"

namespace pollux::drivers::intel {

struct KeptQueues::Side {
  std::array<std::uint32_t, kMaxQueues> started;
  std::array<std::uint64_t, kMaxQueues> before;  // frames counted when the ring was new
};

struct KeptQueues::Words {
  Side rx, tx;
  std::array<std::uint64_t, kMaxCounters> counters;
};

namespace {

constexpr std::size_t kFront = 8192;

// A frame that is received and dropped has taken a slot, one that is dropped in place of sending has not.
std::uint64_t counted(std::uint64_t packets, std::uint64_t drops, bool receives) noexcept {
  return receives ? packets + drops : packets - drops;
}

/// Words that another program writes, or has written.
template <class Word>
Word word_at(const std::byte* area, std::uint64_t place) noexcept {
  return __atomic_load_n(reinterpret_cast<const Word*>(area + place), __ATOMIC_RELAXED);
}

}  // namespace

KeptQueues::KeptQueues(std::shared_ptr<void> owner, std::byte* area, std::size_t bytes)
    : owner_(std::move(owner)), area_(area), memory_(area + kFront, bytes - kFront, std::pmr::null_memory_resource()) {
  static_assert(sizeof(Words) <= kFront);
}

std::span<std::uint64_t> KeptQueues::counters(std::byte* area, std::size_t count) noexcept {
  return std::span(reinterpret_cast<Words*>(area)->counters).first(count);
}

KeptQueues::Side& KeptQueues::side(std::byte* area, bool receives) noexcept {
  Words& words = *reinterpret_cast<Words*>(area);
  return receives ? words.rx : words.tx;
}

void KeptQueues::set_started(QueueId queue, QueueSet& queues, bool started) noexcept {
  const auto count = [&](const auto& of) { return counted(of.packets(), of.drops().sum(), queue.receives()); };
  Side& words = side(area_, queue.receives());
  words.before[queue.index] = queue.receives() ? count(*queues.rx(queue.index)) : count(*queues.tx(queue.index));
  __atomic_store_n(&words.started[queue.index], started ? 1U : 0U, __ATOMIC_RELEASE);
}

std::vector<std::uint64_t> KeptQueues::describe(QueueSet& queues, bool receives, std::uint32_t count) const {
  std::vector<std::uint64_t> all;
  const auto place = [this](const auto& word) {
    return static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(&word) - area_);
  };
  const auto add = [&](const auto& queue) {
    all.insert(all.end(), {place(queue.next), place(queue.packets_), place(queue.drops_),
                           sizeof queue.drops_ / sizeof(std::uint64_t), queue.mask});
  };
  for (std::uint32_t queue = 0; queue < count; ++queue) {
    if (receives) {
      add(*queues.rx(queue));
    } else {
      add(*queues.tx(queue));
    }
  }
  return all;
}

Result<std::vector<QueueAtCrash>> KeptQueues::find(std::byte* area, std::size_t bytes, bool receives,
                                                   std::span<const std::uint64_t> described) {
  const auto wrong = [] {
    return fail(ErrorCode::invalid_argument, "what was kept names no queues", "nothing is to be done");
  };
  std::vector<QueueAtCrash> all;
  if (described.size() % kNumbers != 0 || described.size() / kNumbers > kMaxQueues) return wrong();
  for (std::size_t queue = 0; queue < described.size() / kNumbers; ++queue) {
    const auto numbers = described.subspan(queue * kNumbers, kNumbers);
    const std::uint64_t next = numbers[0], packets = numbers[1], drops = numbers[2], reasons = numbers[3];
    constexpr std::uint64_t kMostReasons = 64;
    const auto is_in = [&](std::uint64_t place, std::uint64_t size) {
      return place % 4 == 0 && place < bytes && bytes - place >= size;
    };
    if (!is_in(next, 4) || !is_in(packets, 8) || packets % 8 != 0 || reasons > kMostReasons || drops % 8 != 0 ||
        !is_in(drops, 8 * reasons) || numbers[4] >= hw::intel::kRingMax || !std::has_single_bit(numbers[4] + 1))
      return wrong();
    std::uint64_t dropped = 0;
    for (std::uint64_t i = 0; i < reasons; ++i) dropped += word_at<std::uint64_t>(area, drops + 8 * i);
    const Side& words = side(area, receives);
    QueueAtCrash found{.next = word_at<std::uint32_t>(area, next), .mask = static_cast<std::uint32_t>(numbers[4])};
    found.all = counted(word_at<std::uint64_t>(area, packets), dropped, receives);
    found.counted = found.all - words.before[queue];
    found.started = words.started[queue] != 0;
    all.push_back(found);
  }
  return all;
}

}  // namespace pollux::drivers::intel
