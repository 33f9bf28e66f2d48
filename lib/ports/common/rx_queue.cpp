// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/rx_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pollux::ports {
namespace {

constexpr Site kSite{"a software port", 0};

}  // namespace

void RxQueue::setup(RxQueueSetup setup) {
  pool_ = std::move(setup.pool);
  cache_owner_ = std::move(setup.cache);
  cache_ = cache_owner_.get();
  empty_word_ = pool_->empty_word(RxFormat::none, setup.port);
  port_ = setup.port & Mbuf::kNoPort;
  room_ = pool_->buffer_size() - pool_->data_offset();
}

void RxQueue::retire() noexcept {
  cache_ = nullptr;
  cache_owner_ = nullptr;
  pool_ = nullptr;
  notify_change();
}

void RxQueue::open() noexcept {
  open_bursts(burst_);
  notify_change();
}

Result<void> RxQueue::close(Clock& clock, Duration limit) {
  auto closed = gate_.close(&idle, clock, limit);
  notify_change();
  return closed;
}

// In this order, because `arm` clears the event first and reads the flag last.
void RxQueue::notify_change() noexcept {
  has_changed_.store(true);
  wake_->raise();
}

bool RxQueue::arm() noexcept {
  if (wake_->descriptor() < 0) return false;
  wake_->clear();
  bool is_quiet = true;  // a queue that is closed receives nothing
  gate_.visit(&idle, [&] { is_quiet = watch(); });
  const bool has_changed = has_changed_.exchange(false);  // last: see notify_change
  if (is_quiet && !has_changed) {
    note_armed();
    return true;
  }
  disarm();
  return false;
}

void RxQueue::disarm() noexcept {
  unwatch();
  wake_->clear();
}

Result<void> RxQueue::use_cache(const MempoolCache& cache) {
  if (pool_ == nullptr || &cache.core()->pool() != pool_.get()) {
    return fail(ErrorCode::invalid_argument, "the cache belongs to another mempool than the receive queue",
                "make the cache from the pool that was given as RxQueueConfig::pool");
  }
  cache_owner_ = cache.core();
  cache_ = cache_owner_.get();
  return {};
}

Mbuf* RxQueue::allocate() noexcept {
  if (cache_->count() == 0) [[unlikely]] {
    cache_->refill(1);
    if (cache_->count() == 0) {
      cache_->count_failure();
      return nullptr;
    }
  }
  Mbuf* const mbuf = *cache_->objects();
  cache_->set_first(cache_->first + 1);
  MbufAccess::set_word(*mbuf, empty_word_);
  MbufAccess::stamp(*mbuf, kSite);
  return mbuf;
}

MbufPtr RxQueue::allocate_chain(std::uint32_t bytes) noexcept {
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

namespace {

// Fills the segments of an empty chain in order, `room` bytes each. `read` copies frame bytes from an offset on.
template <class Read>
void fill(Mbuf& chain, std::uint32_t room, std::uint32_t bytes, Read read) noexcept {
  std::uint32_t done = 0;
  for (Mbuf* segment = &chain; segment != nullptr; segment = segment->next()) {
    const std::uint32_t part = std::min(bytes - done, room);
    read(done, std::span(segment->data(), part));
    MbufAccess::data_length(*segment) = static_cast<std::uint16_t>(part);
    done += part;
  }
  if (chain.next() != nullptr) MbufAccess::packet_length(chain) = bytes;
}

}  // namespace

MbufPtr RxQueue::copy(std::span<const std::uint8_t> bytes) noexcept {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  MbufPtr chain = allocate_chain(length);
  if (chain == nullptr) return chain;
  fill(*chain, room_, length, [&](std::uint32_t offset, std::span<std::uint8_t> out) {
    std::memcpy(out.data(), bytes.data() + offset, out.size());
  });
  return chain;
}

MbufPtr RxQueue::copy(const Mbuf& frame) noexcept {
  const std::uint32_t length = frame.packet_length();
  MbufPtr chain = allocate_chain(length);
  if (chain == nullptr) return chain;
  fill(*chain, room_, length,
       [&](std::uint32_t offset, std::span<std::uint8_t> out) { static_cast<void>(frame.copy_out(offset, out)); });
  MbufAccess::copy_metadata(frame, *chain);
  return chain;
}

void RxQueue::drop(RxDrop why, const std::uint8_t* destination, std::uint32_t bytes) noexcept {
  count_arrival(destination, bytes);
  add_to(counters_.drops[static_cast<std::size_t>(why)], std::uint64_t{1});
}

RxCounters RxQueue::counters() const noexcept {
  RxCounters seen{.packets = read_counter(counters_.packets),
                  .bytes = read_counter(counters_.bytes),
                  .multicast = read_counter(counters_.multicast),
                  .handed_out = read_counter(counters_.handed_out),
                  .errors = read_counter(counters_.errors)};
  for (std::size_t i = 0; i < seen.drops.size(); ++i) seen.drops[i] = read_counter(counters_.drops[i]);
  return seen;
}

}  // namespace pollux::ports
