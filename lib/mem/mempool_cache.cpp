// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstring>
#include <utility>

#include "mem/custody.hpp"
#include "mem/mempool_core.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kNoKey = 0xFFFFFFFF;  // wider than any key
constexpr std::uint32_t kMinCapacity = 64;

std::uint32_t choose_capacity(const MempoolCore& pool, std::uint32_t wanted) {
  if (wanted == 0) wanted = pool.options().count / 8;
  return std::clamp(wanted, kMinCapacity, MempoolCache::kMaxCapacity);
}

// Reads what decides whether an mbuf is plain: `special` above its pool's id.
std::uint32_t key_of(const Mbuf& mbuf) noexcept {
  return static_cast<std::uint16_t>(MbufAccess::word(mbuf) >> MbufAccess::kPoolShift);
}

}  // namespace

MempoolCacheCore::MempoolCacheCore(std::shared_ptr<MempoolCore> pool, std::uint32_t wanted)
    : capacity(choose_capacity(*pool, wanted)),
      empty_word(pool->empty_word(RxFormat::none, Mbuf::kNoPort)),
      plain_key(pool->id() == 0 ? kNoKey : pool->id()),
      pool_owner_(std::move(pool)) {
  pool_owner_->enroll(*this);
}

MempoolCacheCore::~MempoolCacheCore() {
  pool_owner_->withdraw(*this);
  pool_owner_->put({mbufs.data(), count});
  pool_owner_->count_failures(allocation_failures);
}

void MempoolCacheCore::refill(std::uint32_t wanted) noexcept {
  const std::uint32_t batch = std::max(wanted > count ? wanted - count : 0U, capacity / 4);
  const std::uint32_t room = static_cast<std::uint32_t>(mbufs.size()) - count;
  set_count(count + pool_owner_->take({mbufs.data() + count, std::min(batch, room)}));
}

void MempoolCacheCore::spill() noexcept {
  // A refill for one large burst may have brought far more than the capacity: all above half of it goes.
  const std::uint32_t kept = std::min(count, capacity / 2);
  const std::uint32_t given = count - kept;
  pool_owner_->put({mbufs.data(), given});
  std::memmove(mbufs.data(), mbufs.data() + given, kept * sizeof(Mbuf*));
  set_count(kept);
}

void MempoolCacheCore::free_segment(Mbuf& segment) noexcept {
  if (&MbufAccess::pool(segment) != pool_owner_.get()) return free_segment_shared(segment);
  Mbuf* const root = MbufAccess::root(segment);
  if (MbufAccess::let_go(segment)) {
    make_room(1);
    mbufs[count] = &segment;
    set_count(count + 1);
  }
  if (root != nullptr && MbufAccess::let_go_root(*root)) {
    Mbuf* const home[] = {root};
    MbufAccess::pool(*root).put(home);
  }
}

void MempoolCacheCore::free(Mbuf& frame) noexcept {
  for (Mbuf* segment = &frame; segment != nullptr;) {
    Mbuf* const following = segment->next();
    if (!custody::kTraced || custody::give_back(*segment)) free_segment(*segment);
    segment = following;
  }
}

void free_segment_shared(Mbuf& segment) noexcept {
  Mbuf* const root = MbufAccess::root(segment);
  Mbuf* home[] = {&segment};
  if (MbufAccess::let_go(segment)) MbufAccess::pool(segment).put(home);
  home[0] = root;
  if (root != nullptr && MbufAccess::let_go_root(*root)) MbufAccess::pool(*root).put(home);
}

MempoolCache::MempoolCache(const Mempool& pool, std::uint32_t capacity)
    : core_(std::make_shared<MempoolCacheCore>(pool.core(), capacity)) {}

bool MempoolCache::allocate_bulk(std::span<Mbuf*> mbufs, [[maybe_unused]] Site site) noexcept {
  MempoolCacheCore& cache = *core_;
  const auto wanted = static_cast<std::uint32_t>(mbufs.size());
  if (cache.count < wanted) [[unlikely]] {
    if (wanted <= kMaxCapacity) cache.refill(wanted);
    if (cache.count < wanted) {
      cache.count_failure();
      return false;
    }
  }
  Mbuf* const* top = cache.mbufs.data() + cache.count;
  const std::uint64_t word = cache.empty_word;
  for (Mbuf*& mbuf : mbufs) {
    mbuf = *--top;
    MbufAccess::set_word(*mbuf, word);
    MbufAccess::stamp(*mbuf, site);
  }
  cache.set_count(cache.count - wanted);
  return true;
}

MbufPtr MempoolCache::allocate(Site site) noexcept {
  Mbuf* mbuf[1];
  return allocate_bulk(mbuf, site) ? MbufPtr(mbuf[0]) : MbufPtr();
}

void MempoolCache::free(MbufPtr mbuf, [[maybe_unused]] Site site) noexcept {
  Mbuf* const owned[] = {mbuf.release()};
  if (owned[0] != nullptr) free_bulk(owned, site);
}

void MempoolCache::free_bulk(std::span<Mbuf* const> mbufs, Site site) noexcept {
  MempoolCacheCore& cache = *core_;
  while (!mbufs.empty()) {
    const std::size_t group = std::min<std::size_t>(mbufs.size(), MempoolCacheCore::kSlack);
    cache.free_group(mbufs.first(group), site);
    mbufs = mbufs.subspan(group);
  }
}

void MempoolCacheCore::free_group(std::span<Mbuf* const> group, [[maybe_unused]] Site site) noexcept {
  make_room(static_cast<std::uint32_t>(group.size()));
  Mbuf** top = mbufs.data() + count;
  std::size_t done = 0;
  // Plain mbufs of this pool, the usual case, only change hands.
  for (; done < group.size() && key_of(*group[done]) == plain_key; ++done) {
    if (!custody::kTraced || custody::give_back(*group[done], site)) *top++ = group[done];
  }
  set_count(static_cast<std::uint32_t>(top - mbufs.data()));
  for (; done < group.size(); ++done) free(*group[done]);
}

}  // namespace pollux
