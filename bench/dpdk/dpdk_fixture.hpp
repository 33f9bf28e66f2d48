// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_eal.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dpdk_igb.h"
#include "faked_card.hpp"
#include "fixture.hpp"
#include "setup.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {

template <class T>
T* made(T* object, std::string_view what) {
  if (object == nullptr) give_up(what);
  return object;
}

inline std::uint16_t next_number() {
  static std::uint16_t number = 0;
  return number = static_cast<std::uint16_t>((number + 1) % RTE_MAX_ETHPORTS);
}

struct FreePool {
  void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};

inline std::unique_ptr<rte_mempool, FreePool> shuffled_pool(const Setup& setup, std::uint16_t number) {
  std::unique_ptr<rte_mempool, FreePool> pool(
      made(rte_pktmbuf_pool_create(("bench" + std::to_string(number)).c_str(), setup.pool - 1,
                                   RTE_MEMPOOL_CACHE_MAX_SIZE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY),
           "DPDK has no memory for a pool: reserve more huge pages"));
  std::vector<void*> objects;
  for (void* object = nullptr; rte_mempool_get(pool.get(), &object) == 0;) objects.push_back(object);
  std::shuffle(objects.begin(), objects.end(), std::mt19937(1));
  for (void* object : objects) rte_mempool_put(pool.get(), object);
  return pool;
}

// A port on a faked card. Addresses are IOVAs, so the card needs no domain.
class DpdkFixture {
 public:
  DpdkFixture(const DpdkDriver& driver, const Setup& setup)
      : driver_(driver),
        setup_(setup),
        number_(next_number()),
        card_(driver.is_82574 != 0 ? FakedCard::Kind::card_82574 : FakedCard::Kind::card_82576),
        pool_(shuffled_pool(setup, number_)) {
    const Bar bar = need(card_.device()->bar(0));
    port_ = made(driver.start(const_cast<std::uint32_t*>(bar.mapped(0)), pool_.get(),
                              static_cast<std::uint16_t>(setup.ring), setup.queues, number_),
                 "DPDK's driver did not start");
    if (driver.is_82574 != 0) card_.use_legacy_receive();
    card_.use_older_addresses();
    card_.set_cold(setup.cold);
    card_.set_marking(setup.marked);
  }
  DpdkFixture(const DpdkFixture&) = delete;
  DpdkFixture& operator=(const DpdkFixture&) = delete;
  ~DpdkFixture() { driver_.stop(port_); }

  void receive(std::uint32_t queue = 0) { card_.receive(queue, setup_.frames(), setup_.frame); }
  void finish_transmits(std::uint32_t expected, std::uint32_t queue = 0) {
    if (card_.finish_transmits(queue) != expected) give_up("DPDK's driver did not send all frames");
  }
  std::uint32_t rx(rte_mbuf** mbufs, std::uint32_t count, std::uint32_t queue = 0) {
    return driver_.rx_burst(port_->rx[queue], mbufs, static_cast<std::uint16_t>(count));
  }
  std::uint32_t tx(rte_mbuf** mbufs, std::uint32_t count, std::uint32_t queue = 0) {
    return driver_.tx_burst(port_->tx[queue], mbufs, static_cast<std::uint16_t>(count));
  }
  rte_mempool* pool() { return pool_.get(); }
  [[nodiscard]] const FakedCard& card() const { return card_; }
  [[nodiscard]] FakedCard& card() { return card_; }

 private:
  const DpdkDriver& driver_;
  Setup setup_;
  std::uint16_t number_;
  FakedCard card_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
  DpdkPort* port_ = nullptr;
};

inline std::uint8_t* data_of(rte_mbuf* mbuf) { return rte_pktmbuf_mtod(mbuf, std::uint8_t*); }

/// Forwards what has arrived on a port, or on a `queue` of it. Returns how many frames that was.
template <class Fixture, class... Queue>
std::uint32_t forward_once(Fixture& fixture, std::uint32_t limit, Queue... queue) {
  std::array<rte_mbuf*, Setup::kMaxBurst> mbufs{};
  const std::uint32_t count = fixture.rx(mbufs.data(), limit, queue...);
  if (count == 0) return 0;
  for (std::uint32_t i = 0; i < count; ++i) swap_macs(data_of(mbufs[i]));
  return fixture.tx(mbufs.data(), count, queue...);
}

}  // namespace pollux::bench
