// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "mem/mempool_core.hpp"
#include "pollux/device/model_dma.hpp"

namespace pollux::sim {

/// Sees that a card touches no buffer that is free, and nothing outside a buffer of the pool: refuses such accesses and
/// notes them. For one thread and small pools: each access of a frame's bytes looks at every free mbuf.
class BufferWatch final : public DmaInterceptor {
 public:
  /// `caches` are all that hold mbufs of `pool`. `next`, if there is one, gets what is allowed.
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
      ++looked_at_;
      if (std::string complaint = complain(iova, length); !complaint.empty()) {
        violations_.push_back(fmt::format("{} of {} bytes at {:#x} for queue {}: {}",
                                          what == ModelAccess::payload_read ? "read" : "write", length, iova, queue,
                                          complaint));
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
  /// Accesses that were looked at.
  [[nodiscard]] std::uint64_t looked_at() const noexcept { return looked_at_; }
  [[nodiscard]] bool is_free(const Mbuf& mbuf) {
    for (const MempoolCache* cache : caches_) {
      MempoolCacheCore& objects = *cache->core();
      if (std::find(objects.objects(), objects.objects() + objects.count(), &mbuf) !=
          objects.objects() + objects.count()) {
        return true;
      }
    }
    // Taken and put back, the list is what it was.
    std::vector<Mbuf*> shared(core_->options().count);
    shared.resize(core_->take(shared));
    core_->put(shared);
    return std::find(shared.begin(), shared.end(), &mbuf) != shared.end();
  }

 private:
  [[nodiscard]] std::string complain(std::uint64_t iova, std::size_t length) {
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
  std::uint64_t looked_at_ = 0;
};

}  // namespace pollux::sim
