// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/tx_queue.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/compiler.hpp"
#include "hw/intel/extended_descriptors.hpp"
#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

namespace {

// The allocation site that checked builds report for buffers that a borrower left in the ring.
constexpr Site kBorrower{"forward path", 0};

/// Of the last data descriptor of a packet. An extended context has TCP's bit in the place of kEndOfPacket.
constexpr std::uint64_t kEnd = tx::kEndOfPacket | tx::extended::kTypeData;
static_assert((tx::kTypeData & tx::extended::kTypeData) != 0 && (tx::kTypeContext & tx::extended::kTypeData) == 0);

}  // namespace

void IntelTxQueue::setup(IntelTxQueueSetup setup) {
  detach_borrower();
  const std::size_t size = setup.size;
  apply(std::move(setup));
  slot_memory_.assign(size, nullptr);
  slots = slot_memory_.data();
  clear();
}

void IntelTxQueue::replace(IntelTxQueueSetup setup, std::vector<Mbuf*> empty) noexcept {
  apply(std::move(setup));
  slot_memory_ = std::move(empty);
  slots = slot_memory_.data();
  clear();
}

void IntelTxQueue::apply(IntelTxQueueSetup setup) noexcept {
  descriptors = setup.ring;
  mask = setup.size - 1;
  segments_tunnels = setup.segments_tunnels;
  mode_ = setup.mode;
  const std::uint32_t group = std::min(kGroup, setup.size / 4);
  group_mask = group - 1;
  group_shift = static_cast<std::uint32_t>(std::countr_zero(group));
  tail = setup.tail;
  format_ = setup.format;
  send_slow = format_->send_slow;
  send_request = setup.is_alone ? format_->send_request_alone : format_->send_request;
  fast_path = {.command = format_->whole_frame + kMinFrame * format_->per_byte,
               .per_byte = format_->per_byte,
               .max_excess = setup.max_frame - kMinFrame,
               .context = setup.context.get()};
  set_up({.min_frame = kMinFrame, .max_frame = setup.max_frame, .offloads = setup.offloads}, std::move(setup.cache),
         std::move(setup.context));
}

void IntelTxQueue::let_card_insert_tags(bool on) noexcept {
  card_inserts_tags = on;
  contexts.forget_repeats();
}

void IntelTxQueue::set_borrower(QueueBorrower& borrower, std::shared_ptr<MempoolCore> pool) noexcept {
  borrower_ = &borrower;
  observers().forbid(QueueBorrower::kNoObservers);
  spares_pool_ = std::move(pool);
}

void IntelTxQueue::clear_borrower() noexcept {
  give_back_spares();
  borrower_ = nullptr;
  observers().forbid(nullptr);
  spares_pool_.reset();
  if (open_) open_gate();
}

void IntelTxQueue::detach_borrower() noexcept {
  if (borrower_ != nullptr) borrower_->give_back();
}

// Mbufs in the ring may belong to another pool than the new cache's, so they are freed one by one.
void IntelTxQueue::cache_changed() noexcept {
  sent_cache = cache();
  contexts.forget_repeats();
  fast_path.shortest = shortest();
  contents.fill(kMixed);
}

void IntelTxQueue::clear() noexcept {
  next = RingIndex();
  clean = RingIndex();
  stopped_at_.reset();
  contexts.clear();
  std::fill_n(descriptors, mask + 1, hw::intel::Descriptor{});
  for (std::uint32_t group = 0; group <= mask >> group_shift; ++group) reset_group(*this, group);
  watch_oldest(*this);
}

Result<void> IntelTxQueue::fill() {
  if (borrower_ == nullptr) return {};
  auto taken = spares_pool_->take_all(slot_memory_, "a forward path's transmit ring");
  has_spares = taken.has_value();
  return taken;
}

void IntelTxQueue::give_back_spares() noexcept {
  if (!std::exchange(has_spares, false)) return;
  const std::uint32_t in_use = in_flight();
  for (std::uint32_t i = in_use; i <= mask; ++i) spares_pool_->put({slots + (clean + i).slot(mask), 1});
  // Buffers in flight are freed one by one, as frames of a burst are. Checked builds then need an allocation site.
  for (std::uint32_t i = 0; i < in_use; ++i) MbufAccess::stamp(*slots[(clean + i).slot(mask)], kBorrower);
  contents.fill(kMixed);
}

void IntelTxQueue::open() noexcept {
  open_ = true;
  if (borrower_ != nullptr) {
    borrower_->open();
  } else {
    open_gate();
  }
}

void IntelTxQueue::open_gate() noexcept { open_bursts(burst_function()); }

IntelTxQueue::BurstFunction* IntelTxQueue::burst_function() const noexcept {
  const bool remote = tail.is_remote();
  const bool small = group_mask + 1 < kGroup;
  switch (small ? BurstMode::scalar : best_of(mode_)) {
#if defined(__x86_64__)
    case BurstMode::avx512: return tx_burst_avx512(remote, format_->two_lengths);
    case BurstMode::avx2: return tx_burst_avx2(remote, format_->two_lengths);
#elif defined(__aarch64__)
    case BurstMode::neon: return tx_burst_neon(remote, format_->two_lengths);
#endif
    default: return tx_burst_scalar(remote, small);
  }
}

Result<void> IntelTxQueue::close(Clock& clock, Duration limit) {
  open_ = false;
  if (borrower_ != nullptr) {
    if (auto closed = borrower_->close(clock, limit); !closed) return closed;
  }
  return pollux::TxQueueDriver::close(clock, limit);
}

std::uint32_t IntelTxQueue::reclaim_sent() noexcept {
  // The sending thread may be using the cache with another port's queues, so buffers go to the shared lists.
  MempoolCacheCore* const cache = std::exchange(sent_cache, nullptr);
  tx_reclaim(*this);
  sent_cache = cache;
  return in_flight();
}

std::uint32_t IntelTxQueue::drain(DrainReason reason) noexcept {
  if (descriptors == nullptr) return 0;
  // Includes buffers that have been sent but not cleaned.
  std::uint32_t buffers = has_spares ? mask + 1 : buffers_in_flight();
  const std::uint32_t pending = reclaim_sent();
  const std::uint32_t read = slots_read();
  // The card sends in order: everything up to the last slot that it reported done has been sent.
  std::uint64_t unsent = 0;
  for (std::uint32_t i = pending; i-- != read;) {
    const std::uint64_t command = descriptors[(clean + i).slot(mask)].hi;
    if (tx::done(command)) break;
    if ((command & kEnd) == kEnd) ++unsent;
  }
  count_drops(reason == DrainReason::stopped ? &TxDrops::stopped : &TxDrops::removed, unsent);
  if (borrower_ != nullptr) buffers += borrower_->drop_waiting(reason);
  give_back_spares();
  MempoolCacheCore* const cache = std::exchange(sent_cache, nullptr);
  free_each(*this, clean, pending);
  sent_cache = cache;
  clear();
  return buffers;
}

// The card reports only some descriptors done. It sends in order, so all before such a descriptor are done, too.
std::optional<TxDescriptorStatus> IntelTxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (slots == nullptr || offset > mask) return std::nullopt;
  const std::uint32_t free = mask + 1 - in_flight();
  if (offset < free) return TxDescriptorStatus::free;
  for (std::uint32_t i = offset - free; i < in_flight(); ++i) {
    if (tx::done(io::load_acquire(descriptors[(clean + i).slot(mask)].hi))) return TxDescriptorStatus::sent;
  }
  return TxDescriptorStatus::pending;
}

// A head that is not among the slots in flight says nothing.
std::uint32_t IntelTxQueue::slots_read() const noexcept {
  if (!stopped_at_ || *stopped_at_ > mask) return 0;
  const std::uint32_t read = (*stopped_at_ - clean.slot(mask)) & mask;
  return read <= in_flight() ? read : 0;
}

// The slots of context descriptors, and all but the last of a long buffer, have no mbuf.
std::uint32_t IntelTxQueue::buffers_in_flight() const noexcept {
  std::uint32_t buffers = 0;
  for (std::uint32_t i = in_flight(); i-- != 0;) buffers += slots[(clean + i).slot(mask)] != nullptr ? 1U : 0U;
  return buffers;
}

std::uint32_t IntelTxQueue::in_flight() const noexcept { return next.distance_from(clean); }

}  // namespace pollux::drivers::intel
