// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/interrupts.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "drivers/intel/queue/queue_set.hpp"

namespace pollux::drivers::intel {

// A reset of the card keeps EITR (I-M-RESET), so it has what this port or an earlier owner wrote last.
void InterruptVector::setup(const MaskRegisters& masks, unsigned number) noexcept {
  const std::lock_guard guard(mutex_);
  masks_ = masks;
  moderation_ = {};
  interval_ = Duration::zero();
  number_ = number;
  bit_ = std::uint32_t{1} << (number + masks.first_bit);
  armed_ = 0;
  masks_.bar.write32(masks_.moderation + 4 * number_, 0);
}

// The 82576's EITR has the interval in bits 14:2, in microseconds: Linux, igb_main.c, igb_write_itr.
void InterruptVector::write_interval(Duration interval) noexcept {
  if (interval == interval_) return;
  interval_ = interval;
  const auto units = static_cast<std::uint32_t>(interval.count() / masks_.interval_ns);
  masks_.bar.write32(masks_.moderation + 4 * number_, units << masks_.interval_shift | masks_.interval_bits);
  masks_.bar.flush();
}

void InterruptVector::moderate(const InterruptModeration& moderation) noexcept {
  const std::lock_guard guard(mutex_);
  if (moderation == moderation_) return;
  moderation_ = moderation;
  write_interval(moderation.adaptive ? Duration::zero() : moderation.interval);
}

namespace {

/// Three classes of load, as Linux has them (igb_main.c, igb_update_itr): a few frames between two sleeps are a
/// dialogue, in which latency counts; many are a bulk transfer.
Duration adapted(const InterruptModeration& moderation, std::uint64_t frames) noexcept {
  constexpr std::uint64_t kFew = 4;
  constexpr std::uint64_t kMany = 32;
  if (frames <= kFew) return Duration::zero();
  if (frames >= kMany) return moderation.interval;
  return std::chrono::floor<std::chrono::microseconds>(moderation.interval / 4);
}

}  // namespace

// A thread that was woken for frames which it had already received finds none. That says nothing about the load.
// [I-EIMSLATCH] The read makes the card execute the write. A frame that came before it is then visible in the ring, so
// it does not matter whether the card remembers the causes of a masked vector.
void InterruptVector::arm(unsigned queue, std::uint64_t frames) noexcept {
  const std::lock_guard guard(mutex_);
  if (moderation_.adaptive && frames != 0) write_interval(adapted(moderation_, frames));
  armed_ |= std::uint32_t{1} << queue;
  // Frames that were polled have left their cause, which would wake at once.
  if (masks_.causes != 0) masks_.bar.write32(masks_.causes, bit_);
  masks_.bar.write32(masks_.unmask, bit_);
  static_cast<void>(masks_.bar.read32(masks_.unmask));
}

// A message masks the vector by itself. QEMU's card does not implement that, and would send one for each frame.
void InterruptVector::disarm(unsigned queue) noexcept {
  const std::lock_guard guard(mutex_);
  const std::uint32_t bit = std::uint32_t{1} << queue;
  if ((armed_ & bit) == 0) return;
  armed_ &= ~bit;
  if (armed_ != 0) return;
  masks_.bar.write32(masks_.mask, bit_);
  masks_.bar.flush();
}

Result<void> QueueInterrupts::enable(Device& device, const MaskRegisters& masks, QueueSet& queues, unsigned count) {
  detach(queues);
  const auto wanted = static_cast<unsigned>(std::min<std::size_t>(vectors_.size(), count + 1));
  if (count == 0 || wanted == 0) return {};
  const auto events = device.enable_interrupts(wanted);
  if (!events) return tl::unexpected<Error>(events.error());
  enabled_ = wanted;
  queues_ = count;
  if (has_other()) watch_other(events->front());
  for (unsigned vector = 0; vector < wanted; ++vector) vectors_[vector].setup(masks, vector);
  for (unsigned queue = 0; queue < count; ++queue) {
    const unsigned vector = vector_of(queue);
    queues.rx(queue)->attach_vector(&vectors_[vector], (*events)[vector]);
  }
  return {};
}

void QueueInterrupts::watch_other(int event) noexcept {
  other_event_ = event;
  other_seen_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event wanted{};
  wanted.events = EPOLLIN | EPOLLET;
  if (other_seen_ && ::epoll_ctl(other_seen_.get(), EPOLL_CTL_ADD, event, &wanted) != 0) other_seen_ = {};
}

// Without a descriptor for the epoll instance there may always have been one.
bool QueueInterrupts::take_other() noexcept {
  if (!has_other()) return false;
  epoll_event found{};
  return !other_seen_ || ::epoll_wait(other_seen_.get(), &found, 1, 0) > 0;
}

void QueueInterrupts::detach(QueueSet& queues) noexcept {
  queues.for_each_rx([](IntelRxQueue& queue) { queue.attach_vector(nullptr, -1); });
  enabled_ = queues_ = 0;
  other_event_ = -1;
  other_seen_ = {};
}

void QueueInterrupts::moderate(const std::map<std::uint16_t, InterruptModeration>& moderation) {
  std::vector<std::optional<InterruptModeration>> wanted(enabled_);
  for (const auto& [queue, wish] : moderation) {
    if (queue < queues_ && !wanted[vector_of(queue)]) wanted[vector_of(queue)] = wish;
  }
  for (unsigned vector = 0; vector < enabled_; ++vector)
    vectors_[vector].moderate(wanted[vector].value_or(InterruptModeration{}));
}

}  // namespace pollux::drivers::intel
