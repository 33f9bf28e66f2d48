// SPDX-License-Identifier: BSD-3-Clause
// DPDK's libraries on the work of Pollux's features: that of workload_gro.cpp, workload_queueing.cpp,
// workload_steering.cpp, workload_capture.cpp and workload_poller.cpp.
#include "features.hpp"

#include <rte_distributor.h>
#include <rte_gro.h>
#include <rte_ip.h>
#include <rte_pcapng.h>
#include <rte_ring.h>
#include <rte_sched.h>
#include <rte_service.h>
#include <rte_service_component.h>

#include <array>
#include <cstring>
#include <utility>

#include "dpdk_fixture.hpp"
#include "swap_macs.hpp"
#include "tcp_segments.hpp"
#include "workload.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

template <class T, void (*Free)(T*)>
struct FreeWith {
  void operator()(T* object) const { Free(object); }
};

// A burst of mbufs that outlives the rounds.
class DpdkBurst {
 public:
  explicit DpdkBurst(const Setup& setup) : pool_(shuffled_pool(setup, next_number())), mbufs_(setup.burst) {
    if (rte_pktmbuf_alloc_bulk(pool_.get(), mbufs_.data(), setup.burst) != 0) give_up("the pool is too small");
    for (rte_mbuf* mbuf : mbufs_) std::memset(rte_pktmbuf_append(mbuf, kBytes), 0, kBytes);
  }
  DpdkBurst(const DpdkBurst&) = delete;
  DpdkBurst& operator=(const DpdkBurst&) = delete;
  ~DpdkBurst() { rte_pktmbuf_free_bulk(mbufs_.data(), static_cast<unsigned>(mbufs_.size())); }
  [[nodiscard]] rte_mbuf** data() { return mbufs_.data(); }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(mbufs_.size()); }
  [[nodiscard]] rte_mbuf* operator[](std::size_t i) const { return mbufs_[i]; }

 private:
  static constexpr std::uint16_t kBytes = 60;
  std::unique_ptr<rte_mempool, FreePool> pool_;
  std::vector<rte_mbuf*> mbufs_;
};

// rte_gro merges one batch, as Gro::merge does. The program has to say where the headers are; no checksum is checked,
// and none is written.
class DpdkGro final : public Workload {
 public:
  explicit DpdkGro(const Setup& setup)
      : Workload(setup.burst, 1), pool_(shuffled_pool(setup, next_number())), segments_(true), mbufs_(setup.burst) {}
  ~DpdkGro() override { rte_pktmbuf_free_bulk(mbufs_.data(), count_); }
  void prepare() override {
    if (count_ > 1) give_up("rte_gro merged no segments");
    rte_pktmbuf_free_bulk(mbufs_.data(), count_);
    if (rte_pktmbuf_alloc_bulk(pool_.get(), mbufs_.data(), operations()) != 0) give_up("the pool is too small");
    for (rte_mbuf* mbuf : mbufs_) {
      segments_.write_next(reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(mbuf, TcpSegments::kFrame)));
      mbuf->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP;
      mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
      mbuf->l2_len = 14;
      mbuf->l3_len = 20;
      mbuf->l4_len = 32;
    }
  }
  void run() override {
    rte_gro_param what{};
    what.gro_types = RTE_GRO_TCP_IPV4;
    what.max_flow_num = 64;
    what.max_item_per_flow = 64;
    count_ = rte_gro_reassemble_burst(mbufs_.data(), static_cast<std::uint16_t>(operations()), &what);
  }

 private:
  std::unique_ptr<rte_mempool, FreePool> pool_;
  TcpSegments segments_;
  std::uint32_t count_ = 0;
  std::vector<rte_mbuf*> mbufs_;
};

// rte_sched with a pipe for each frame of a burst, which the frames are marked with. With fewer pipes, or several
// queues of one, it needs more than twice as many instructions, since it works on eight pipes at a time.
class DpdkSched final : public Workload {
 public:
  explicit DpdkSched(const Setup& setup) : Workload(setup.frames(), 1), burst_(setup) {
    rte_sched_subport_profile_params profile{};
    profile.tb_rate = kRate;
    profile.tb_size = kTokens;
    std::fill(std::begin(profile.tc_rate), std::end(profile.tc_rate), kRate);
    profile.tc_period = 10;
    rte_sched_port_params params{};
    params.name = "bench";
    params.rate = kRate;
    params.mtu = 1522;
    params.frame_overhead = RTE_SCHED_FRAME_OVERHEAD_DEFAULT;
    params.n_subports_per_port = 1;
    params.subport_profiles = &profile;
    params.n_subport_profiles = params.n_max_subport_profiles = 1;
    params.n_pipes_per_subport = kPipes;
    port_.reset(made(rte_sched_port_config(&params), "rte_sched has no port"));
    rte_sched_pipe_params pipe{};
    pipe.tb_rate = kRate;
    pipe.tb_size = kTokens;
    std::fill(std::begin(pipe.tc_rate), std::end(pipe.tc_rate), kRate);
    pipe.tc_period = 40;
    pipe.tc_ov_weight = 1;
    std::fill(std::begin(pipe.wrr_weights), std::end(pipe.wrr_weights), std::uint8_t{1});
    rte_sched_subport_params subport{};
    subport.n_pipes_per_subport_enabled = kPipes;
    std::fill(std::begin(subport.qsize), std::end(subport.qsize), std::uint16_t{64});
    subport.pipe_profiles = &pipe;
    subport.n_pipe_profiles = subport.n_max_pipe_profiles = 1;
    int failed = rte_sched_subport_config(port_.get(), 0, &subport, 0);
    for (std::uint32_t i = 0; i < kPipes; ++i) failed |= rte_sched_pipe_config(port_.get(), 0, i, 0);
    if (failed != 0) give_up("rte_sched does not take its configuration");
    for (std::uint32_t i = 0; i < burst_.size(); ++i) {
      rte_sched_port_pkt_write(port_.get(), burst_[i], 0, i % kPipes, RTE_SCHED_TRAFFIC_CLASS_BE, 0, RTE_COLOR_GREEN);
    }
  }
  void prepare() override {}
  void run() override {
    const std::uint32_t size = burst_.size();
    for (std::uint32_t done = 0; done < operations(); done += size) {
      if (rte_sched_port_enqueue(port_.get(), burst_.data(), size) != static_cast<int>(size))
        give_up("rte_sched dropped");
      std::uint32_t count = 0;
      for (std::uint32_t calls = 0; count < size; ++calls) {
        count += static_cast<std::uint32_t>(rte_sched_port_dequeue(port_.get(), burst_.data() + count, size - count));
        if (calls == 1'000'000) give_up("rte_sched keeps frames");
      }
    }
  }

 private:
  static constexpr std::uint32_t kPipes = 32;
  static constexpr std::uint64_t kRate = 100'000'000'000;  // bytes a second: nothing waits for it
  static constexpr std::uint64_t kTokens = 100'000'000;
  DpdkBurst burst_;
  std::unique_ptr<rte_sched_port, FreeWith<rte_sched_port, rte_sched_port_free>> port_;
};

// rte_distributor gives flows to four workers. One thread is all of them, as in SteeringHop.
class DpdkDistributor final : public Workload {
 public:
  explicit DpdkDistributor(const Setup& setup) : Workload(setup.frames(), 1), burst_(setup), distributor_(shared()) {
    for (std::uint32_t i = 0; i < burst_.size(); ++i) burst_[i]->hash.usr = i * 0x9E3779B1U >> 16;
  }
  void prepare() override {}
  void run() override {
    for (std::uint32_t done = 0; done < operations(); done += burst_.size()) {
      std::copy_n(burst_.data(), burst_.size(), frames_.begin());
      if (rte_distributor_process(distributor_, frames_.data(), burst_.size()) != static_cast<int>(burst_.size()))
        give_up("rte_distributor left a frame");
      std::uint32_t count = take();
      for (std::uint32_t calls = 0; count < burst_.size(); ++calls) {
        // A worker gets eight frames at a time.
        rte_distributor_process(distributor_, nullptr, 0);
        count += take();
        if (calls == 100) give_up("rte_distributor kept a frame");
      }
    }
  }

 private:
  std::uint32_t take() {
    std::uint32_t count = 0;
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
      const int got = rte_distributor_poll_pkt(distributor_, worker, frames_.data());
      if (got < 0) continue;
      count += static_cast<std::uint32_t>(got);
      rte_distributor_request_pkt(distributor_, worker, nullptr, 0);
    }
    return count;
  }
  static constexpr unsigned kWorkers = 4;
  // A distributor cannot be freed.
  static rte_distributor* shared() {
    static rte_distributor* const one = [] {
      rte_distributor* const made_now =
          made(rte_distributor_create("bench", static_cast<unsigned>(SOCKET_ID_ANY), kWorkers, RTE_DIST_ALG_BURST),
               "rte_distributor has no memory");
      for (unsigned worker = 0; worker < kWorkers; ++worker) rte_distributor_request_pkt(made_now, worker, nullptr, 0);
      return made_now;
    }();
    return one;
  }
  DpdkBurst burst_;
  std::array<rte_mbuf*, Setup::kMaxBurst> frames_{};
  rte_distributor* distributor_;
};

// Forwarding by DPDK's packaged driver.
class DpdkForwardWith : public Workload {
 public:
  explicit DpdkForwardWith(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()), fixture_(dpdk_igb_packaged, setup), limit_(setup.limit()) {}
  void prepare() override {
    fixture_.finish_transmits(first_ ? 0 : operations());
    first_ = false;
    fixture_.receive();
  }

 protected:
  std::uint32_t receive_burst() {
    const std::uint32_t count = fixture_.rx(mbufs_.data(), limit_);
    for (std::uint32_t i = 0; i < count; ++i) swap_macs(data_of(mbufs_[i]));
    return count;
  }
  DpdkFixture fixture_;
  std::uint32_t limit_;
  std::array<rte_mbuf*, Setup::kMaxBurst> mbufs_{};

 private:
  bool first_ = true;
};

// What the callbacks of rte_pdump do with each burst, which only a second process can register: copy each frame as a
// packet block of pcapng, and put the copies into a ring.
class DpdkForwardCaptured final : public DpdkForwardWith {
 public:
  explicit DpdkForwardCaptured(const Setup& setup)
      : DpdkForwardWith(setup),
        name_("copies" + std::to_string(next_number())),
        pool_(
            made(rte_pktmbuf_pool_create(name_.c_str(), 4095, RTE_MEMPOOL_CACHE_MAX_SIZE, 0,
                                         static_cast<std::uint16_t>(rte_pcapng_mbuf_size(kSnapLength)), SOCKET_ID_ANY),
                 "DPDK has no memory for a pool: reserve more huge pages")),
        ring_(made(rte_ring_create(name_.c_str(), 2048, SOCKET_ID_ANY, RING_F_SC_DEQ),
                   "DPDK has no memory for a ring")) {}
  ~DpdkForwardCaptured() override { drain(); }
  void prepare() override {
    DpdkForwardWith::prepare();
    drain();
  }
  void run() override {
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      const std::uint32_t count = receive_burst();
      copy(count, RTE_PCAPNG_DIRECTION_IN);
      copy(count, RTE_PCAPNG_DIRECTION_OUT);
      fixture_.tx(mbufs_.data(), count);
    }
  }

 private:
  static constexpr std::uint32_t kSnapLength = 1518;
  void copy(std::uint32_t count, rte_pcapng_direction direction) {
    std::array<rte_mbuf*, Setup::kMaxBurst> copies;
    const std::uint64_t now = rte_get_tsc_cycles();
    for (std::uint32_t i = 0; i < count; ++i)
      copies[i] =
          made(rte_pcapng_copy(0, 0, mbufs_[i], pool_.get(), kSnapLength, now, direction), "a frame was not copied");
    void* const* const objects = reinterpret_cast<void**>(copies.data());
    if (rte_ring_enqueue_burst(ring_.get(), objects, count, nullptr) != count) give_up("the ring of copies is full");
  }
  void drain() {
    for (void* copied = nullptr; rte_ring_dequeue(ring_.get(), &copied) == 0;)
      rte_pktmbuf_free(static_cast<rte_mbuf*>(copied));
  }
  std::string name_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
  std::unique_ptr<rte_ring, FreeWith<rte_ring, rte_ring_free>> ring_;
};

// A service that forwards one burst each time it is run.
class DpdkForwardService final : public DpdkForwardWith {
 public:
  explicit DpdkForwardService(const Setup& setup) : DpdkForwardWith(setup) {
    rte_service_spec spec{};
    std::strcpy(spec.name, "forward");
    spec.callback = &DpdkForwardService::forward;
    spec.callback_userdata = this;
    if (rte_service_component_register(&spec, &id_) != 0) give_up("DPDK takes no service");
    rte_service_component_runstate_set(id_, 1);
    rte_service_runstate_set(id_, 1);
  }
  ~DpdkForwardService() override {
    rte_service_runstate_set(id_, 0);
    rte_service_component_runstate_set(id_, 0);
    rte_service_component_unregister(id_);
  }
  void run() override {
    for (sent_ = 0; sent_ < operations();) {
      if (rte_service_run_iter_on_app_lcore(id_, 0) != 0) give_up("DPDK does not run a service");
    }
  }

 private:
  static std::int32_t forward(void* object) {
    auto& self = *static_cast<DpdkForwardService*>(object);
    const std::uint32_t count = self.receive_burst();
    self.fixture_.tx(self.mbufs_.data(), count);
    self.sent_ += count;
    return 0;
  }
  std::uint32_t id_ = 0;
  std::uint32_t sent_ = 0;
};

template <class Made>
std::unique_ptr<Workload> make(const Setup& setup) {
  return std::make_unique<Made>(setup);
}

}  // namespace

std::span<const Case> dpdk_features() {
  static constexpr std::array kCases = {
      Case{"gro_merge", kDpdkPackaged, &make<DpdkGro>, false, false},
      Case{"queue_drr", kDpdkPackaged, &make<DpdkSched>, false, false},
      Case{"queue_fq_codel", kDpdkPackaged, &make<DpdkSched>, false, false},
      Case{"queue_fq_codel_classified", kDpdkPackaged, &make<DpdkSched>, false, false},
      Case{"steering_hop", kDpdkPackaged, &make<DpdkDistributor>, false, false},
      Case{"forward_captured", kDpdkPackaged, &make<DpdkForwardCaptured>, false, false},
      Case{"forward_poller", kDpdkPackaged, &make<DpdkForwardService>, false, false},
  };
  return kCases;
}

}  // namespace pollux::bench
