// SPDX-License-Identifier: BSD-3-Clause
// The queues of an AF_XDP port, with the kernel's side played by the program. A round is one burst, and the kernel has
// sent the burst before, as it does in copy mode.
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/file_descriptor.hpp"
#include "do_not_optimize.hpp"
#include "fixture.hpp"
#include "mem/context_state.hpp"
#include "ports/xdp/queues.hpp"
#include "support/faked_xdp_socket.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class XdpWorkload : public Workload {
 public:
  XdpWorkload(const Setup& setup, bool receives, bool sends)
      : Workload(setup.burst, setup.ring / std::gcd(setup.ring, setup.burst)), setup_(setup), sends_(sends) {
    filter_.set_promiscuous(true);
    need(memory_.follow(context_));
    pool_.emplace(need(Mempool::create(context_, {.count = setup.pool, .data_room = Setup::kBuffer})));
    shuffle(*pool_);
    cache_.emplace(*pool_, MempoolCache::kMaxCapacity);
    layout_ = need(xdp::ChunkLayout::of(pool_->options(), "bench"));
    area_ = memory_.area({pool_->core().get()}, layout_);
    // Nothing is sent to this socket: without data, sendto(2) succeeds at once.
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) give_up("no socket");
    ends_ = {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
    if (receives) open_rx();
    if (sends) open_tx();
  }
  ~XdpWorkload() override {
    burst_.drop(measured_, *cache_);
    static_cast<void>(rx_.detach());
    static_cast<void>(tx_.detach());
    rx_.retire();
    tx_.retire();
  }

 protected:
  void let_frames_arrive() {
    if (receiver_.rx.count() != 0) give_up("the port did not take all frames");
    for (std::uint32_t i = 0; i < operations(); ++i) receiver_.receive(layout_.headroom + 256, setup_.frame);
  }
  void let_frames_leave() {
    if (sender_.completion.count() != 0) give_up("the port did not look at what was sent");
    while (sender_.tx.count() != 0) sender_.send();
  }
  void fill_burst() {
    if (!burst_.fill(*cache_, operations())) give_up("the pool is too small");
    for (Mbuf& mbuf : burst_) do_not_optimize(mbuf.append(setup_.frame));
  }
  void drop_burst() { burst_.drop(measured_, *cache_); }
  void receive() {
    RxQueue& rx = rx_;
    rx.rx_burst(burst_, operations());
  }
  void transmit() {
    TxQueue& tx = tx_;
    tx.tx_burst(burst_);
  }

 private:
  void open_rx() {
    std::vector<Mbuf*> mbufs;
    for (std::uint32_t i = 0; i < setup_.ring; ++i) mbufs.push_back(pool_->allocate().release());
    for (Mbuf* const mbuf : mbufs) std::memset(mbuf->data(), 2, setup_.frame);
    while (MbufPtr mbuf = pool_->allocate()) {
      std::memset(mbuf->data(), 2, setup_.frame);
      others_.push_back(std::move(mbuf));
    }
    others_.clear();
    rx_.set_up(pool_->core(), cache_->core(), 0);
    rx_.attach(receiver_.rings(), -1, *area_, mbufs, {});
    rx_.open();
  }
  void open_tx() {
    sender_.tx.ask_for_wakeups();
    tx_.set_up({.min_frame = 14, .max_frame = 1518, .offloads = 0}, cache_->core(), context_.state());
    tx_.set_ring(setup_.ring);
    tx_.attach(sender_.rings(), ends_[0].get(), false, area_, *pool_, 1);
    tx_.open();
  }

  Setup setup_;
  bool sends_;
  Context context_{logging_options()};
  xdp::SharedMemory memory_;
  std::optional<Mempool> pool_;
  std::optional<MempoolCache> cache_;
  std::vector<MbufPtr> others_;
  xdp::ChunkLayout layout_;
  std::shared_ptr<xdp::Umem> area_;
  std::array<FileDescriptor, 2> ends_;
  test::FakedXdpSocket receiver_{setup_.ring};
  test::FakedXdpSocket sender_{setup_.ring};
  RxFilter filter_;
  xdp::DeletionNotifier deletion_{[] { return true; }, xdp::DeletionEvents(FileDescriptor())};
  xdp::XdpRxQueue rx_{filter_, deletion_};
  xdp::XdpTxQueue tx_;
  DropCounter measured_{"measured"};
  Burst<Setup::kMaxBurst> burst_;
};

class XdpReceive final : public XdpWorkload {
 public:
  explicit XdpReceive(const Setup& setup) : XdpWorkload(setup, true, false) {}
  void prepare() override {
    drop_burst();
    let_frames_arrive();
  }
  void run() override { receive(); }
};

class XdpTransmit final : public XdpWorkload {
 public:
  explicit XdpTransmit(const Setup& setup) : XdpWorkload(setup, false, true) {}
  void prepare() override {
    let_frames_leave();
    fill_burst();
  }
  void run() override { transmit(); }
};

class XdpForward final : public XdpWorkload {
 public:
  explicit XdpForward(const Setup& setup) : XdpWorkload(setup, true, true) {}
  void prepare() override {
    let_frames_leave();
    let_frames_arrive();
  }
  void run() override {
    receive();
    transmit();
  }
};

}  // namespace

std::unique_ptr<Workload> xdp_receive(const Setup& setup) { return std::make_unique<XdpReceive>(setup); }
std::unique_ptr<Workload> xdp_transmit(const Setup& setup) { return std::make_unique<XdpTransmit>(setup); }
std::unique_ptr<Workload> xdp_forward(const Setup& setup) { return std::make_unique<XdpForward>(setup); }

}  // namespace pollux::bench
