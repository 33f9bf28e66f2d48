// SPDX-License-Identifier: BSD-3-Clause
// The cases of DPDK's virtio driver: the work of workload_virtio.cpp, with its mbufs. The driver's functions are called
// directly, without rte_eth_rx_burst around them.
#include <memory>
#include <utility>
#include <vector>

#include "arrivals.hpp"
#include "dpdk_fixture.hpp"
#include "dpdk_virtio.h"
#include "faked_virtio.hpp"
#include "fixture.hpp"
#include "one_way.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

// A port on a faked device. Addresses are this process's, so the device needs no domain.
class VirtioFixture {
 public:
  VirtioFixture(const DpdkVirtio& driver, const DpdkVirtioOffer& offer, const Setup& setup)
      : VirtioFixture(driver, offer, setup, shuffled_pool(setup, next_number())) {}
  VirtioFixture(const DpdkVirtio& driver, const DpdkVirtioOffer& offer, const Setup& setup,
                std::shared_ptr<rte_mempool> pool)
      : driver_(driver), setup_(setup), pool_(std::move(pool)) {
    port_ = made(driver.start(&offer, pool_.get(), static_cast<std::uint16_t>(setup.ring)),
                 "DPDK's virtio driver did not start");
    if (port_->vectorized != offer.vectorized) give_up("DPDK's virtio driver did not choose its vectorized path");
    receiver_ = device(port_->receive, offer);
    sender_ = device(port_->transmit, offer);
  }
  VirtioFixture(const VirtioFixture&) = delete;
  VirtioFixture& operator=(const VirtioFixture&) = delete;
  ~VirtioFixture() { driver_.stop(port_); }

  void receive() {
    if (receiver_.receive(setup_.frames(), setup_.frame) != setup_.frames()) give_up("DPDK's buffers are missing");
  }
  /// Sends what the last round has left, unless there was none.
  void finish_transmits(std::uint32_t expected) {
    const std::uint32_t sent = sender_.finish_transmits();
    if (!first_ && sent != expected) give_up("DPDK's driver did not send all frames");
    first_ = false;
  }
  std::uint32_t rx(rte_mbuf** mbufs, std::uint32_t count) {
    return port_->rx_burst(port_->rx, mbufs, static_cast<std::uint16_t>(count));
  }
  std::uint32_t tx(rte_mbuf** mbufs, std::uint32_t count) {
    return port_->tx_burst(port_->tx, mbufs, static_cast<std::uint16_t>(count));
  }
  rte_mempool* pool() { return pool_.get(); }
  [[nodiscard]] FakedVirtqueue& receiver() { return receiver_; }
  [[nodiscard]] FakedVirtqueue& sender() { return sender_; }

 private:
  [[nodiscard]] FakedVirtqueue device(const DpdkVirtqueue& queue, const DpdkVirtioOffer& offer) const {
    FakedVirtqueue made({.descriptors = static_cast<std::byte*>(queue.descriptors),
                         .driver = static_cast<std::byte*>(queue.driver),
                         .device = static_cast<std::byte*>(queue.device),
                         .size = setup_.ring},
                        offer.packed);
    made.set_cold(setup_.cold);
    made.ask_for_no_doorbells();
    return made;
  }

  const DpdkVirtio& driver_;
  Setup setup_;
  std::shared_ptr<rte_mempool> pool_;
  DpdkVirtioPort* port_ = nullptr;
  FakedVirtqueue receiver_;
  FakedVirtqueue sender_;
  bool first_ = true;
};

// Several devices of a pair of queues each, with one pool: the driver's functions know only their queue.
class ArrivalsPort {
 public:
  ArrivalsPort(const DpdkVirtio& driver, const DpdkVirtioOffer& offer, const Setup& setup) {
    const std::shared_ptr<rte_mempool> pool = shuffled_pool(setup, next_number());
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue) {
      pairs_.push_back(std::make_unique<VirtioFixture>(driver, offer, setup, pool));
      card_.add(pairs_.back()->receiver(), pairs_.back()->sender());
    }
  }
  [[nodiscard]] FakedVirtioCard& card() { return card_; }
  [[nodiscard]] const FakedVirtioCard& card() const { return card_; }
  std::uint32_t forward(std::uint16_t queue, std::uint32_t limit) { return forward_once(*pairs_[queue], limit); }

 private:
  std::vector<std::unique_ptr<VirtioFixture>> pairs_;
  FakedVirtioCard card_;
};

// The same arrivals as Pollux's, with rings of `Ring` descriptors; 0: with those of the row.
template <const DpdkVirtio& Driver, DpdkVirtioOffer Offer, std::uint32_t Ring>
std::unique_ptr<Workload> make_arrivals(const Setup& setup) {
  Setup own = setup;
  if (Ring != 0) own.ring = Ring;
  return std::make_unique<ForwardArrivals<ArrivalsPort>>(own, Driver, Offer);
}

template <class Made, const DpdkVirtio& Driver, DpdkVirtioOffer Offer>
std::unique_ptr<Workload> make(const Setup& setup) {
  return std::make_unique<Made>(setup, Driver, Offer);
}

constexpr std::string_view kNames[2][2][3] = {
    {{"virtio_split_forward", "virtio_split_rx", "virtio_split_tx"},
     {"virtio_split_forward_mergeable", "virtio_split_rx_mergeable", "virtio_split_tx_mergeable"}},
    {{"virtio_packed_forward", "virtio_packed_rx", "virtio_packed_tx"},
     {"virtio_packed_forward_mergeable", "virtio_packed_rx_mergeable", "virtio_packed_tx_mergeable"}}};
constexpr std::uint32_t kLeastOfVectors = 8;  // for fewer frames, receiving from a split ring returns none for ever

enum : unsigned { kPackedRing = 1, kMergeable = 2, kInOrder = 4, kVectorized = 8 };
constexpr DpdkVirtioOffer offer(unsigned what) {
  return {.packed = (what & kPackedRing) != 0,
          .mergeable = (what & kMergeable) != 0,
          .in_order = (what & kInOrder) != 0,
          .vectorized = (what & kVectorized) != 0};
}

template <const DpdkVirtio& Driver, DpdkVirtioOffer Offer>
void add_arrivals(std::vector<Case>& cases, Case one) {
  one.name = Offer.packed ? "virtio_packed_arrivals" : "virtio_split_arrivals";
  const auto add = [&](std::string_view variant, auto* make) {
    one.variant = variant;
    one.make = make;
    cases.push_back(one);
  };
  constexpr std::string_view kPaths[] = {"default", "in order", "vectorized"};
  constexpr std::string_view kShort[] = {"default, rings of 64", "in order, rings of 64", "vectorized, rings of 64"};
  constexpr std::string_view kHalf[] = {"default, rings of 128", "in order, rings of 128", "vectorized, rings of 128"};
  constexpr std::string_view kLong[] = {"default, rings of 256", "in order, rings of 256", "vectorized, rings of 256"};
  constexpr unsigned kPath = Offer.vectorized ? 2 : Offer.in_order ? 1 : 0;
  add(kPaths[kPath], &make_arrivals<Driver, Offer, 0>);
  add(kShort[kPath], &make_arrivals<Driver, Offer, 64>);
  add(kHalf[kPath], &make_arrivals<Driver, Offer, 128>);
  add(kLong[kPath], &make_arrivals<Driver, Offer, 256>);
}

// The cases of a driver with what is offered.
template <const DpdkVirtio& Driver, DpdkVirtioOffer Offer>
void add(std::vector<Case>& cases, std::string_view who) {
  if (Offer.packed && Offer.vectorized && !processor_has(BurstMode::avx512)) return;
  const auto& names = kNames[Offer.packed][Offer.mergeable];
  Case one{names[0], who, &make<DpdkForwarding<VirtioFixture>, Driver, Offer>, true, false};
  one.variant = Offer.vectorized ? "vectorized" : Offer.in_order ? "in order" : "default";
  one.least_burst = Offer.vectorized && !Offer.packed ? kLeastOfVectors : 1;
  cases.push_back(one);
  if constexpr (!Offer.mergeable) add_arrivals<Driver, Offer>(cases, one);
  one.name = names[1];
  one.make = &make<DpdkReceiving<VirtioFixture>, Driver, Offer>;
  cases.push_back(one);
  one.name = names[2];
  one.make = &make<DpdkSending<VirtioFixture>, Driver, Offer>;
  cases.push_back(one);
}

// The driver's default path, the one for devices that keep the order, and the vectorized one where there is one: for a
// split ring only receiving, for a packed one with mergeable buffers only sending.
template <const DpdkVirtio& Driver>
void add_all(std::vector<Case>& cases, std::string_view who) {
  add<Driver, offer(0)>(cases, who);
  add<Driver, offer(kInOrder)>(cases, who);
  add<Driver, offer(kVectorized)>(cases, who);
  add<Driver, offer(kMergeable)>(cases, who);
  add<Driver, offer(kMergeable | kInOrder)>(cases, who);
  add<Driver, offer(kPackedRing)>(cases, who);
  add<Driver, offer(kPackedRing | kInOrder)>(cases, who);
  add<Driver, offer(kPackedRing | kInOrder | kVectorized)>(cases, who);
  add<Driver, offer(kPackedRing | kMergeable)>(cases, who);
  add<Driver, offer(kPackedRing | kMergeable | kInOrder)>(cases, who);
  add<Driver, offer(kPackedRing | kMergeable | kInOrder | kVectorized)>(cases, who);
}

}  // namespace

std::span<const Case> dpdk_virtio_cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> cases;
    add_all<dpdk_virtio_packaged>(cases, kDpdkPackaged);
    add_all<dpdk_virtio_native>(cases, kDpdkNative);
    return cases;
  }();
  return all;
}

}  // namespace pollux::bench
