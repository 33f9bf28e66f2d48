// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "mem/mempool_core.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::sim {

/// Checks that a card accesses neither free buffers nor memory outside the pool's buffers. Rejects and records such
/// accesses. For one thread and small pools, because each access to a frame's bytes searches all free mbufs.
class BufferWatch final : public DmaInterceptor {
 public:
  /// `caches` must be all caches with mbufs of `pool`. Allowed accesses are passed to `next`, if it is set.
  explicit BufferWatch(const Mempool& pool, std::vector<const MempoolCache*> caches, DmaInterceptor* next = nullptr)
      : core_(pool.core()), caches_(std::move(caches)), next_(next) {
    for (std::uint32_t i = 0; i < core_->options().count; ++i) {
      const Mbuf& mbuf = core_->at(i);
      buffers_.emplace(core_->buffer_iova(mbuf), &mbuf);
    }
  }

  [[nodiscard]] bool allow(ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                           std::size_t length) noexcept override {
    if (what == ModelAccess::payload_read || what == ModelAccess::payload_write) {
      ++checked_;
      if (std::string violation = check(iova, length); !violation.empty()) {
        violations_.push_back(fmt::format("{} of {} bytes at {:#x} for queue {}: {}",
                                          what == ModelAccess::payload_read ? "read" : "write", length, iova, queue,
                                          violation));
        return false;
      }
    }
    return next_ == nullptr || next_->allow(what, queue, iova, length);
  }
  void write(ModelDma& memory, const ModelWrite& write) noexcept override {
    next_ == nullptr ? static_cast<void>(memory.store(write)) : next_->write(memory, write);
  }
  void advance(ModelDma& memory, Duration now) noexcept override {
    if (next_ != nullptr) next_->advance(memory, now);
  }

  [[nodiscard]] const std::vector<std::string>& violations() const noexcept { return violations_; }
  /// Number of accesses that were checked.
  [[nodiscard]] std::uint64_t checked() const noexcept { return checked_; }
  [[nodiscard]] bool is_free(const Mbuf& mbuf) {
    for (const MempoolCache* cache : caches_) {
      MempoolCacheCore& objects = *cache->core();
      if (std::find(objects.objects(), objects.objects() + objects.count(), &mbuf) !=
          objects.objects() + objects.count()) {
        return true;
      }
    }
    // Take all mbufs and put them back, which does not change the list.
    std::vector<Mbuf*> shared(core_->options().count);
    shared.resize(core_->take(shared));
    core_->put(shared);
    return std::find(shared.begin(), shared.end(), &mbuf) != shared.end();
  }

 private:
  /// The violation of an access; empty if it is allowed.
  [[nodiscard]] std::string check(std::uint64_t iova, std::size_t length) {
    auto after = buffers_.upper_bound(iova);
    if (after == buffers_.begin()) return "outside the pool";
    const auto [start, mbuf] = *std::prev(after);
    if (iova - start + length > core_->buffer_size()) return "outside a buffer";
    return is_free(*mbuf) ? "the buffer is free" : std::string();
  }

  std::shared_ptr<MempoolCore> core_;
  std::vector<const MempoolCache*> caches_;
  DmaInterceptor* next_;
  std::map<std::uint64_t, const Mbuf*> buffers_;
  std::vector<std::string> violations_;
  std::uint64_t checked_ = 0;
};

}  // namespace pollux::sim
