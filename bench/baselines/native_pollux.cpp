// SPDX-License-Identifier: BSD-3-Clause
// The same workload on Pollux. Parts without a public interface (the array of a cache, a frame ring) are used as the
// driver and the `ring:` port use them.
#include <cstring>
#include <pollux/pollux.hpp>
#include <string>

#include "mem/mempool_core.hpp"
#include "native.hpp"
#include "ports/ring/queues.hpp"

namespace {

using namespace pollux;

template <class T>
T need(Result<T> result) {
  if (!result) baselines::give_up(result.error().message().c_str());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

void shuffle(const Mempool& mempool) {
  Mempool pool = mempool;
  std::vector<MbufPtr> mbufs;
  while (MbufPtr mbuf = pool.allocate()) mbufs.push_back(std::move(mbuf));
  baselines::shuffle(mbufs);
}

struct NativeFixture {
  Context context{
      {.huge_pages = std::getenv("BASELINES_NO_HUGE_PAGES") == nullptr ? HugePages::require : HugePages::never}};
  Mempool pool = need(Mempool::create(context, {.count = baselines::kPool}));
  MempoolCache cache{pool, MempoolCache::kMaxCapacity};

  NativeFixture() { shuffle(pool); }
  Port open(const char* uri) {
    return need(pollux::open(context, uri, {.rx = {{.pool = pool, .cache = cache}}, .tx = {{.cache = cache}}}));
  }
};

// As in the driver: pointers are copied out of the cache's array, and back.
template <unsigned B>
void measure_stock(MempoolCacheCore& cache) {
  std::array<Mbuf*, B> mbufs{};
  baselines::measure("pool_get_put", "cache", B, [&](unsigned objects) {
    for (unsigned i = 0; i < objects; i += B) {
      if (cache.count() < B) baselines::give_up("the pool is exhausted");
      std::memcpy(mbufs.data(), cache.objects(), sizeof mbufs);
      cache.set_first(cache.first + B);
      __asm__ volatile("" : : "r"(mbufs.data()) : "memory");
      cache.make_room(B);
      cache.set_first(cache.first - B);
      std::memcpy(cache.objects(), mbufs.data(), sizeof mbufs);
    }
  });
}

template <unsigned B>
void measure_mbufs(MempoolCache& cache) {
  std::array<Mbuf*, B> mbufs{};
  baselines::measure("alloc_free", "bulk", B, [&](unsigned objects) {
    for (unsigned i = 0; i < objects; i += B) {
      if (!cache.allocate_bulk(mbufs)) baselines::give_up("the pool is exhausted");
      cache.free_bulk(mbufs);
    }
  });
}

template <unsigned B>
void measure_ring() {
  ring::FrameRing frames;
  frames.open(baselines::kRing);
  std::array<Mbuf*, B> mbufs{};
  baselines::measure("ring", "sp-sc", B, [&](unsigned objects) {
    for (unsigned i = 0; i < objects; i += B) {
      if (frames.room(B).frames < B) baselines::give_up("the ring is full");
      frames.put(mbufs);
      if (frames.peek(mbufs) != B) baselines::give_up("the ring is empty");
      frames.discard(B);
      __asm__ volatile("" : : "r"(mbufs.data()) : "memory");
    }
  });
}

template <unsigned B>
void measure_forward(const char* name, const char* path, Port& port) {
  Burst<B> burst;
  RxQueue& rx = port.rx(0);
  TxQueue& tx = port.tx(0);
  baselines::measure(name, path, B, [&](unsigned objects) {
    for (unsigned i = 0; i < objects; i += B) {
      if (rx.rx_burst(burst) != B) baselines::give_up("fewer frames than expected");
      if (tx.tx_burst(burst) != B) baselines::give_up("a frame was not enqueued");
    }
  });
}

void put_on_the_way(Port& port, MempoolCache& cache) {
  Burst<64> burst;
  if (!burst.fill(cache, 64)) baselines::give_up("the pool is exhausted");
  for (Mbuf& mbuf : burst) {
    void* const data = mbuf.append(60);
    if (data == nullptr) baselines::give_up("no room in an mbuf");
    std::memset(data, 0xFF, 60);  // broadcast, so that it passes the ring port's filters
  }
  if (port.tx(0).tx_burst(burst) != 64) baselines::give_up("a frame was not enqueued");
}

}  // namespace

int main(int argc, char** argv) {
  baselines::processor_from(argc, argv);
  NativeFixture fixture;
  Port null = fixture.open("null:?rx=64");
  Port ring = fixture.open("ring:a");
  put_on_the_way(ring, fixture.cache);
  baselines::for_each_burst([&](auto burst) {
    measure_stock<burst>(*fixture.cache.core());
    measure_mbufs<burst>(fixture.cache);
    measure_ring<burst>();
    measure_forward<burst>("null_forward", "copy", null);
    measure_forward<burst>("ring_forward", "", ring);
  });
  return 0;
}
