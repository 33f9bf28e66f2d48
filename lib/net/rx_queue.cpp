// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/rx_queue.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "mem/mempool_core.hpp"
#include "net/queue_event.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux {
namespace {

constexpr Site kSite{"a receive queue", 0};

template <class Drops, class Names>
std::uint64_t sum_of(const Drops& drops, const Names& names) noexcept {
  std::uint64_t sum = 0;
  for (const auto& [why, name] : names) sum += drops.*why;
  return sum;
}

// Fills the segments of an empty chain in order, `room` bytes each. `write(part)` gets the next part of the frame.
template <class Write>
void fill(Mbuf& chain, std::uint32_t room, std::uint32_t bytes, Write write) noexcept {
  std::uint32_t left = bytes;
  for (Mbuf* segment = &chain; segment != nullptr; segment = segment->next()) {
    const std::uint32_t part = std::min(left, room);
    write(std::span(segment->data(), part));
    MbufAccess::data_length(*segment) = static_cast<std::uint16_t>(part);
    left -= part;
  }
  if (chain.next() != nullptr) MbufAccess::packet_length(chain) = bytes;
}

}  // namespace

std::uint64_t RxDrops::sum() const noexcept { return sum_of(*this, kRxDrops); }

std::uint64_t TxDrops::sum() const noexcept { return sum_of(*this, kTxDrops); }

RxQueue::RxQueue(BurstFunction* burst, const RxFilter* filter, std::shared_ptr<QueueEvent> event) noexcept
    : burst_(burst), filter_(filter), event_(std::move(event)), gate_(&idle) {}

RxQueue::~RxQueue() = default;

RxQueueDriver::RxQueueDriver(BurstFunction* burst, const RxFilter* filter, std::shared_ptr<QueueEvent> event) noexcept
    : RxQueue(burst, filter, std::move(event)) {}

void RxQueueDriver::allow_sleeping(int source) { event_ = std::make_shared<QueueEvent>(source); }

void RxQueueDriver::wake() noexcept {
  if (event_ != nullptr) event_->raise();
}

void RxQueueDriver::set_up(std::shared_ptr<MempoolCore> pool, std::shared_ptr<MempoolCacheCore> cache,
                           std::uint16_t port) noexcept {
  pool_ = std::move(pool);
  cache_owner_ = std::move(cache);
  cache_ = cache_owner_.get();
  empty_word_ = pool_->empty_word(RxFormat::none, port);
  port_ = port & Mbuf::kNoPort;
  room_ = pool_->buffer_size() - pool_->data_offset();
}

void RxQueueDriver::retire() noexcept {
  cache_ = nullptr;
  cache_owner_ = nullptr;
  pool_ = nullptr;
  notify_change();
}

void RxQueueDriver::open() noexcept {
  open_bursts(burst_);
  notify_change();
}

Result<void> RxQueueDriver::close(Clock& clock, Duration limit) {
  auto closed = gate_.close(&idle, clock, limit);
  notify_change();
  return closed;
}

// In this order, because `arm` clears the event first and reads the flag last.
void RxQueueDriver::notify_change() noexcept {
  has_changed_.store(true);
  wake();
}

int RxQueueDriver::event_fd() const { return event_ != nullptr ? event_->descriptor() : -1; }

bool RxQueueDriver::arm() noexcept {
  if (event_fd() < 0) return false;
  event_->clear();
  bool is_quiet = false;
  if (!gate_.visit(&idle, [&] { is_quiet = watch(); })) is_quiet = watch_closed();
  const bool has_changed = has_changed_.exchange(false);  // last: see notify_change
  if (is_quiet && !has_changed) {
    note_armed();
    return true;
  }
  disarm();
  return false;
}

void RxQueueDriver::disarm() noexcept {
  if (event_ == nullptr) return;
  unwatch();
  event_->clear();
}

Result<void> RxQueueDriver::use_cache(const MempoolCache& cache) {
  if (pool_ == nullptr || &cache.core()->pool() != pool_.get()) {
    return fail(ErrorCode::invalid_argument, "the cache belongs to another mempool than the receive queue",
                "make the cache from the pool that was given as RxQueueConfig::pool");
  }
  cache_owner_ = cache.core();
  cache_ = cache_owner_.get();
  return {};
}

std::optional<RxDescriptorStatus> RxQueueDriver::descriptor_status(std::uint32_t) const noexcept {
  return std::nullopt;
}

Mbuf* RxQueueDriver::allocate() noexcept {
  if (!cache_->has_one()) return nullptr;
  Mbuf& mbuf = cache_->pop();
  MbufAccess::set_word(mbuf, empty_word_);
  MbufAccess::stamp(mbuf, kSite);
  return &mbuf;
}

MbufPtr RxQueueDriver::allocate_chain(std::uint32_t bytes) noexcept {
  MbufPtr chain(allocate());
  if (chain == nullptr) return chain;
  for (std::uint64_t room = room_; room < bytes; room += room_) {
    MbufPtr more(allocate());
    if (more == nullptr || !chain->chain(more)) {
      if (more != nullptr) cache_->free(*more.release());
      cache_->free(*chain.release());
      return {};
    }
  }
  return chain;
}

MbufPtr RxQueueDriver::copy(std::span<const std::uint8_t> bytes) noexcept {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  MbufPtr own = allocate_chain(length);
  if (own == nullptr) return own;
  const std::uint8_t* from = bytes.data();
  fill(*own, room_, length, [&](std::span<std::uint8_t> part) {
    std::memcpy(part.data(), from, part.size());
    from += part.size();
  });
  return own;
}

MbufPtr RxQueueDriver::copy(const Mbuf& frame) noexcept {
  const std::uint32_t length = frame.packet_length();
  MbufPtr own = allocate_chain(length);
  if (own == nullptr) return own;
  std::uint32_t offset = 0;
  fill(*own, room_, length, [&](std::span<std::uint8_t> part) {
    static_cast<void>(frame.copy_out(offset, part));
    offset += static_cast<std::uint32_t>(part.size());
  });
  MbufAccess::copy_metadata(frame, *own);
  return own;
}

void RxQueueDriver::give_back(Mbuf& frame) noexcept { cache_->free(frame); }

void RxQueueDriver::drop(RxDrop why, const std::uint8_t* destination, std::uint32_t bytes) noexcept {
  count_arrival(destination, bytes);
  count_drop(why);
}

RxDrops RxQueueDriver::drops() const noexcept {
  RxDrops seen;
  for (const auto& [why, name] : kRxDrops) seen.*why = read_counter(drops_.*why);
  return seen;
}

RxArrivals RxQueueDriver::arrivals() const noexcept {
  return {.packets = read_counter(arrivals_.packets),
          .bytes = read_counter(arrivals_.bytes),
          .multicast = read_counter(arrivals_.multicast),
          .errors = read_counter(arrivals_.errors)};
}

Result<bool> sleep_until_frames(Clock& clock, RxQueue& queue, Time until, unsigned& refusals) {
  const Time now = clock.now();
  if (now >= until) return false;
  std::array waiting{pollfd{queue.event_fd(), POLLIN, 0}};
  if (waiting[0].fd < 0) {
    return fail(ErrorCode::not_supported, "rx_burst_wait: the queue has no descriptor to wait for",
                "poll it with rx_burst; or raise the limit of open files (ulimit -n) if it was reached");
  }
  if (!queue.arm()) {
    // Usually a frame has come since the burst. If it waits for a free mbuf, time must pass, also on a ManualClock.
    if (++refusals > 1) clock.sleep_for(std::min(Clock::kWaitStep, until - now));
    return true;
  }
  refusals = 0;
  const auto ready = clock.wait(waiting, until);
  queue.disarm();
  if (!ready) return tl::unexpected<Error>(ready.error());
  return true;
}

}  // namespace pollux
