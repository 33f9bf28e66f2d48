// SPDX-License-Identifier: BSD-3-Clause
// Measures DPDK's library without a card: pool, mbufs, rings, and its null and ring ports.
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <string>

#include "native.hpp"

namespace {

void start_eal(const char* program, unsigned processor, bool huge_pages) {
  std::vector<std::string> words{program,
                                 "-l",
                                 std::to_string(processor),
                                 "--in-memory",
                                 "--no-pci",
                                 "--no-telemetry",
                                 "--log-level",
                                 "warning",
                                 "--vdev=net_null0",
                                 "--vdev=net_null1,copy=1",
                                 "--vdev=net_ring0"};
  if (!huge_pages) words.insert(words.end(), {"--no-huge", "-m", "256"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) baselines::give_up("rte_eal_init failed");
}

rte_mempool* shuffled_pool() {
  rte_mempool* const pool = rte_pktmbuf_pool_create("baselines", baselines::kPool, RTE_MEMPOOL_CACHE_MAX_SIZE, 0,
                                                    RTE_MBUF_DEFAULT_BUF_SIZE, static_cast<int>(rte_socket_id()));
  if (pool == nullptr) baselines::give_up("rte_pktmbuf_pool_create failed");
  std::vector<void*> objects;
  for (void* object = nullptr; rte_mempool_get(pool, &object) == 0;) objects.push_back(object);
  baselines::shuffle(objects);
  for (void* object : objects) rte_mempool_put(pool, object);
  return pool;
}

std::uint16_t start_port(const char* name, rte_mempool* pool) {
  std::uint16_t port = 0;
  if (rte_eth_dev_get_port_by_name(name, &port) != 0) baselines::give_up("DPDK has no such port");
  const rte_eth_conf config{};
  if (rte_eth_dev_configure(port, 1, 1, &config) != 0 || rte_eth_rx_queue_setup(port, 0, 512, 0, nullptr, pool) != 0 ||
      rte_eth_tx_queue_setup(port, 0, 512, 0, nullptr) != 0 || rte_eth_dev_start(port) != 0) {
    baselines::give_up("a port could not be started");
  }
  return port;
}

template <unsigned B>
void measure_memory(rte_mempool* pool) {
  std::array<void*, B> taken{};
  baselines::measure("pool_get_put", "cache", B, [&](unsigned objects) {
    for (unsigned i = 0; i < objects; i += B) {
      if (rte_mempool_get_bulk(pool, taken.data(), B) != 0) baselines::give_up("the pool is exhausted");
      rte_mempool_put_bulk(pool, taken.data(), B);
    }
  });
  std::array<rte_mbuf*, B> mbufs{};
  baselines::measure("alloc_free", "bulk", B, [&](unsigned objects) {
    for (unsigned i = 0; i < objects; i += B) {
      if (rte_pktmbuf_alloc_bulk(pool, mbufs.data(), B) != 0) baselines::give_up("the pool is exhausted");
      rte_pktmbuf_free_bulk(mbufs.data(), B);
    }
  });
}

template <unsigned B>
void measure_ring() {
  const auto run = [](const char* path, unsigned flags) {
    rte_ring* const ring = rte_ring_create("baselines", baselines::kRing, static_cast<int>(rte_socket_id()), flags);
    if (ring == nullptr) baselines::give_up("rte_ring_create failed");
    std::array<void*, B> taken{};
    baselines::measure("ring", path, B, [&](unsigned objects) {
      for (unsigned i = 0; i < objects; i += B) {
        if (rte_ring_enqueue_bulk(ring, taken.data(), B, nullptr) != B) baselines::give_up("the ring is full");
        if (rte_ring_dequeue_bulk(ring, taken.data(), B, nullptr) != B) baselines::give_up("the ring is empty");
      }
    });
    rte_ring_free(ring);
  };
  run("sp-sc", RING_F_SP_ENQ | RING_F_SC_DEQ);
  run("mp-mc", 0);
}

template <unsigned B>
void measure_forward(const char* name, const char* path, std::uint16_t port) {
  std::array<rte_mbuf*, B> mbufs{};
  baselines::measure(name, path, B, [&](unsigned objects) {
    for (unsigned i = 0; i < objects; i += B) {
      if (rte_eth_rx_burst(port, 0, mbufs.data(), B) != B) baselines::give_up("fewer frames than expected");
      if (rte_eth_tx_burst(port, 0, mbufs.data(), B) != B) baselines::give_up("a frame was not enqueued");
    }
  });
}

// Enqueues the frames that circulate on the ring port.
void enqueue_frames(std::uint16_t port, rte_mempool* pool) {
  std::array<rte_mbuf*, 64> mbufs{};
  if (rte_pktmbuf_alloc_bulk(pool, mbufs.data(), mbufs.size()) != 0) baselines::give_up("the pool is exhausted");
  for (rte_mbuf* mbuf : mbufs) rte_pktmbuf_append(mbuf, 60);
  if (rte_eth_tx_burst(port, 0, mbufs.data(), mbufs.size()) != mbufs.size())
    baselines::give_up("a frame was not enqueued");
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned processor = baselines::processor_from(argc, argv);
  start_eal(argv[0], processor, std::getenv("BASELINES_NO_HUGE_PAGES") == nullptr);
  rte_mempool* const pool = shuffled_pool();
  const std::uint16_t null = start_port("net_null0", pool);
  const std::uint16_t copying_null = start_port("net_null1", pool);
  const std::uint16_t ring = start_port("net_ring0", pool);
  enqueue_frames(ring, pool);
  baselines::for_each_burst([&](auto burst) {
    measure_memory<burst>(pool);
    measure_ring<burst>();
    measure_forward<burst>("null_forward", "uninitialised", null);
    measure_forward<burst>("null_forward", "copy", copying_null);
    measure_forward<burst>("ring_forward", "", ring);
  });
  return 0;
}
