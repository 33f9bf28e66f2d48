// SPDX-License-Identifier: BSD-3-Clause
// The cases of DPDK's igb and em drivers: the work of workload_forward.cpp and workload_one_way.cpp, with its mbufs.
// The driver's functions are called directly, without rte_eth_rx_burst around them.
#include "workloads.hpp"

#include <rte_version.h>

#include "arrivals.hpp"
#include "do_not_optimize.hpp"
#include "dpdk_fixture.hpp"
#include "one_way.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {
namespace {

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
  DpdkForward(const Setup& setup, const DpdkDriver& driver)
      : Workload(setup.frames(), setup.rounds()), fixture_(driver, setup), limit_(setup.limit()) {}
  void prepare() override {
    fixture_.finish_transmits(first_ ? 0 : operations());
    first_ = false;
    fixture_.receive();
  }
  [[nodiscard]] const FakedCard* card() const override { return &fixture_.card(); }
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

// Forwarding by one thread that polls several queues in turn.
class DpdkForwardQueues final : public Workload {
 public:
  DpdkForwardQueues(const Setup& setup, const DpdkDriver& driver)
      : Workload(setup.frames() * setup.queues, setup.rounds()), fixture_(driver, setup), setup_(setup) {}
  void prepare() override {
    for (std::uint32_t queue = 0; queue < setup_.queues; ++queue) {
      fixture_.finish_transmits(first_ ? 0 : setup_.frames(), queue);
      fixture_.receive(queue);
    }
    first_ = false;
  }
  void run() override {
    std::array<rte_mbuf*, Setup::kMaxBurst> mbufs{};
    for (std::uint32_t done = 0; done < setup_.frames(); done += setup_.limit()) {
      for (std::uint32_t queue = 0; queue < setup_.queues; ++queue) {
        const std::uint32_t count = fixture_.rx(mbufs.data(), setup_.limit(), queue);
        for (std::uint32_t i = 0; i < count; ++i) swap_macs(data_of(mbufs[i]));
        fixture_.tx(mbufs.data(), count, queue);
      }
    }
  }

 private:
  DpdkFixture fixture_;
  Setup setup_;
  bool first_ = true;
};

class DpdkArrivalsPort : public DpdkFixture {
 public:
  using DpdkFixture::DpdkFixture;
  std::uint32_t forward(std::uint16_t queue, std::uint32_t limit) { return forward_once(*this, limit, queue); }
};

// Polls the same arrivals as Pollux, with rings of `Ring` descriptors; 0: with those of the row.
template <const DpdkDriver& Driver, std::uint32_t Ring>
std::unique_ptr<Workload> make_arrivals(const Setup& setup) {
  Setup own = setup;
  if (Ring != 0) own.ring = Ring;
  return std::make_unique<ForwardArrivals<DpdkArrivalsPort>>(own, Driver);
}

class DpdkEmptyPoll final : public Workload {
 public:
  DpdkEmptyPoll(const Setup& setup, const DpdkDriver& driver) : Workload(kPolls, 1), fixture_(driver, setup) {}
  void prepare() override {}
  void run() override {
    std::array<rte_mbuf*, 32> mbufs{};
    for (std::uint32_t i = 0; i < kPolls; ++i) fixture_.rx(mbufs.data(), 32);
  }

 private:
  static constexpr std::uint32_t kPolls = 448;
  DpdkFixture fixture_;
};

template <class Made, const DpdkDriver& Driver>
std::unique_ptr<Workload> make(const Setup& setup) {
  return std::make_unique<Made>(setup, Driver);
}

}  // namespace

const char* start_dpdk(unsigned core, bool huge_pages) {
  std::vector<std::string> words{"bench", "-l", std::to_string(core), "--no-pci", "--no-telemetry", "--iova-mode", "va",
                                 "--log-level", "error",
                                 // Otherwise no driver uses AVX-512.
                                 "--force-max-simd-bitwidth=512"};
  if (huge_pages) {
    words.emplace_back("--in-memory");
  } else {
    words.insert(words.end(), {"--no-huge", "-m", "256", "--no-shconf"});
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) give_up("DPDK's rte_eal_init failed");
  return rte_version();
}

std::span<const Case> dpdk_cases() {
  static constexpr std::array kCases = {
      Case{"forward", kDpdkPackaged, &make<DpdkForward<OnlySwap>, dpdk_igb_packaged>, true, false},
      Case{"forward_queues", kDpdkPackaged, &make<DpdkForwardQueues, dpdk_igb_packaged>, true, false},
      Case{"forward_arrivals", kDpdkPackaged, &make_arrivals<dpdk_igb_packaged, 0>, true, false},
      Case{"forward_arrivals", kDpdkPackaged, &make_arrivals<dpdk_igb_packaged, 64>, true, false, "rings of 64"},
      Case{"forward_arrivals", kDpdkPackaged, &make_arrivals<dpdk_igb_packaged, 128>, true, false, "rings of 128"},
      Case{"forward_arrivals", kDpdkPackaged, &make_arrivals<dpdk_igb_packaged, 256>, true, false, "rings of 256"},
      Case{"forward_offload", kDpdkPackaged, &make<DpdkForward<ReadOffloads>, dpdk_igb_packaged>, true, false},
      Case{"forward_checksums", kDpdkPackaged, &make<DpdkForward<RequestChecksums>, dpdk_igb_packaged>, true, false},
      Case{"rx", kDpdkPackaged, &make<DpdkReceiving<DpdkFixture>, dpdk_igb_packaged>, true, false},
      Case{"tx", kDpdkPackaged, &make<DpdkSending<DpdkFixture>, dpdk_igb_packaged>, true, false},
      Case{"empty_poll", kDpdkPackaged, &make<DpdkEmptyPoll, dpdk_igb_packaged>, false, false},
      Case{"forward", kDpdkNative, &make<DpdkForward<OnlySwap>, dpdk_igb_native>, true, false},
      Case{"forward_queues", kDpdkNative, &make<DpdkForwardQueues, dpdk_igb_native>, true, false},
      Case{"forward_arrivals", kDpdkNative, &make_arrivals<dpdk_igb_native, 0>, true, false},
      Case{"forward_arrivals", kDpdkNative, &make_arrivals<dpdk_igb_native, 64>, true, false, "rings of 64"},
      Case{"forward_arrivals", kDpdkNative, &make_arrivals<dpdk_igb_native, 128>, true, false, "rings of 128"},
      Case{"forward_arrivals", kDpdkNative, &make_arrivals<dpdk_igb_native, 256>, true, false, "rings of 256"},
      Case{"forward_offload", kDpdkNative, &make<DpdkForward<ReadOffloads>, dpdk_igb_native>, true, false},
      Case{"forward_checksums", kDpdkNative, &make<DpdkForward<RequestChecksums>, dpdk_igb_native>, true, false},
      Case{"rx", kDpdkNative, &make<DpdkReceiving<DpdkFixture>, dpdk_igb_native>, true, false},
      Case{"tx", kDpdkNative, &make<DpdkSending<DpdkFixture>, dpdk_igb_native>, true, false},
      Case{"empty_poll", kDpdkNative, &make<DpdkEmptyPoll, dpdk_igb_native>, false, false},
      Case{"e1000e_forward", kDpdkPackaged, &make<DpdkForward<OnlySwap>, dpdk_em_packaged>, true, false},
      Case{"e1000e_forward_checksums", kDpdkPackaged, &make<DpdkForward<RequestChecksums>, dpdk_em_packaged>, true,
           false},
      Case{"e1000e_rx", kDpdkPackaged, &make<DpdkReceiving<DpdkFixture>, dpdk_em_packaged>, true, false},
      Case{"e1000e_tx", kDpdkPackaged, &make<DpdkSending<DpdkFixture>, dpdk_em_packaged>, true, false},
      Case{"e1000e_forward", kDpdkNative, &make<DpdkForward<OnlySwap>, dpdk_em_native>, true, false},
      Case{"e1000e_forward_checksums", kDpdkNative, &make<DpdkForward<RequestChecksums>, dpdk_em_native>, true, false},
      Case{"e1000e_rx", kDpdkNative, &make<DpdkReceiving<DpdkFixture>, dpdk_em_native>, true, false},
      Case{"e1000e_tx", kDpdkNative, &make<DpdkSending<DpdkFixture>, dpdk_em_native>, true, false},
  };
  return kCases;
}

}  // namespace pollux::bench
