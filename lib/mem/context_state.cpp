// SPDX-License-Identifier: BSD-3-Clause
#include "mem/context_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {
namespace {

constexpr std::size_t kPoolIds = std::numeric_limits<std::uint8_t>::max();

/// Marks the lowest free number as taken and returns it; `numbers.size()` if all are taken.
std::size_t take_lowest(std::vector<bool>& numbers) {
  const auto free = std::find(numbers.begin(), numbers.end(), false);
  if (free != numbers.end()) *free = true;
  return static_cast<std::size_t>(free - numbers.begin());
}

ContextOptions with_clock(ContextOptions options) {
  if (options.clock == nullptr) options.clock = std::make_shared<SteadyClock>();
  return options;
}

}  // namespace

ContextState::ContextState(ContextOptions options, HugePagePaths paths)
    : options_(with_clock(std::move(options))),
      scheduler_(*options_.clock),
      registry_({.huge_pages = options_.huge_pages,
                 .huge_page_size = options_.huge_page_size,
                 .arena_size = options_.arena_size},
                std::move(paths)),
      pool_ids_(kPoolIds),
      port_indices_(Mbuf::kNoPort) {}

void ContextState::log(LogLevel level, std::string_view message) const {
  if (options_.log) options_.log(level, message);
}

void ContextState::report(const Misuse& misuse) const {
  if (options_.on_misuse) return options_.on_misuse(misuse);
  log(LogLevel::error, fmt::format("{}: {}", to_string(misuse.kind), misuse.what));
}

void ContextState::write_log(const PendingLog& pending) const {
  for (const auto& [level, message] : pending) log(level, message);
}

Result<DmaMemory> ContextState::allocate(const DmaRequest& request) {
  PendingLog pending;
  Result<DmaRegion> region = [&] {
    const std::lock_guard lock(mutex_);
    return registry_.allocate(request, pending);
  }();
  Result<DmaMemory> memory = region ? Result<DmaMemory>(make_memory(*region)) : pass_on(std::move(region));
  write_log(pending);
  return memory;
}

Result<DmaMemory> ContextState::register_memory(std::span<std::byte> bytes) {
  PendingLog pending;
  Result<DmaRegion> region = [&] {
    const std::lock_guard lock(mutex_);
    return registry_.register_memory(bytes, pending);
  }();
  Result<DmaMemory> memory = region ? Result<DmaMemory>(make_memory(*region)) : pass_on(std::move(region));
  write_log(pending);
  return memory;
}

DmaMemory ContextState::make_memory(const DmaRegion& region) {
  DmaMemory memory;
  try {
    memory.segments_ = region.segments;
  } catch (const std::bad_alloc&) {
    release(region.segments);
    throw;
  }
  memory.state_ = shared_from_this();
  memory.page_size_ = region.page_size;
  return memory;
}

void ContextState::release(std::span<const DmaSegment> segments) {
  // A forked child that destroys its copy must not free the parent's memory, nor wait for a lock that a thread of the
  // parent held.
  if (!registry_.arena().is_owner()) return;
  PendingLog pending;
  {
    const std::lock_guard lock(mutex_);
    registry_.release(segments, pending);
  }
  write_log(pending);
}

int ContextState::memory_descriptor(std::size_t page_size) const {
  const std::lock_guard lock(mutex_);
  return registry_.arena().descriptor(page_size);
}

Result<void> ContextState::attach(std::shared_ptr<DmaDomain> domain) {
  PendingLog pending;
  Result<void> attached = [&] {
    const std::lock_guard lock(mutex_);
    return registry_.attach(domain, pending);
  }();
  write_log(pending);
  return attached;
}

void ContextState::detach(const DmaDomain& domain) {
  PendingLog pending;
  std::shared_ptr<DmaDomain> held;  // destroyed after the lock is released: its destructor may call the Context
  {
    const std::lock_guard lock(mutex_);
    held = registry_.detach(domain, pending);
  }
  write_log(pending);
}

std::uint8_t ContextState::take_pool_id() {
  const std::lock_guard lock(mutex_);
  const std::size_t taken = take_lowest(pool_ids_);
  return taken == pool_ids_.size() ? std::uint8_t{0} : static_cast<std::uint8_t>(taken + 1);
}

void ContextState::return_pool_id(std::uint8_t id) {
  const std::lock_guard lock(mutex_);
  if (id != 0) pool_ids_[id - 1U] = false;
}

std::uint16_t ContextState::take_port_index() {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint16_t>(take_lowest(port_indices_));
}

void ContextState::return_port_index(std::uint16_t index) {
  const std::lock_guard lock(mutex_);
  if (index < port_indices_.size()) port_indices_[index] = false;
}

void* ContextState::service_slot(std::type_index type, std::shared_ptr<void> (*make)()) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<void>& slot = services_[type];
  if (slot == nullptr) slot = make();
  return slot.get();
}

ContextState::~ContextState() = default;

void ContextState::adopt(std::unique_ptr<MempoolCore> orphan) {
  const std::lock_guard lock(mutex_);
  orphans_.push_back(std::move(orphan));
}

void ContextState::discard_orphan(MempoolCore& orphan) {
  // Declared before the lock, so the pool is destroyed after it: the pool's destructor frees its memory, which takes
  // the lock, and it may hold the last reference to this object.
  std::unique_ptr<MempoolCore> last;
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(orphans_.begin(), orphans_.end(), [&](const auto& held) { return held.get() == &orphan; });
  if (found == orphans_.end()) return;
  last = std::move(*found);
  orphans_.erase(found);
}

void ContextState::retire() {
  retired_ = true;
  if (!ownership::kChecked) return;
  std::vector<Misuse> leaks;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& orphan : orphans_) {
      if (orphan->owner() == MempoolCore::Owner::port) leaks.push_back(orphan->describe_leak());
    }
  }
  for (const Misuse& leak : leaks) report(leak);
}

}  // namespace pollux
