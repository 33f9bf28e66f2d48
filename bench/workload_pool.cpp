// SPDX-License-Identifier: BSD-3-Clause
// Allocates and frees bursts of mbufs through a thread's cache.
#include <array>

#include "do_not_optimize.hpp"
#include "fixture.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class AllocFree final : public Workload {
 public:
  explicit AllocFree(const Setup& setup)
      : Workload(setup.frames(), 1),
        context_(logging_options()),
        pool_(need(Mempool::create(context_, {.count = setup.pool}))),
        cache_(pool_, MempoolCache::kMaxCapacity),
        burst_(setup.burst) {}
  void prepare() override {}
  void run() override {
    std::array<Mbuf*, Setup::kMaxBurst> mbufs{};
    for (std::uint32_t done = 0; done < operations(); done += burst_) {
      if (!cache_.allocate_bulk({mbufs.data(), burst_})) give_up("the pool is exhausted");
      do_not_optimize(mbufs.data());
      cache_.free_bulk({mbufs.data(), burst_});
    }
  }

 private:
  Context context_;
  Mempool pool_;
  MempoolCache cache_;
  std::uint32_t burst_;
};

}  // namespace

std::unique_ptr<Workload> alloc_free(const Setup& setup) { return std::make_unique<AllocFree>(setup); }

}  // namespace pollux::bench
