// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "mem/mempool_core.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kMbufs = 600;
constexpr std::uint32_t kThreads = 4;
constexpr int kOperations = 20'000;
constexpr std::size_t kMaxHeld = 200;

/// Records the owner of each mbuf, and reports an mbuf with two owners.
class OwnerTable {
 public:
  explicit OwnerTable(const Mempool& pool) : pool_(pool.core().get()), stride_(MempoolCore::stride(pool.options())) {}

  void take(const Mbuf& mbuf, std::uint32_t owner) {
    if (owner_of(mbuf).exchange(owner, std::memory_order_relaxed) != 0) ++wrong;
  }
  void give(const Mbuf& mbuf, std::uint32_t owner) {
    if (owner_of(mbuf).exchange(0, std::memory_order_relaxed) != owner) ++wrong;
  }

  std::atomic<int> wrong{0};

 private:
  std::atomic<std::uint32_t>& owner_of(const Mbuf& mbuf) {
    const auto distance = reinterpret_cast<const std::byte*>(&mbuf) - reinterpret_cast<const std::byte*>(&pool_->at(0));
    return owners_.at(static_cast<std::size_t>(distance) / stride_);  // two mbufs are at least stride_ apart
  }

  MempoolCore* pool_;
  std::size_t stride_;
  std::array<std::atomic<std::uint32_t>, 2 * kMbufs>
      owners_{};  // twice kMbufs, since pages may have gaps between mbufs
};

/// A queue of mbufs for a thread.
class Inbox {
 public:
  void post(MbufPtr mbuf) {
    const std::lock_guard lock(mutex_);
    mbufs_.push_back(std::move(mbuf));
  }
  [[nodiscard]] std::vector<MbufPtr> collect() {
    const std::lock_guard lock(mutex_);
    return std::exchange(mbufs_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<MbufPtr> mbufs_;
};

struct Shared {
  explicit Shared(test::PoolFixture& fixture)
      : pool(fixture.pool({.count = kMbufs, .data_room = 64, .headroom = 0})), owners(pool) {}
  Mempool pool;
  OwnerTable owners;
  std::array<Inbox, kThreads> inboxes;
  std::atomic<int> wrong_bytes{0};
};

/// A thread that allocates mbufs, writes and clones them, passes them on and frees them.
class Worker {
 public:
  Worker(Shared& shared, std::uint32_t number, bool with_cache) : shared_(shared), number_(number), random_(number) {
    if (with_cache) cache_.emplace(shared.pool, 64);
  }

  void run() {
    for (int i = 0; i < kOperations; ++i) step();
    for (MbufPtr& mbuf : held_) free(std::move(mbuf));
    held_.clear();
  }
  void empty_inbox() {
    for (MbufPtr& mbuf : shared_.inboxes[number_].collect()) free(std::move(mbuf));
  }

 private:
  void step() {
    const auto operation = random_() % 8;
    if (operation < 3) return allocate();
    if (operation == 3) return collect();
    if (held_.empty()) return;
    std::swap(held_[random_() % held_.size()], held_.back());
    if (operation == 4 && cache_) return clone_for_another(*held_.back());
    MbufPtr mbuf = std::move(held_.back());
    held_.pop_back();
    if (operation == 5) {
      shared_.inboxes[random_() % kThreads].post(std::move(mbuf));
    } else {
      free(std::move(mbuf));
    }
  }

  void allocate() {
    if (held_.size() >= kMaxHeld) return;
    MbufPtr mbuf = cache_ ? cache_->allocate() : shared_.pool.allocate();
    if (mbuf == nullptr) return;
    shared_.owners.take(*mbuf, kTaken);
    const std::uint64_t tag = ++tags_ << 8 | number_;
    std::uint8_t* const place = mbuf->append(2 * sizeof tag);
    std::memcpy(place, &tag, sizeof tag);
    std::memcpy(place + sizeof tag, &tag, sizeof tag);
    held_.push_back(std::move(mbuf));
  }

  // While another thread frees clones, the owner of the root creates more and changes other fields of its header.
  void clone_for_another(Mbuf& mbuf) {
    MbufPtr clone = mbuf.clone(*cache_);
    if (clone == nullptr) return;
    shared_.owners.take(*clone, kTaken);
    shared_.inboxes[random_() % kThreads].post(std::move(clone));
    mbuf.set_tx_offload({.flags = static_cast<std::uint8_t>(random_() % 2)});
  }

  void collect() {
    for (MbufPtr& mbuf : shared_.inboxes[number_].collect()) {
      if (held_.size() < kMaxHeld) {
        held_.push_back(std::move(mbuf));
      } else {
        free(std::move(mbuf));
      }
    }
  }

  void free(MbufPtr mbuf) {
    std::uint64_t tags[2];
    std::memcpy(tags, mbuf->data(), sizeof tags);
    if (tags[0] != tags[1]) ++shared_.wrong_bytes;
    shared_.owners.give(*mbuf, kTaken);
    if (cache_ && random_() % 4 != 0) {
      cache_->free(std::move(mbuf));
    } else {
      mbuf.reset();
    }
  }

  static constexpr std::uint32_t kTaken = 1;
  Shared& shared_;
  std::uint32_t number_;
  std::mt19937 random_;
  std::optional<MempoolCache> cache_;
  std::vector<MbufPtr> held_;
  std::uint64_t tags_ = 0;
};

TEST(MempoolThreads, NoMbufEverHasTwoOwners) {
  test::PoolFixture fixture;
  Shared shared(fixture);
  {
    std::vector<std::unique_ptr<Worker>> workers;
    for (std::uint32_t i = 0; i < kThreads; ++i) workers.push_back(std::make_unique<Worker>(shared, i, i % 2 == 0));
    std::vector<std::thread> threads;
    for (auto& worker : workers) threads.emplace_back([&worker] { worker->run(); });
    for (std::thread& thread : threads) thread.join();
    for (auto& worker : workers) worker->empty_inbox();
    EXPECT_EQ(shared.pool.stats().in_use(), 0u);
  }
  EXPECT_EQ(shared.owners.wrong, 0);
  EXPECT_EQ(shared.wrong_bytes, 0);
  EXPECT_EQ(shared.pool.stats().shared, kMbufs);
  EXPECT_TRUE(fixture.misuses().empty());
}

// Uses only the shared list, with batches long enough for another thread to change the links during the walk.
TEST(MempoolThreads, TheSharedListSurvivesContention) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = kMbufs, .data_room = 64, .headroom = 0});
  OwnerTable owners(pool);
  const auto work = [&](std::uint32_t number) {
    std::mt19937 random(number);
    std::array<Mbuf*, 64> mbufs{};
    for (int i = 0; i < kOperations * 2; ++i) {
      const std::uint32_t count = pool.core()->take(std::span(mbufs).first(1 + random() % mbufs.size()));
      for (std::uint32_t m = 0; m < count; ++m) owners.take(*mbufs[m], number);
      std::rotate(mbufs.begin(), mbufs.begin() + count / 2, mbufs.begin() + count);
      for (std::uint32_t m = 0; m < count; ++m) owners.give(*mbufs[m], number);
      pool.core()->put({mbufs.data(), count});
    }
  };
  std::vector<std::thread> threads;
  for (std::uint32_t number = 1; number <= kThreads; ++number) threads.emplace_back(work, number);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(owners.wrong, 0);
  EXPECT_EQ(pool.stats().shared, kMbufs);
}

// One thread frees the last mbuf while another destroys the handle: exactly one of them destroys the pool.
TEST(MempoolThreads, APoolIsDestroyedExactlyOnce) {
  constexpr int kPools = 400;
  constexpr int kAtLeast = 40;  // on a busy machine, where each hand-over takes a time slice
  const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  test::PoolFixture fixture;
  std::atomic<Mbuf*> handed{nullptr};
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) {
      if (Mbuf* const mbuf = handed.exchange(nullptr)) MbufDeleter{}(mbuf);
    }
  });
  for (int i = 0; i < kPools && (i < kAtLeast || std::chrono::steady_clock::now() < enough); ++i) {
    std::optional<Mempool> pool(fixture.pool({.count = 2, .data_room = 64, .headroom = 0}));
    handed = pool->allocate().release();
    if (i % 2 == 0) std::this_thread::yield();
    pool.reset();
    while (handed != nullptr) std::this_thread::yield();
  }
  over = true;
  other.join();
  // Destroying a pool frees its id, so all ids are free again.
  EXPECT_EQ(fixture.pool({.count = 1}).core()->id(), 1);
  EXPECT_LE(fixture.misuses().size(), static_cast<std::size_t>(kPools));
}

TEST(MempoolThreads, StatsCanBeReadConcurrently) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 300, .data_room = 64, .headroom = 0});
  std::atomic<bool> over{false};
  std::thread worker([&] {
    MempoolCache cache(pool, 64);
    for (int i = 0; i < 300; ++i) {
      Burst<128> burst;
      DropCounter done("done");
      if (burst.fill(cache, 128)) burst.drop(done, cache);
    }
    over = true;
  });
  while (!over) {
    const MempoolStats stats = pool.stats();
    ASSERT_LE(stats.shared + stats.cached, stats.count);
  }
  worker.join();
  EXPECT_EQ(pool.stats().in_use(), 0u);
}

}  // namespace
}  // namespace pollux
