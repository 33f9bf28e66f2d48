// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "do_not_optimize.hpp"
#include "fixture.hpp"
#include "mem/context_state.hpp"
#include "swap_macs.hpp"
#include "workload.hpp"

/// The cases of a driver's queues on a faked device. `Receiver` and `Sender` are a queue each and the device's side of
/// it, made of a QueuePool, the Setup and `options`.
namespace pollux::bench {

/// What both directions share.
struct QueuePool {
  explicit QueuePool(const Setup& setup)
      : pool(need(Mempool::create(context, {.count = setup.pool, .data_room = Setup::kBuffer}))),
        cache(pool, MempoolCache::kMaxCapacity) {
    shuffle(pool);
  }

  Context context{logging_options()};
  Mempool pool;
  MempoolCache cache;
};

/// The device's side of a queue, and the frames of each round.
template <class Device>
class QueueEnd {
 public:
  QueueEnd() = default;
  QueueEnd(const QueueEnd&) = delete;
  QueueEnd& operator=(const QueueEnd&) = delete;

  void receive(const Setup& setup) {
    if (device_.receive(setup.frames(), setup.frame) != setup.frames()) give_up("buffers are missing");
  }
  /// Sends what the last round has left, unless there was none.
  void finish(std::uint32_t expected) {
    const std::uint32_t sent = device_.finish_transmits();
    if (!first_ && sent != expected) give_up("the driver did not send all frames");
    first_ = false;
  }
  [[nodiscard]] Device& device() { return device_; }

 protected:
  ~QueueEnd() = default;
  Device device_;

 private:
  bool first_ = true;
};

template <class Receiver>
class QueueReceive final : public Workload {
 public:
  template <class... Options>
  explicit QueueReceive(const Setup& setup, Options... options)
      : Workload(setup.frames(), setup.rounds()),
        setup_(setup),
        shared_(setup),
        receiver_(shared_, setup, options...),
        limit_(setup.limit()) {}
  ~QueueReceive() override { burst_.drop(measured_, shared_.cache); }
  void prepare() override {
    if (!first_ && burst_.size() != operations()) give_up("the driver did not deliver what had arrived");
    first_ = false;
    burst_.drop(measured_, shared_.cache);
    receiver_.receive(setup_);
  }
  void run() override {
    RxQueue& rx = receiver_.queue();
    for (std::uint32_t done = 0; done < operations(); done += limit_) rx.rx_burst(burst_, limit_);
  }

 private:
  Setup setup_;
  QueuePool shared_;
  Receiver receiver_;
  std::uint32_t limit_;
  bool first_ = true;
  DropCounter measured_{"measured"};
  Burst<4096> burst_;
};

template <class Sender>
class QueueTransmit final : public Workload {
 public:
  template <class... Options>
  explicit QueueTransmit(const Setup& setup, Options... options)
      : Workload(setup.frames(), setup.rounds()),
        shared_(setup),
        sender_(shared_, setup, options...),
        setup_(setup),
        bursts_((setup.frames() + setup.burst - 1) / setup.burst) {}
  void prepare() override {
    sender_.finish(operations());
    std::uint32_t left = operations();
    for (Burst<Setup::kMaxBurst>& burst : bursts_) {
      const std::uint32_t count = std::min(left, setup_.burst);
      if (!burst.fill(shared_.cache, count)) give_up("the pool is too small");
      for (Mbuf& mbuf : burst) do_not_optimize(mbuf.append(setup_.frame));
      left -= count;
    }
  }
  void run() override {
    TxQueue& tx = sender_.queue();
    for (Burst<Setup::kMaxBurst>& burst : bursts_) tx.tx_burst(burst);
  }

 private:
  QueuePool shared_;
  Sender sender_;
  Setup setup_;
  std::vector<Burst<Setup::kMaxBurst>> bursts_;
};

template <class Receiver, class Sender>
class QueueForward final : public Workload {
 public:
  template <class... Options>
  explicit QueueForward(const Setup& setup, Options... options)
      : Workload(setup.frames(), setup.rounds()),
        setup_(setup),
        shared_(setup),
        receiver_(shared_, setup, options...),
        sender_(shared_, setup, options...),
        limit_(setup.limit()) {}
  void prepare() override {
    sender_.finish(operations());
    receiver_.receive(setup_);
  }
  void run() override {
    RxQueue& rx = receiver_.queue();
    TxQueue& tx = sender_.queue();
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      rx.rx_burst(burst, limit_);
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      tx.tx_burst(burst);
    }
  }

 private:
  Setup setup_;
  QueuePool shared_;
  Receiver receiver_;
  Sender sender_;
  std::uint32_t limit_;
};

}  // namespace pollux::bench
