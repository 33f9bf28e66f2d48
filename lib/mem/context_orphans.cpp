// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"

namespace pollux {

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
