// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/mempool.hpp"

#include <fmt/format.h>

#include <utility>

#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"
#include "pollux/mem/burst.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kMinDataRoom = 64;
constexpr std::uint32_t kMaxDataRoom = 65280;
constexpr std::uint32_t kMaxHeadroom = 1024;
constexpr std::size_t kSmallPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// A link is a 32-bit distance from the first mbuf in cache lines.
constexpr std::uint64_t kMaxBytes = (std::uint64_t{1} << 32) * 64;

Result<void> check(const MempoolOptions& options) {
  const auto refuse = [&](std::string what, std::string hint) {
    return fail(ErrorCode::invalid_argument, fmt::format("mempool {}: {}", options.name, what), std::move(hint));
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

// The size of a pool depends on the size of its pages, which is only known after an allocation.
Result<DmaMemory> allocate_for(ContextState& context, const MempoolOptions& options) {
  const std::string purpose = "mempool " + options.name;
  const auto allocate = [&](std::size_t page) {
    return context.allocate(
        {.size = MempoolCore::bytes_for(options, page), .numa_node = options.numa_node, .purpose = purpose});
  };
  auto memory = allocate(kHugePage);
  if (!memory || memory->size() >= MempoolCore::bytes_for(options, memory->page_size())) return memory;
  const std::size_t page = memory->page_size();
  *memory = DmaMemory();
  return allocate(page);
}

}  // namespace

Result<std::shared_ptr<MempoolCore>> MempoolCore::create(const std::shared_ptr<ContextState>& context,
                                                         MempoolOptions options, Owner owner) {
  if (auto checked = check(options); !checked) return pass_on(std::move(checked));
  auto memory = allocate_for(*context, options);
  if (!memory) return pass_on(std::move(memory));
  const std::uint8_t id = context->take_pool_id();
  return std::shared_ptr<MempoolCore>(new MempoolCore(context, std::move(options), *std::move(memory), id, owner),
                                      &MempoolCore::retire);
}

Result<Mempool> Mempool::create(Context& context, MempoolOptions options) {
  auto core = MempoolCore::create(context.state(), std::move(options), MempoolCore::Owner::application);
  if (!core) return pass_on(std::move(core));
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
