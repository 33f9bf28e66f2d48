// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstring>
#include <utility>

#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kNoKey = 0xFFFFFFFF;  // wider than any key, so it matches none
constexpr std::uint32_t kMinCapacity = 64;

std::uint32_t choose_capacity(const MempoolCore& pool, std::uint32_t wanted) {
  if (wanted == 0) wanted = pool.options().count / 8;
  return std::clamp(wanted, kMinCapacity, MempoolCache::kMaxCapacity);
}

}  // namespace

MempoolCacheCore::MempoolCacheCore(std::shared_ptr<MempoolCore> pool, std::uint32_t wanted)
    : pool_owner_(std::move(pool)) {
  capacity = choose_capacity(*pool_owner_, wanted);
  reserved = kSlots - kSlack - capacity;
  direct_key = pool_owner_->id() == 0 ? kNoKey : pool_owner_->id();
  empty_word = pool_owner_->empty_word(RxFormat::none, Mbuf::kNoPort);
  data_room = pool_owner_->options().data_room;
  pool_owner_->add_cache(*this);
}

MempoolCacheCore::~MempoolCacheCore() {
  if (!pool_owner_->context().is_own()) return;
  pool_owner_->remove_cache(*this);
  pool_owner_->put({objects(), count()});
  pool_owner_->count_failures(allocation_failures);
}

void MempoolCacheCore::refill(std::uint32_t wanted) noexcept {
  const std::uint32_t missing = wanted > count() ? wanted - count() : 0;
  const std::uint32_t batch = std::min(std::max(missing, capacity / 4), first);
  // If the pool had fewer than `batch`, close the gap in front of the objects.
  Mbuf** const to = objects() - batch;
  const std::uint32_t taken = pool_owner_->take({to, batch});
  if (taken != batch) std::memmove(objects() - taken, to, taken * sizeof(Mbuf*));
  set_first(first - taken);
}

void MempoolCacheCore::flush() noexcept {
  // Keeps at most half of the capacity and returns all other objects, however many: after a refill for one large burst,
  // the cache may hold far more than its capacity.
  const std::uint32_t kept = std::min(count(), capacity / 2);
  pool_owner_->put({objects() + kept, count() - kept});
  std::memmove(mbufs.data() + kSlots - kept, objects(), kept * sizeof(Mbuf*));
  set_first(kSlots - kept);
}

void MempoolCacheCore::free_segment(Mbuf& segment) noexcept {
  if (&MbufAccess::pool(segment) != pool_owner_.get()) return free_segment_shared(segment);
  if (MbufAccess::unlink(segment)) [[likely]] {
    make_room(1);
    return push(segment);
  }
  Mbuf* const root = MbufAccess::root(segment);
  if (MbufAccess::detach(segment)) {
    make_room(1);
    push(segment);
  }
  if (root != nullptr && MbufAccess::unref_root(*root)) {
    Mbuf* const freed[] = {root};
    MbufAccess::pool(*root).put(freed);
  }
}

void MempoolCacheCore::free(Mbuf& frame) noexcept {
  for (Mbuf* segment = &frame; segment != nullptr;) {
    Mbuf* const following = segment->next();
    if (!ownership::kChecked || ownership::mark_free(*segment)) free_segment(*segment);
    segment = following;
  }
}

void free_segment_shared(Mbuf& segment) noexcept {
  Mbuf* const root = MbufAccess::root(segment);
  Mbuf* freed[] = {&segment};
  if (MbufAccess::detach(segment)) MbufAccess::pool(segment).put(freed);
  freed[0] = root;
  if (root != nullptr && MbufAccess::unref_root(*root)) MbufAccess::pool(*root).put(freed);
}

MempoolCache::MempoolCache(const Mempool& pool, std::uint32_t capacity)
    : core_(std::make_shared<MempoolCacheCore>(pool.core(), capacity)), objects_(core_.get()) {}

bool MempoolCache::refill(std::size_t wanted) noexcept {
  if (wanted <= kMaxCapacity) core_->refill(static_cast<std::uint32_t>(wanted));
  if (core_->count() >= wanted) return true;
  core_->count_failure();
  return false;
}

MbufPtr MempoolCache::allocate(Site site) noexcept {
  Mbuf* mbuf[1];
  return allocate_bulk(mbuf, site) ? MbufPtr(mbuf[0]) : MbufPtr();
}

void MempoolCache::free(MbufPtr mbuf, [[maybe_unused]] Site site) noexcept {
  Mbuf* const owned[] = {mbuf.release()};
  if (owned[0] != nullptr) free_bulk(owned, site);
}

void MempoolCache::free_slow(std::span<Mbuf* const> mbufs, Site site) noexcept {
  while (!mbufs.empty()) {
    const std::size_t group = std::min<std::size_t>(mbufs.size(), MempoolCacheCore::kSlack);
    core_->free_group(mbufs.last(group), site);
    mbufs = mbufs.first(mbufs.size() - group);
  }
}

void MempoolCacheCore::free_group(std::span<Mbuf* const> group, Site site) noexcept {
  make_room(static_cast<std::uint32_t>(group.size()));
  for (std::size_t left = take_direct(group, site); left != 0; --left) free(*group[left - 1]);
}

// Frees mbufs from the end of `group`, and stops at the first that is not a direct, single-segment mbuf of this pool.
// Returns how many are left. The last of them needs the slow path.
std::size_t MempoolCacheCore::take_direct(std::span<Mbuf* const> group, Site site) noexcept {
  std::size_t left = group.size();
  for (; left != 0 && is_direct(*group[left - 1]); --left) {
    if (ownership::kChecked && !ownership::mark_free(*group[left - 1], site)) continue;
    push(*group[left - 1]);
  }
  return left;
}

}  // namespace pollux
