// SPDX-License-Identifier: BSD-3-Clause
// What a program does with mbufs alone: it allocates and frees bursts of them through a thread's cache, and appends.
#include <array>
#include <cstring>
#include <span>

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

// Allocates bursts of mbufs with room for a frame, writes a frame into each, and frees them.
class Fill final : public Workload {
 public:
  explicit Fill(const Setup& setup)
      : Workload(setup.frames(), 1),
        context_(logging_options()),
        pool_(need(Mempool::create(context_, {.count = setup.pool}))),
        cache_(pool_, MempoolCache::kMaxCapacity),
        burst_(setup.burst) {}
  void prepare() override {}
  void run() override {
    std::array<Mbuf*, Setup::kMaxBurst> mbufs{};
    for (std::uint32_t done = 0; done < operations(); done += burst_) {
      const std::span<Mbuf*> burst(mbufs.data(), burst_);
      if (!cache_.allocate_bulk(burst, kBytes)) give_up("the pool is exhausted");
      for (Mbuf* const mbuf : burst) std::memcpy(mbuf->data(), frame_.data(), kBytes);
      do_not_optimize(mbufs.data());
      cache_.free_bulk(burst);
    }
  }

 private:
  static constexpr std::uint32_t kBytes = 60;

  Context context_;
  Mempool pool_;
  MempoolCache cache_;
  std::uint32_t burst_;
  std::array<std::uint8_t, kBytes> frame_{};
};

// Appends to mbufs that have room.
class Append final : public Workload {
 public:
  explicit Append(const Setup& setup)
      : Workload(setup.burst * kTimes, 1), context_(logging_options()), pool_(need(Mempool::create(context_, {}))) {
    if (!burst_.fill(cache_, setup.burst)) give_up("the pool is too small");
  }
  ~Append() override { burst_.drop(measured_, cache_); }
  void prepare() override {
    for (Mbuf& mbuf : burst_) {
      if (!mbuf.trim(mbuf.length())) give_up("an mbuf is not as long as it says");
    }
  }
  void run() override {
    for (Mbuf& mbuf : burst_) {
      for (std::uint32_t i = 0; i < kTimes; ++i) do_not_optimize(mbuf.append(kBytes));
    }
  }

 private:
  static constexpr std::uint32_t kTimes = 32;
  static constexpr std::uint32_t kBytes = 60;

  Context context_;
  Mempool pool_;
  MempoolCache cache_{pool_};
  DropCounter measured_{"measured"};
  Burst<Setup::kMaxBurst> burst_;
};

}  // namespace

std::unique_ptr<Workload> append(const Setup& setup) { return std::make_unique<Append>(setup); }
std::unique_ptr<Workload> fill(const Setup& setup) { return std::make_unique<Fill>(setup); }
std::unique_ptr<Workload> alloc_free(const Setup& setup) { return std::make_unique<AllocFree>(setup); }

}  // namespace pollux::bench
