// SPDX-License-Identifier: BSD-3-Clause
// The cases of DPDK's igb driver: the work of workload_forward.cpp and workload_one_way.cpp, with its mbufs. The
// driver's functions are called directly, without rte_eth_rx_burst around them.
#include "workloads.hpp"

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_version.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "do_not_optimize.hpp"
#include "dpdk_igb.h"
#include "faked_card.hpp"
#include "fixture.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {
namespace {

template <class T>
T* made(T* object, std::string_view what) {
  if (object == nullptr) give_up(what);
  return object;
}

std::uint16_t next_number() {
  static std::uint16_t number = 0;
  return number = static_cast<std::uint16_t>((number + 1) % RTE_MAX_ETHPORTS);
}

struct FreePool {
  void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};

std::unique_ptr<rte_mempool, FreePool> shuffled_pool(const Setup& setup, std::uint16_t number) {
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
  DpdkFixture(const DpdkIgb& driver, const Setup& setup)
      : driver_(driver), setup_(setup), number_(next_number()), pool_(shuffled_pool(setup, number_)) {
    const Bar bar = need(card_.device()->bar(0));
    port_ = made(driver.start(const_cast<std::uint32_t*>(bar.mapped(0)), pool_.get(),
                              static_cast<std::uint16_t>(setup.ring), number_),
                 "DPDK's igb driver did not start");
    card_.set_cold(setup.cold);
    card_.set_marking(setup.marked);
  }
  DpdkFixture(const DpdkFixture&) = delete;
  DpdkFixture& operator=(const DpdkFixture&) = delete;
  ~DpdkFixture() { driver_.stop(port_); }

  void receive() { card_.receive(DPDK_CARD_QUEUE, setup_.frames(), setup_.frame); }
  void finish_transmits(std::uint32_t expected) {
    if (card_.finish_transmits(DPDK_CARD_QUEUE) != expected) give_up("DPDK's driver did not send all frames");
  }
  std::uint32_t rx(rte_mbuf** mbufs, std::uint32_t count) {
    return driver_.rx_burst(port_->rx, mbufs, static_cast<std::uint16_t>(count));
  }
  std::uint32_t tx(rte_mbuf** mbufs, std::uint32_t count) {
    return driver_.tx_burst(port_->tx, mbufs, static_cast<std::uint16_t>(count));
  }
  rte_mempool* pool() { return pool_.get(); }
  [[nodiscard]] const FakedCard& card() const { return card_; }

 private:
  const DpdkIgb& driver_;
  Setup setup_;
  std::uint16_t number_;
  FakedCard card_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
  DpdkPort* port_ = nullptr;
};

std::uint8_t* data_of(rte_mbuf* mbuf) { return rte_pktmbuf_mtod(mbuf, std::uint8_t*); }

struct OnlySwap {
  void operator()(rte_mbuf* mbuf) { swap_macs(data_of(mbuf)); }
};

struct ReadOffloads {
  void operator()(rte_mbuf* mbuf) {
    swap_macs(data_of(mbuf));
    constexpr std::uint64_t kChecksums = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0) sum += mbuf->hash.rss;
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) sum += mbuf->vlan_tci;
    sum += mbuf->packet_type + (mbuf->ol_flags & kChecksums);
  }
  ~ReadOffloads() { do_not_optimize(sum); }
  std::uint64_t sum = 0;
};

struct RequestChecksums {
  void operator()(rte_mbuf* mbuf) {
    swap_macs(data_of(mbuf));
    mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM;
    mbuf->l2_len = 14;
    mbuf->l3_len = 20;
  }
};

template <class Edit>
class DpdkForward final : public Workload {
 public:
  DpdkForward(const DpdkIgb& driver, const Setup& setup)
      : Workload(setup.frames(), setup.rounds()), fixture_(driver, setup), limit_(setup.limit()) {}
  void prepare() override {
    fixture_.finish_transmits(first_ ? 0 : operations());
    first_ = false;
    fixture_.receive();
  }
  [[nodiscard]] const FakedCard* card() const override { return &fixture_.card(); }
  [[nodiscard]] std::uint32_t card_queue() const override { return DPDK_CARD_QUEUE; }
  void run() override {
    std::array<rte_mbuf*, Setup::kMaxBurst> mbufs{};
    Edit edit;
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      const std::uint32_t count = fixture_.rx(mbufs.data(), limit_);
      for (std::uint32_t i = 0; i < count; ++i) edit(mbufs[i]);
      fixture_.tx(mbufs.data(), count);
    }
  }

 private:
  DpdkFixture fixture_;
  std::uint32_t limit_;
  bool first_ = true;
};

class DpdkReceive final : public Workload {
 public:
  DpdkReceive(const DpdkIgb& driver, const Setup& setup)
      : Workload(setup.frames(), setup.rounds()),
        fixture_(driver, setup),
        limit_(setup.limit()),
        mbufs_(setup.frames() + setup.limit()) {}
  ~DpdkReceive() override { rte_pktmbuf_free_bulk(mbufs_.data(), received_); }
  void prepare() override {
    if (!first_ && received_ != operations()) give_up("DPDK's driver did not deliver what had arrived");
    first_ = false;
    rte_pktmbuf_free_bulk(mbufs_.data(), received_);
    fixture_.receive();
  }
  void run() override {
    std::uint32_t count = 0;
    for (std::uint32_t done = 0; done < operations(); done += limit_)
      count += fixture_.rx(mbufs_.data() + count, limit_);
    received_ = count;
  }

 private:
  DpdkFixture fixture_;
  std::uint32_t limit_;
  bool first_ = true;
  std::uint32_t received_ = 0;
  std::vector<rte_mbuf*> mbufs_;
};

class DpdkTransmit final : public Workload {
 public:
  DpdkTransmit(const DpdkIgb& driver, const Setup& setup)
      : Workload(setup.frames(), setup.rounds()), fixture_(driver, setup), setup_(setup), mbufs_(setup.frames()) {}
  void prepare() override {
    fixture_.finish_transmits(first_ ? 0 : operations());
    first_ = false;
    if (rte_pktmbuf_alloc_bulk(fixture_.pool(), mbufs_.data(), operations()) != 0) give_up("the pool is too small");
    for (rte_mbuf* mbuf : mbufs_) do_not_optimize(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(setup_.frame)));
  }
  void run() override {
    for (std::uint32_t done = 0; done < operations(); done += setup_.burst) {
      fixture_.tx(mbufs_.data() + done, std::min(setup_.burst, operations() - done));
    }
  }

 private:
  DpdkFixture fixture_;
  Setup setup_;
  bool first_ = true;
  std::vector<rte_mbuf*> mbufs_;
};

class DpdkEmptyPoll final : public Workload {
 public:
  DpdkEmptyPoll(const DpdkIgb& driver, const Setup& setup) : Workload(kPolls, 1), fixture_(driver, setup) {}
  void prepare() override {}
  void run() override {
    std::array<rte_mbuf*, 32> mbufs{};
    for (std::uint32_t i = 0; i < kPolls; ++i) fixture_.rx(mbufs.data(), 32);
  }

 private:
  static constexpr std::uint32_t kPolls = 448;
  DpdkFixture fixture_;
};

template <class Made, const DpdkIgb& Driver>
std::unique_ptr<Workload> make(const Setup& setup) {
  return std::make_unique<Made>(Driver, setup);
}

}  // namespace

const char* start_dpdk(unsigned core, bool huge_pages) {
  std::vector<std::string> words{"bench",       "-l", std::to_string(core), "--in-memory", "--no-pci", "--no-telemetry",
                                 "--iova-mode", "va", "--log-level",        "error"};
  if (!huge_pages) words.insert(words.end(), {"--no-huge", "-m", "256"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) give_up("DPDK's rte_eal_init failed");
  return rte_version();
}

std::span<const Case> dpdk_cases() {
  static constexpr std::array kCases = {
      Case{"forward", kDpdkPackaged, &make<DpdkForward<OnlySwap>, dpdk_igb_packaged>, true, false},
      Case{"forward_offload", kDpdkPackaged, &make<DpdkForward<ReadOffloads>, dpdk_igb_packaged>, true, false},
      Case{"forward_checksums", kDpdkPackaged, &make<DpdkForward<RequestChecksums>, dpdk_igb_packaged>, true, false},
      Case{"rx", kDpdkPackaged, &make<DpdkReceive, dpdk_igb_packaged>, true, false},
      Case{"tx", kDpdkPackaged, &make<DpdkTransmit, dpdk_igb_packaged>, true, false},
      Case{"empty_poll", kDpdkPackaged, &make<DpdkEmptyPoll, dpdk_igb_packaged>, false, false},
      Case{"forward", kDpdkNative, &make<DpdkForward<OnlySwap>, dpdk_igb_native>, true, false},
      Case{"forward_offload", kDpdkNative, &make<DpdkForward<ReadOffloads>, dpdk_igb_native>, true, false},
      Case{"forward_checksums", kDpdkNative, &make<DpdkForward<RequestChecksums>, dpdk_igb_native>, true, false},
      Case{"rx", kDpdkNative, &make<DpdkReceive, dpdk_igb_native>, true, false},
      Case{"tx", kDpdkNative, &make<DpdkTransmit, dpdk_igb_native>, true, false},
      Case{"empty_poll", kDpdkNative, &make<DpdkEmptyPoll, dpdk_igb_native>, false, false},
  };
  return kCases;
}

}  // namespace pollux::bench
