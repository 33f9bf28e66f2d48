// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "do_not_optimize.hpp"
#include "dpdk_fixture.hpp"
#include "swap_macs.hpp"
#include "workload.hpp"

namespace pollux::bench {

/// Receives all that has arrived. `Fixture`: a port of one of DPDK's drivers; `Port` is what it is made of.
template <class Fixture>
class DpdkReceiving final : public Workload {
 public:
  template <class... Port>
  explicit DpdkReceiving(const Setup& setup, const Port&... port)
      : Workload(setup.frames(), setup.rounds()),
        fixture_(port..., setup),
        limit_(setup.limit()),
        mbufs_(setup.frames() + setup.limit()) {}
  ~DpdkReceiving() override { rte_pktmbuf_free_bulk(mbufs_.data(), received_); }
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
  Fixture fixture_;
  std::uint32_t limit_;
  bool first_ = true;
  std::uint32_t received_ = 0;
  std::vector<rte_mbuf*> mbufs_;
};

/// Sends new frames.
template <class Fixture>
class DpdkSending final : public Workload {
 public:
  template <class... Port>
  explicit DpdkSending(const Setup& setup, const Port&... port)
      : Workload(setup.frames(), setup.rounds()), fixture_(port..., setup), setup_(setup), mbufs_(setup.frames()) {}
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
  Fixture fixture_;
  Setup setup_;
  bool first_ = true;
  std::vector<rte_mbuf*> mbufs_;
};

/// Forwards all that has arrived.
template <class Fixture>
class DpdkForwarding final : public Workload {
 public:
  template <class... Port>
  explicit DpdkForwarding(const Setup& setup, const Port&... port)
      : Workload(setup.frames(), setup.rounds()), fixture_(port..., setup), limit_(setup.limit()) {}
  void prepare() override {
    fixture_.finish_transmits(operations());
    fixture_.receive();
  }
  void run() override {
    std::array<rte_mbuf*, Setup::kMaxBurst> mbufs{};
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      const std::uint32_t count = fixture_.rx(mbufs.data(), limit_);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(data_of(mbufs[i]));
      fixture_.tx(mbufs.data(), count);
    }
  }

 private:
  Fixture fixture_;
  std::uint32_t limit_;
};

}  // namespace pollux::bench
