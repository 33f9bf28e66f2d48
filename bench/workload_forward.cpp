// SPDX-License-Identifier: BSD-3-Clause
// rx_burst, a swap of the MAC addresses, tx_burst.
#include "workload_forward.hpp"

#include "do_not_optimize.hpp"
#include "pollux/net/queue_driver.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

// Forwarding that also reads hash, type, VLAN and checksum status of every frame.
class ForwardOffload final : public Forward {
 public:
  using Forward::Forward;
  void run() override {
    RxQueue& rx = fixture.rx();
    TxQueue& tx = fixture.tx();
    Burst<Setup::kMaxBurst> burst;
    std::uint64_t sum = 0;
    for (std::uint32_t done = 0; done < frames; done += limit) {
      rx.rx_burst(burst, limit);
      for (Mbuf& mbuf : burst) {
        swap_macs(mbuf.data());
        const RxMetadata metadata(mbuf);
        sum += metadata.rss_hash().value_or(0) + metadata.vlan().value_or(0) + metadata.packet_type().bits +
               static_cast<unsigned>(metadata.ip_checksum()) + static_cast<unsigned>(metadata.l4_checksum());
      }
      tx.tx_burst(burst);
    }
    do_not_optimize(sum);
  }
};

// Forwarding that requests two checksums of each frame.
class ForwardChecksums final : public Forward {
 public:
  using Forward::Forward;
  void run() override {
    RxQueue& rx = fixture.rx();
    TxQueue& tx = fixture.tx();
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < frames; done += limit) {
      rx.rx_burst(burst, limit);
      for (Mbuf& mbuf : burst) {
        swap_macs(mbuf.data());
        mbuf.set_tx_offload({.flags = TxOffload::ipv4_checksum | TxOffload::tcp_checksum, .l2 = 14, .l3 = 20});
      }
      tx.tx_burst(burst);
    }
  }
};

// Forwarding that requests a VLAN tag for each frame, which the card inserts.
class ForwardVlan final : public Forward {
 public:
  explicit ForwardVlan(const Setup& setup) : Forward(setup) {
    need(fixture.port().change([](Settings& settings) { settings.vlan_stripping = true; }));
  }
  void run() override {
    RxQueue& rx = fixture.rx();
    TxQueue& tx = fixture.tx();
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < frames; done += limit) {
      rx.rx_burst(burst, limit);
      for (Mbuf& mbuf : burst) {
        swap_macs(mbuf.data());
        mbuf.set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 7});
      }
      tx.tx_burst(burst);
    }
  }
};

// Forwarding to a queue that other threads may use, too. None does.
class ForwardShared final : public Forward {
 public:
  explicit ForwardShared(const Setup& setup) : Forward(setup), shared_(need(fixture.share())) {}
  void run() override {
    RxQueue& rx = fixture.rx();
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < frames; done += limit) {
      rx.rx_burst(burst, limit);
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      shared_.tx_burst(burst);
    }
  }

 private:
  SharedTxQueue shared_;
};

// Forwarding by one thread that polls several queues in turn.
class ForwardQueues final : public Forward {
 public:
  explicit ForwardQueues(const Setup& setup) : Forward(setup) {
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue)
      queue_pairs_.push_back({&fixture.rx(queue), &fixture.tx(queue)});
  }
  void run() override {
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < frames; done += limit) {
      for (const QueuePair& pair : queue_pairs_) {
        pair.rx->rx_burst(burst, limit);
        for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
        pair.tx->tx_burst(burst);
      }
    }
  }

 private:
  struct QueuePair {
    RxQueue* rx;
    TxQueue* tx;
  };
  std::vector<QueuePair> queue_pairs_;
};

/// Counts frames. It does the least that an observer can do.
class CountingObserver final : public RxObserver, public TxObserver {
 public:
  void received(const RxQueue& /*queue*/, std::span<Mbuf* const> frames) noexcept override { count_ += frames.size(); }
  void sending(const TxQueue& /*queue*/, std::span<Mbuf* const> /*frames*/) noexcept override {}
  void sent(const TxQueue& /*queue*/, std::uint32_t count) noexcept override { count_ += count; }

 private:
  std::uint64_t count_ = 0;
};

// Forwarding with an observer of each queue.
class ForwardObserved final : public Forward {
 public:
  explicit ForwardObserved(const Setup& setup) : Forward(setup) {
    need(fixture.port().attach_observer(0, static_cast<RxObserver&>(observer_)));
    need(fixture.port().attach_observer(0, static_cast<TxObserver&>(observer_)));
  }
  ~ForwardObserved() override {
    need(fixture.port().detach_observer(0, static_cast<RxObserver&>(observer_)));
    need(fixture.port().detach_observer(0, static_cast<TxObserver&>(observer_)));
  }

 private:
  CountingObserver observer_;
};

// Forwarding with raw pointers, to show the cost of the ownership types. An application cannot do this: a derived class
// accesses the queue's gate.
struct RawRx : RxQueueDriver {
  static constexpr auto kGate = &RawRx::gate_;

 protected:
  ~RawRx() = default;
};
struct RawTx : TxQueueDriver {
  static constexpr auto kGate = &RawTx::gate_;

 protected:
  ~RawTx() = default;
};

class ForwardRaw final : public Forward {
 public:
  using Forward::Forward;
  void run() override {
    RxQueue& rx = fixture.rx();
    TxQueue& tx = fixture.tx();
    std::array<Mbuf*, Setup::kMaxBurst> mbufs{};
    for (std::uint32_t done = 0; done < frames; done += limit) {
      const std::uint32_t count = (rx.*RawRx::kGate).call(rx, mbufs.data(), limit);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(mbufs[i]->data());
      static_cast<void>((tx.*RawTx::kGate).call(tx, static_cast<Mbuf* const*>(mbufs.data()), count));
    }
  }
};

}  // namespace

std::unique_ptr<Workload> forward(const Setup& setup) { return std::make_unique<Forward>(setup); }
std::unique_ptr<Workload> forward_offload(const Setup& setup) { return std::make_unique<ForwardOffload>(setup); }
std::unique_ptr<Workload> forward_checksums(const Setup& setup) { return std::make_unique<ForwardChecksums>(setup); }
std::unique_ptr<Workload> forward_vlan(const Setup& setup) { return std::make_unique<ForwardVlan>(setup); }
std::unique_ptr<Workload> forward_shared(const Setup& setup) { return std::make_unique<ForwardShared>(setup); }
std::unique_ptr<Workload> forward_queues(const Setup& setup) { return std::make_unique<ForwardQueues>(setup); }
std::unique_ptr<Workload> forward_observed(const Setup& setup) { return std::make_unique<ForwardObserved>(setup); }
std::unique_ptr<Workload> forward_raw(const Setup& setup) { return std::make_unique<ForwardRaw>(setup); }

}  // namespace pollux::bench
