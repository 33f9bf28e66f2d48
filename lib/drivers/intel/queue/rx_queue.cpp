// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/rx_queue.hpp"

#include <algorithm>
#include <utility>

#include "base/compiler.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

namespace rx = hw::intel::rx;

namespace {

// Fills all `slots` or, on error no_memory, none.
Result<void> take_buffers(std::span<Mbuf*> slots, const std::shared_ptr<MempoolCacheCore>& cache) {
  // Only a cache that no other object refers to may be used here. Any other may be in use on its thread.
  const std::size_t from_cache = cache.use_count() == 1 ? std::min<std::size_t>(cache->count(), slots.size()) : 0;
  auto taken = cache->pool().take_all(slots.first(slots.size() - from_cache), "a receive ring");
  if (!taken) return taken;
  for (Mbuf*& slot : slots.last(from_cache)) slot = &cache->pop();
  return {};
}

/// Registers whose writes have no effect.
class Ignored final : public RemoteRegisters {
 public:
  std::uint32_t read32(std::uint32_t /*offset*/) noexcept override { return 0; }
  void write32(std::uint32_t /*offset*/, std::uint32_t /*value*/) noexcept override {}
  void flush() noexcept override {}
};

}  // namespace

// The burst functions depend on the kind of registers, which stays the same.
void IntelRxQueue::ignore_tail() noexcept {
  static Ignored ignored;
  const Bar bar = tail.is_remote() ? Bar(ignored, sizeof ignored_tail_) : Bar(&ignored_tail_[0], sizeof ignored_tail_);
  tail = Doorbell(bar, 0);
}

void IntelRxQueue::setup(IntelRxQueueSetup setup) {
  detach_borrower();
  RxSlots empty{.frames = std::vector<Mbuf*>(setup.size + kPrefetchDistance),
                .headers = std::vector<Mbuf*>(setup.splitting.cache != nullptr ? setup.size : 0)};
  apply(std::move(setup));
  use(std::move(empty));
}

void IntelRxQueue::replace(IntelRxQueueSetup setup, RxSlots buffers) noexcept {
  apply(std::move(setup));
  use(std::move(buffers));
  if (slots[0] != nullptr) arm_all();
}

void IntelRxQueue::use(RxSlots buffers) noexcept {
  slot_memory_ = std::move(buffers.frames);
  slots = slot_memory_.data();
  headers = std::move(buffers.headers);
}

void IntelRxQueue::apply(IntelRxQueueSetup setup) noexcept {
  descriptors = setup.ring;
  mask = setup.size - 1;
  max_length = setup.buffer_bytes;
  group_mask = std::min(kGroup, setup.size / 4) - 1;
  tail = setup.tail;
  registers = setup.registers;
  head_offset = setup.head_offset;
  mode_ = setup.mode;
  keeps_bad_frames = setup.keeps_bad_frames;
  checks_length = keeps_bad_frames || drops_long_frames;
  keeps_fcs = setup.keeps_fcs;
  copying = std::move(setup.copying);
  splitting = std::move(setup.splitting);
  set_up(std::move(setup.pool), std::move(setup.cache), setup.port);
  const MempoolCore& copies = copying.cache != nullptr ? copying.cache->pool() : *pool();
  copy_word = copies.empty_word(format_, setup.port);
  if (splits_frames()) header_word = header_pool()->empty_word(format_, setup.port);
  fast_path = {.mask = kFastPathMask,
               .expected = kFastPathExpected,
               .max_excess = setup.buffer_bytes - std::uint64_t{1},
               .one_byte_word = pool()->empty_word(format_, setup.port) + 1,
               .iova_delta = pool()->iova_delta() + Mbuf::kHeaderSize + pool()->data_offset()};
}

void IntelRxQueue::set_format(RxFormat format) noexcept {
  constexpr unsigned kShift = 60;  // in MbufAccess::word
  format_ = format;
  for (std::uint64_t* const word : {&copy_word, &header_word, &fast_path.one_byte_word}) {
    *word = (*word & ~(std::uint64_t{0xF} << kShift)) | std::uint64_t{static_cast<std::uint8_t>(format)} << kShift;
  }
}

void IntelRxQueue::drop_long_frames(bool on) noexcept {
  drops_long_frames = on;
  checks_length = keeps_bad_frames || on;
}

void IntelRxQueue::set_borrower(QueueBorrower& borrower) noexcept {
  const std::lock_guard lock(borrower_lock_);
  borrower_ = &borrower;
  observers().forbid(QueueBorrower::kNoObservers);
}

void IntelRxQueue::clear_borrower() noexcept {
  {
    const std::lock_guard lock(borrower_lock_);
    borrower_ = nullptr;
    observers().forbid(nullptr);
  }
  if (open_) open_gate();
}

void IntelRxQueue::detach_borrower() noexcept {
  if (borrower_ != nullptr) borrower_->give_back();
}

Result<void> IntelRxQueue::fill() {
  const std::uint32_t count = mask + 1;
  if (auto filled = take_buffers({slots, count}, cache()); !filled) return filled;
  if (splits_frames()) {
    if (auto filled = take_buffers(headers, splitting.cache); !filled) {
      pool()->put({slots, count});
      std::fill(slot_memory_.begin(), slot_memory_.end(), nullptr);
      return filled;
    }
  }
  arm_all();
  return {};
}

void IntelRxQueue::arm_all() noexcept {
  // Prefetching reads beyond the last slot.
  std::fill(slot_memory_.begin() + mask + 1, slot_memory_.end(), slot_memory_.front());
  next = 0;
  fast_path.expected = kFastPathExpected;
  chain = Chain::none;
  empty_write_backs = 0;
  for (std::uint32_t slot = 0; slot <= mask; ++slot) arm_again(*this, slot);
}

void IntelRxQueue::open() noexcept {
  open_ = true;
  if (borrower_ != nullptr) {
    borrower_->open();
  } else {
    open_gate();
  }
  notify_change();
}

void IntelRxQueue::open_gate() noexcept {
  uncopied = burst_function();
  open_bursts(copying.max_length != 0 ? &rx_burst_copying : uncopied);
}

IntelRxQueue::BurstFunction* IntelRxQueue::burst_function() const noexcept {
  if (splits_frames()) return &rx_burst_splitting;
  if (checks_length) return &rx_burst_keeping;
  const bool remote = tail.is_remote();
  const bool one_delta = pool()->has_one_segment();
  // The SIMD bursts compute addresses with one difference for the whole pool.
  switch (one_delta ? best_of(mode_) : BurstMode::scalar) {
#if defined(__x86_64__)
    case BurstMode::avx512: return rx_burst_avx512(remote);
    case BurstMode::avx2: return rx_burst_avx2(remote);
#elif defined(__aarch64__)
    case BurstMode::neon: return rx_burst_neon(remote);
#endif
    default: return rx_burst_scalar(remote, one_delta);
  }
}

Result<void> IntelRxQueue::close(Clock& clock, Duration limit) {
  open_ = false;
  if (borrower_ != nullptr) {
    if (auto closed = borrower_->close(clock, limit); !closed) return closed;
  }
  return pollux::RxQueueDriver::close(clock, limit);
}

std::uint32_t IntelRxQueue::drain(DrainReason reason, std::span<Mbuf*> kept, std::span<Mbuf*> kept_headers) noexcept {
  if (slots == nullptr || slots[0] == nullptr) return 0;
  const RxDrop why = reason == DrainReason::stopped ? &RxDrops::stopped : &RxDrops::removed;
  const std::uint32_t count = mask + 1;
  bool already_counted = chain == Chain::discarding;
  std::uint32_t bytes = chain_head != nullptr ? chain_head->packet_length() : 0;  // of the frame so far
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t slot = (next + i) & mask;
    const std::uint64_t status = descriptors[slot].hi;
    // Goes on after a slot that is not done: later ones may be. One without a frame has the last store of an earlier
    // write-back to a slot that was armed meanwhile (rx_slow.cpp).
    if (!rx::done(status) || !slot_has_frame(*this, slot)) continue;
    const std::uint64_t low = descriptors[slot].lo;
    const bool is_split = splits_frames() && (low & rx::kSplitHeader) != 0 && (status & rx::kHeaderOverflow) == 0;
    bytes += rx::length(status) + (is_split ? rx::header_length(low) : 0);
    if ((status & rx::kEndOfPacket) == 0) continue;
    const bool has_bad_length = is_bad_length(std::exchange(bytes, 0), status);
    if (keeps_bad_frames && (has_bad_length || (status & rx::kDataError) != 0)) {
      add_to(bad_frame_count, std::uint64_t{1});
    }
    if (!already_counted) count_drop(why);
    already_counted = false;
  }
  // Everything goes to the pool's shared list: the cache belongs to the polling thread.
  const std::uint32_t in_chain = chain_head != nullptr ? MbufAccess::segment_count(*chain_head) : 0;
  MbufDeleter{}(std::exchange(chain_head, nullptr));
  std::copy_n(slots, kept.size(), kept.begin());
  pool()->put({slots + kept.size(), count - kept.size()});
  std::fill(slot_memory_.begin(), slot_memory_.end(), nullptr);
  if (splits_frames()) {
    std::copy_n(headers.begin(), kept_headers.size(), kept_headers.begin());
    splitting.cache->pool().put(std::span(headers).subspan(kept_headers.size()));
    std::fill(headers.begin(), headers.end(), nullptr);
  }
  return count + static_cast<std::uint32_t>(headers.size()) + in_chain;
}

std::optional<RxDescriptorStatus> IntelRxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (slots == nullptr || slots[0] == nullptr || offset > mask) return std::nullopt;
  const std::uint64_t status = io::load_acquire(descriptors[(next + offset) & mask].hi);
  return rx::done(status) ? RxDescriptorStatus::done : RxDescriptorStatus::empty;
}

std::uint64_t IntelRxQueue::bad_frames() const noexcept { return read_counter(bad_frame_count); }

// A borrowed queue is polled through the borrower's gate.
bool IntelRxQueue::is_idle() const {
  const std::lock_guard lock(borrower_lock_);
  return borrower_ != nullptr ? borrower_->is_idle() : gate_.is_idle();
}

// A burst advances `next` before it counts, so its frames are counted for certain only when it has ended. Waits for a
// moment between two bursts. The wait is short, since an empty burst takes nanoseconds. Gives up on a preempted one.
std::optional<std::uint64_t> IntelRxQueue::taken() const {
  constexpr int kMaxPolls = 10'000;
  for (int polls = 0; !is_idle(); ++polls) {
    if (polls == kMaxPolls) return std::nullopt;
    io::relax();
  }
  const bool has_partial_frame = read_counter(chain) != Chain::none;
  return packets() + drops().sum() + (has_partial_frame ? 1 : 0);
}

}  // namespace pollux::drivers::intel
