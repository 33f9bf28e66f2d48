// SPDX-License-Identifier: BSD-3-Clause
#include "explorer/state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace pollux::test {
namespace {

template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

State::State(const Scenario& scenario) : scenario_(scenario) {
  value_of(fixture_.context().attach(domain_));
  make_pool();
  set_up_queues();
  list_regions();
  start_.resize(saved_bytes_);
  save(start_.data());
  check();
}

// Restores the start, in which the card does nothing, so that all buffers can be freed.
State::~State() {
  restore(start_.data());
  if (rx_ != nullptr) rx_->drain();
  if (tx_ != nullptr) tx_->drain();
}

void State::make_pool() {
  const std::uint32_t count = scenario_.spare + (scenario_.rx ? kRing : 0);
  if (count > kMaxBuffers) throw std::runtime_error("too many buffers");
  pool_.emplace(fixture_.pool({.count = count, .data_room = 64, .headroom = 0, .name = "explored"}));
  cache_.emplace(*pool_);
  // Smaller than the smallest cache that can be created, so that the shared list is used often.
  cache_->core()->capacity = scenario_.cache;
  cache_->core()->reserved = MempoolCacheCore::kSlots - MempoolCacheCore::kSlack - scenario_.cache;
  MempoolCore& core = *pool_->core();
  for (std::uint32_t i = 0; i < count; ++i) buffers_.push_back(&core.at(i));
  std::sort(buffers_.begin(), buffers_.end());
  buffer_stride_ = MempoolCore::stride(core.options());
  headroom_ = core.data_offset();
  pool_in_ = private_members_of(core);
}

void State::set_up_queues() {
  ring_memory_ = value_of(fixture_.context().allocate({.size = 2 * kRing * sizeof(Descriptor), .purpose = "rings"}));
  rx_ring_ = reinterpret_cast<Descriptor*>(ring_memory_.segments()[0].address);
  tx_ring_ = rx_ring_ + kRing;
  const auto tail = [this](std::optional<TailWindow>& window, Tail& value) {
    if (!scenario_.remote) return Doorbell(Bar(reinterpret_cast<volatile std::uint8_t*>(&value.visible), 4), 0);
    return Doorbell(Bar(window.emplace(value), 4), 0);
  };
  if (scenario_.rx) {
    rx_ = std::make_unique<drivers::intel::IntelRxQueue>();
    rx_->setup({.ring = rx_ring_,
                .size = kRing,
                .buffer_bytes = kFirstBytes,
                .tail = tail(rdt_window_, own_.rdt),
                .pool = pool_->core(),
                .cache = cache_->core(),
                .port = 1});
    value_of(rx_->fill());
    rx_->open();
    rx_in_ = private_members_of(*rx_);
    own_.rdt.visible = rx_->first_tail();
  }
  if (scenario_.tx) {
    tx_ = std::make_unique<drivers::intel::IntelTxQueue>();
    tx_->setup({.ring = tx_ring_,
                .size = kRing,
                .max_frame = 200,
                .tail = tail(tdt_window_, own_.tdt),
                .cache = cache_->core(),
                .context = fixture_.context().state()});
    tx_->open();
    tx_in_ = private_members_of(*tx_);
  }
}

// Lists the memory that a step can change. Members in between that do not change (pointers to rings and owners) are
// included.
void State::list_regions() {
  const auto add = [this](void* at, std::size_t size) {
    regions_.push_back({static_cast<std::byte*>(at), size});
    saved_bytes_ += size;
  };
  add(&own_, sizeof own_);
  add(rx_ring_, 2 * kRing * sizeof(Descriptor));
  if (rx_ != nullptr) {
    add(rx_.get(), sizeof *rx_);
    add(rx_in_.slots, kRing * sizeof(Mbuf*));
  }
  if (tx_ != nullptr) {
    // Without the report slots of groups that a small ring does not have.
    const auto upto = reinterpret_cast<std::byte*>(tx_in_.report_slot + TxPrivateMembers::kGroups);
    add(tx_.get(), static_cast<std::size_t>(upto - reinterpret_cast<std::byte*>(tx_.get())));
    add(tx_in_.contents, TxPrivateMembers::kGroups);
    add(tx_in_.drops, sizeof *tx_in_.drops);
    add(tx_in_.contexts, sizeof *tx_in_.contexts);
    add(tx_in_.slots, kRing * sizeof(Mbuf*));
  }
  MempoolCacheCore& cache = *cache_->core();
  add(&cache.first, sizeof cache.first);
  add(&cache.allocation_failures, sizeof cache.allocation_failures);
  add(cache.mbufs.data() + MempoolCacheCore::kSlots - kMaxBuffers, kMaxBuffers * sizeof(Mbuf*));
  add(pool_in_.head, sizeof *pool_in_.head);
  add(pool_in_.shared_count, sizeof *pool_in_.shared_count);
  add(pool_in_.failures, sizeof *pool_in_.failures);
  // Of each buffer, only the word that identifies its content.
  for (Mbuf* buffer : buffers_) add(buffer, Mbuf::kHeaderSize + headroom_ + sizeof(std::uint64_t));
}

void State::save(std::byte* to) const {
  for (const Region& region : regions_) {
    std::memcpy(to, region.at, region.size);
    to += region.size;
  }
}

void State::restore(const std::byte* from) {
  for (const Region& region : regions_) {
    std::memcpy(region.at, from, region.size);
    from += region.size;
  }
}

void State::violate(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

std::uint32_t State::index_of(const Mbuf* mbuf) const {
  const auto distance = reinterpret_cast<const std::byte*>(mbuf) - reinterpret_cast<const std::byte*>(buffers_[0]);
  const auto index = static_cast<std::size_t>(distance) / buffer_stride_;
  return index < buffers_.size() && buffers_[index] == mbuf ? static_cast<std::uint32_t>(index) : kMaxBuffers;
}

Mbuf* State::buffer_at(const std::byte* address) const {
  const std::uint32_t index = index_of(reinterpret_cast<const Mbuf*>(address));
  return index == kMaxBuffers ? nullptr : buffers_[index];
}

// Whether `iova` is where a frame starts in one of the buffers.
bool State::is_buffer(std::uint64_t iova) const {
  const std::uint64_t first = pool_->core()->buffer_iova(*buffers_[0]) + headroom_;
  return iova >= first && (iova - first) % buffer_stride_ == 0 && (iova - first) / buffer_stride_ < buffers_.size();
}

// The content of the buffer at `iova`, for which is_buffer() is true.
std::uint64_t* State::content_at(std::uint64_t iova) const {
  const std::uint64_t first = pool_->core()->buffer_iova(*buffers_[0]) + headroom_;
  Mbuf& mbuf = *buffers_[(iova - first) / buffer_stride_];
  return reinterpret_cast<std::uint64_t*>(mbuf.head() + headroom_);
}

std::uint32_t State::wraps() const {
  const auto rx = static_cast<std::uint32_t>(own_.slots_polled / kRing);
  const std::uint32_t tx = tx_ == nullptr ? 0 : tx_in_.next->value() / kRing;
  if (!scenario_.rx) return tx;
  return scenario_.tx ? std::min(rx, tx) : rx;
}

void State::take(Step step) {
  if (step <= Step::rx_store_status_again) {
    step_receiver(step);
  } else if (step >= Step::tx_see_tail) {
    step_sender(step);
  } else {
    step_application(step);
  }
  check();
}

}  // namespace pollux::test
