// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/mempool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <map>
#include <utility>

#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "mem/mempool_title.hpp"
#include "mem/ownership.hpp"
#include "pollux/mem/burst.hpp"

namespace pollux {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::uint64_t kTagStep = std::uint64_t{1} << 32;

constexpr std::uint32_t kMinDataRoom = 64;
constexpr std::uint32_t kMaxDataRoom = 65280;
constexpr std::uint32_t kMaxHeadroom = 1024;
constexpr std::size_t kSmallPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// A link is a 32-bit distance from the first mbuf in cache lines.
constexpr std::uint64_t kMaxBytes = (std::uint64_t{1} << 32) * 64;

Result<void> check(const MempoolOptions& options) {
  const auto refuse = [&](std::string what, std::string hint) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", title_of(options), what), std::move(hint));
  };
  if (options.count == 0) return refuse("count is 0", "ask for at least 1 mbuf");
  if (options.data_room < kMinDataRoom || options.data_room > kMaxDataRoom) {
    return refuse(fmt::format("data_room is {} bytes", options.data_room),
                  fmt::format("choose {} to {}; 2048 holds any standard frame", kMinDataRoom, kMaxDataRoom));
  }
  if (options.headroom > kMaxHeadroom || options.headroom % 2 != 0) {
    return refuse(
        fmt::format("headroom is {} bytes", options.headroom),
        fmt::format("choose an even number up to {} (cards use bit 0 of an address as a flag)", kMaxHeadroom));
  }
  if (options.headroom + options.data_room > kMaxDataRoom) {
    return refuse(fmt::format("headroom and data_room are {} bytes together", options.headroom + options.data_room),
                  fmt::format("keep their sum at or below {}, the limit of 16-bit offsets", kMaxDataRoom));
  }
  if (options.ip_align && options.headroom % 4 != 0) {
    return refuse(fmt::format("headroom is {} bytes and ip_align is on", options.headroom),
                  "choose a multiple of 4, so that 2 more bytes align the IP header");
  }
  if (MempoolCore::bytes_for(options, kSmallPage) > kMaxBytes) {
    return refuse(fmt::format("{} mbufs need more than 256 GiB", options.count), "use several pools");
  }
  return {};
}

// The size of a pool depends on the size of its pages, which is only known after an allocation. It is allocated again
// only in huge pages smaller than kHugePage.
Result<DmaMemory> allocate_for(ContextState& context, const MempoolOptions& options) {
  const std::string purpose = title_of(options);
  const auto allocate = [&](std::size_t page) {
    return context.allocate({.size = MempoolCore::bytes_for(options, page),
                             .numa_node = options.numa_node,
                             .purpose = purpose,
                             .ordinary_size = MempoolCore::bytes_for(options, ordinary_page_size())});
  };
  auto memory = allocate(kHugePage);
  if (!memory || memory->size() >= MempoolCore::bytes_for(options, memory->page_size())) return memory;
  const std::size_t page = memory->page_size();
  *memory = DmaMemory();
  return allocate(page);
}

// A bit for each id that is taken; 0 always is.
std::array<std::atomic<std::uint64_t>, 4> pool_ids{1};

}  // namespace

PoolId::PoolId() noexcept {
  for (std::size_t i = 0; i < pool_ids.size() && value_ == 0; ++i) {
    std::uint64_t taken = pool_ids[i].load(std::memory_order_relaxed);
    while (~taken != 0 && value_ == 0) {
      const auto bit = static_cast<unsigned>(std::countr_one(taken));
      if (pool_ids[i].compare_exchange_weak(taken, taken | std::uint64_t{1} << bit, std::memory_order_relaxed))
        value_ = static_cast<std::uint8_t>(i * 64 + bit);
    }
  }
}

PoolId::~PoolId() {
  if (value_ != 0) pool_ids[value_ / 64].fetch_and(~(std::uint64_t{1} << value_ % 64), std::memory_order_relaxed);
}

MempoolCore::MempoolCore(std::shared_ptr<ContextState> context, MempoolOptions options, DmaMemory memory, Owner owner)
    : context_(std::move(context)), options_(std::move(options)), memory_(std::move(memory)), owner_(owner) {
  lay_out();
}

std::uint32_t MempoolCore::stride(const MempoolOptions& options) noexcept {
  const std::size_t bytes = Mbuf::kHeaderSize + options.headroom + (options.ip_align ? 2 : 0) + options.data_room;
  const std::size_t lines = (bytes + kLine - 1) / kLine;
  return static_cast<std::uint32_t>((lines | 1) * kLine);
}

std::size_t MempoolCore::bytes_for(const MempoolOptions& options, std::size_t page) noexcept {
  const std::size_t step = stride(options);
  if (step > page) return options.count * step;
  const std::size_t per_page = page / step;
  return (options.count + per_page - 1) / per_page * page;
}

void MempoolCore::lay_out() {
  const std::size_t step = stride(options_);
  buffer_size_ = static_cast<std::uint32_t>(step - Mbuf::kHeaderSize);
  lowest_ = memory_.segments().front().address;
  for (const DmaSegment& segment : memory_.segments()) lowest_ = std::min(lowest_, segment.address);
  mbufs_.reserve(options_.count);
  // Prefers buffers that do not cross a page: only bytes of one page are sure to be contiguous in physical memory, and
  // QEMU's cards silently drop a frame that is not (hw/net/net_tx_pkt.c: a fragment is mapped whole or not at all). If
  // there is too little room for that, buffers may cross pages.
  const std::size_t page = memory_.page_size();
  std::size_t in_whole_pages = 0;
  for (const DmaSegment& segment : memory_.segments()) in_whole_pages += segment.size / page * (page / step);
  for (const DmaSegment& segment : memory_.segments()) {
    fill(segment, in_whole_pages >= options_.count ? page : segment.size);
  }
  put(mbufs_);
}

// Puts mbufs into each block of a segment. The unused space of a block precedes its mbufs, and its size varies between
// blocks: otherwise, with one mbuf per block, all headers would fall into the same cache sets.
void MempoolCore::fill(const DmaSegment& segment, std::size_t block) {
  const std::size_t step = stride(options_);
  const std::size_t per_block = block / step;
  const std::size_t spare_lines = (block - per_block * step) / kLine;
  for (std::size_t start = 0; start + block <= segment.size; start += block) {
    std::size_t at = start + start / block % (spare_lines + 1) * kLine;
    for (std::size_t i = 0; i < per_block && mbufs_.size() < options_.count; ++i, at += step) {
      mbufs_.push_back(MbufAccess::construct(segment.address + at, *this, id()));
    }
  }
}

std::uint64_t MempoolCore::iova_delta() const noexcept {
  const DmaSegment& first = memory_.segments().front();
  return first.iova - reinterpret_cast<std::uintptr_t>(first.address);
}

std::uint64_t MempoolCore::buffer_iova(const Mbuf& mbuf) const noexcept {
  const auto* buffer = reinterpret_cast<const std::byte*>(&mbuf) + Mbuf::kHeaderSize;
  return memory_.iova_of(buffer, buffer_size_);
}

std::uint64_t MempoolCore::empty_word(RxFormat format, std::uint16_t port) const noexcept {
  const std::uint64_t origin = std::uint64_t{static_cast<std::uint8_t>(format)} << 12 | (port & Mbuf::kNoPort);
  return std::uint64_t{id()} << MbufAccess::kPoolShift | std::uint64_t{data_offset()} << MbufAccess::kOffsetShift |
         origin << MbufAccess::kOriginShift;
}

std::uint32_t MempoolCore::link_to(const Mbuf& mbuf) const noexcept {
  return static_cast<std::uint32_t>(static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&mbuf) - lowest_) /
                                    kLine) +
         1;
}

Mbuf* MempoolCore::mbuf_at(std::uint32_t link) const noexcept {
  return link == 0 ? nullptr : reinterpret_cast<Mbuf*>(lowest_ + (link - std::size_t{1}) * kLine);
}

std::uint32_t MempoolCore::take(std::span<Mbuf*> mbufs) noexcept {
  std::uint64_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    std::uint32_t count = 0;
    auto link = static_cast<std::uint32_t>(head);
    // Another thread may change these links during the walk. Then the head's tag has changed, the exchange below fails,
    // and the walk starts again.
    while (count < mbufs.size()) {
      Mbuf* const mbuf = mbuf_at(link);
      if (mbuf == nullptr) break;
      mbufs[count++] = mbuf;
      link = MbufAccess::free_link(*mbuf).load(std::memory_order_relaxed);
    }
    if (count == 0) return 0;
    const std::uint64_t next = ((head & ~std::uint64_t{0xFFFFFFFF}) + kTagStep) | link;
    if (head_.compare_exchange_weak(head, next, std::memory_order_acquire, std::memory_order_acquire)) {
      shared_count_.fetch_sub(count, std::memory_order_relaxed);
      return count;
    }
  }
}

Result<void> MempoolCore::take_all(std::span<Mbuf*> mbufs, std::string_view user) {
  const std::uint32_t taken = take(mbufs);
  if (taken == mbufs.size()) return {};
  put(mbufs.first(taken));
  std::fill_n(mbufs.begin(), taken, nullptr);
  count_failure();
  return fail(ErrorCode::no_memory,
              fmt::format("{} has {} mbufs left and {} needs {}", title_of(options_), taken, user, mbufs.size()),
              "make the pool larger (count) or the rings smaller (rx.ring, tx.ring)");
}

void MempoolCore::put(std::span<Mbuf* const> mbufs) noexcept {
  if (mbufs.empty()) return;
  for (std::size_t i = 0; i + 1 < mbufs.size(); ++i) {
    MbufAccess::free_link(*mbufs[i]).store(link_to(*mbufs[i + 1]), std::memory_order_relaxed);
  }
  const std::uint32_t first = link_to(*mbufs.front());
  std::uint64_t head = head_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    MbufAccess::free_link(*mbufs.back()).store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
    next = ((head & ~std::uint64_t{0xFFFFFFFF}) + kTagStep) | first;
  } while (!head_.compare_exchange_weak(head, next, std::memory_order_release, std::memory_order_relaxed));
  const std::uint64_t added = mbufs.size();
  const std::uint64_t all_of_an_orphan = kOrphaned + options_.count;
  // The thread that returns the last mbuf of an orphaned pool destroys it; no other thread may touch the pool after
  // this.
  if (shared_count_.fetch_add(added, std::memory_order_acq_rel) + added == all_of_an_orphan)
    context_->discard_orphan(*this);
}

void MempoolCore::add_cache(MempoolCacheCore& cache) {
  const std::lock_guard lock(caches_mutex_);
  caches_.push_back(&cache);
}

void MempoolCore::remove_cache(MempoolCacheCore& cache) {
  const std::lock_guard lock(caches_mutex_);
  std::erase(caches_, &cache);
}

MempoolStats MempoolCore::stats() const noexcept {
  MempoolStats stats;
  stats.count = options_.count;
  // A thread that has taken mbufs but not yet counted them makes the value too high; one that has returned mbufs but
  // not yet counted them makes it too low.
  const auto in_list = static_cast<std::int64_t>(shared_count_.load(std::memory_order_relaxed));
  stats.shared = static_cast<std::uint32_t>(std::clamp<std::int64_t>(in_list, 0, options_.count));
  stats.allocation_failures = allocation_failures_.load(std::memory_order_relaxed);
  stats.unnamed_drops = unnamed_drops_.load(std::memory_order_relaxed);
  const std::lock_guard lock(caches_mutex_);
  for (const MempoolCacheCore* cache : caches_) {
    stats.cached += cache->count();
    stats.allocation_failures += __atomic_load_n(&cache->allocation_failures, __ATOMIC_RELAXED);
  }
  stats.cached = std::min(stats.cached, stats.count - stats.shared);
  return stats;
}

std::string MempoolCore::describe_missing() const {
  std::map<std::pair<std::string_view, unsigned>, std::uint32_t> locations;
  for (Mbuf* mbuf : mbufs_) {
    if (MbufAccess::owner_state(*mbuf).load(std::memory_order_relaxed) != MbufAccess::kAllocated) continue;
    const Site site = MbufAccess::site(*mbuf);
    ++locations[{site.file, site.line}];
  }
  constexpr std::size_t kShown = 8;
  std::string text;
  std::size_t shown = 0;
  for (const auto& [location, count] : locations) {
    if (shown++ == kShown) {
      text += fmt::format(", and {} more locations", locations.size() - kShown);
      break;
    }
    text += fmt::format("{}{} allocated at {}:{}", text.empty() ? "" : ", ", count, location.first, location.second);
  }
  return text;
}

Misuse MempoolCore::describe_leak() const {
  const std::uint32_t missing =
      options_.count - static_cast<std::uint32_t>(shared_count_.load(std::memory_order_relaxed));
  return {MisuseKind::leak,
          fmt::format("{}: {} mbufs were still allocated when {} was destroyed: {}", title_of(options_), missing,
                      owner_ == Owner::port ? "its Context" : "it", describe_missing())};
}

void MempoolCore::retire(MempoolCore* core) noexcept {
  std::unique_ptr<MempoolCore> pool(core);
  if (!pool->context_->is_own()) return static_cast<void>(pool.release());  // see leave_to_parent
  if (pool->all_free()) return;
  const std::shared_ptr<ContextState> context = pool->context_;
  if (ownership::kChecked && (pool->owner_ == Owner::application || context->is_retired())) {
    context->report(pool->describe_leak());
  }
  // An allocated mbuf may be freed on any thread later, so the pool must last until then.
  MempoolCore& orphan = *pool;
  context->adopt(std::move(pool));
  const std::uint64_t total = orphan.options_.count;
  if (orphan.shared_count_.fetch_add(kOrphaned, std::memory_order_acq_rel) == total) context->discard_orphan(orphan);
}

Result<std::shared_ptr<MempoolCore>> MempoolCore::create(const std::shared_ptr<ContextState>& context,
                                                         MempoolOptions options, Owner owner) {
  if (auto checked = check(options); !checked) return pass_on(std::move(checked));
  auto memory = allocate_for(*context, options);
  if (!memory) return pass_on(std::move(memory));
  return std::shared_ptr<MempoolCore>(new MempoolCore(context, std::move(options), *std::move(memory), owner),
                                      &MempoolCore::retire);
}

Result<Mempool> Mempool::create(Context& context, MempoolOptions options) {
  auto core = MempoolCore::create(context.state(), std::move(options), MempoolCore::Owner::application);
  if (!core) return pass_on(std::move(core));
  context.state()->add_pool(*core);
  return Mempool(*std::move(core));
}

MbufPtr Mempool::allocate([[maybe_unused]] Site site) noexcept {
  Mbuf* mbuf[1];
  if (core_->take(mbuf) == 0) {
    core_->count_failure();
    return {};
  }
  MbufAccess::set_word(*mbuf[0], core_->empty_word(RxFormat::none, Mbuf::kNoPort));
  MbufAccess::stamp(*mbuf[0], site);
  return MbufPtr(mbuf[0]);
}

MempoolStats Mempool::stats() const noexcept { return core_->stats(); }

const MempoolOptions& Mempool::options() const noexcept { return core_->options(); }

void MbufDeleter::operator()(Mbuf* mbuf) const noexcept {
  while (mbuf != nullptr) {
    Mbuf* const following = mbuf->next();
    if (!ownership::kChecked || ownership::mark_free(*mbuf)) free_segment_shared(*mbuf);
    mbuf = following;
  }
}

void drop_unnamed(std::span<Mbuf* const> mbufs) noexcept {
  for (Mbuf* mbuf : mbufs) {
    MbufAccess::pool(*mbuf).count_unnamed_drop();
    MbufDeleter{}(mbuf);
  }
}

}  // namespace pollux
