// SPDX-License-Identifier: BSD-3-Clause
// The queues of an AF_XDP port with the test as the kernel: what a real one does not do at will, or never.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "fixture.hpp"
#include "mem/context_state.hpp"
#include "ports/xdp/queues.hpp"
#include "support/faked_xdp_socket.hpp"

namespace pollux::ports {
namespace {

constexpr std::uint32_t kRing = 8;
constexpr std::uint64_t kAddressMask = XSK_UNALIGNED_BUF_ADDR_MASK;

std::uint64_t changed(std::uint64_t address, std::int64_t by) {
  return (address & ~kAddressMask) | ((address + static_cast<std::uint64_t>(by)) & kAddressMask);
}

Bytes unicast(std::size_t bytes, std::uint8_t number) {
  Bytes frame = numbered(bytes, number);
  frame[0] = 2;
  return frame;
}

class XdpQueues : public PortFixture {
 protected:
  XdpQueues() {
    must(memory_.follow(context_));
    layout_ = must(xdp::ChunkLayout::of(pool_.options(), "xdp"));
    area_ = memory_.area({pool_.core().get()}, layout_);
    std::vector<Mbuf*> mbufs;
    for (std::uint32_t i = 0; i < kRing; ++i) mbufs.push_back(pool_.allocate().release());
    rx_.set_up(pool_.core(), cache_.core(), 3);
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    calls_ = {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
    rx_.attach(socket_.rings(), ends[0], *area_, mbufs, {});
    rx_.open();
    tx_.set_up({.min_frame = 14, .max_frame = 1518, .offloads = 0}, cache_.core(), context_.state());
    tx_.set_ring(kRing);
    tx_.attach(socket_.rings(), -1, false, area_, pool_, 4);
    tx_.open();
    filter_.set_promiscuous(true);
  }
  ~XdpQueues() override {
    static_cast<void>(rx_.detach());
    static_cast<void>(tx_.detach());
    rx_.retire();
    tx_.retire();
    EXPECT_EQ(pool_.stats().in_use(), 0U);
  }

  /// A frame arrives, `moved` bytes behind where one begins usually.
  void arrive(const Bytes& frame, std::int32_t moved = 0, std::uint32_t options = 0) {
    const auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(layout_.headroom) + 256 + moved);
    const std::uint64_t chunk = socket_.fill.next();
    std::memcpy(area_->first() + chunk + offset, frame.data(), frame.size());
    socket_.receive(offset, static_cast<std::uint32_t>(frame.size()), options);
  }
  std::vector<Bytes> received(std::uint32_t limit = 32) {
    Burst<32> burst;
    queue(rx_).rx_burst(burst, limit);
    std::vector<Bytes> frames;
    for (const Mbuf& mbuf : burst) {
      EXPECT_EQ(mbuf.port(), 3U);
      Bytes bytes(mbuf.packet_length());
      EXPECT_EQ(mbuf.copy_out(0, bytes), bytes.size());
      frames.push_back(std::move(bytes));
    }
    burst.drop(looked_at_, cache_);
    return frames;
  }
  /// Returns the number of frames that were taken.
  std::uint32_t sent(std::uint32_t count, std::uint32_t bytes = 60) {
    Burst<32> burst;
    EXPECT_TRUE(burst.fill(cache_, count));
    for (Mbuf& mbuf : burst) std::memset(mbuf.append(bytes), 0xFF, bytes);
    const std::uint32_t taken = queue(tx_).tx_burst(burst);
    burst.drop(looked_at_, cache_);
    return taken;
  }
  /// A frame that is freed in another way than most.
  std::uint32_t sent_with_a_stamp() {
    MbufPtr mbuf = make_mbuf(Bytes(60, 0xFF));
    mbuf->set_timestamp(1);
    Burst<1> burst;
    EXPECT_TRUE(burst.push(mbuf));
    return queue(tx_).tx_burst(burst);
  }
  /// How often the receive queue calls the kernel meanwhile: a call takes one of the datagrams.
  template <class Function>
  std::size_t calls(Function&& function) {
    constexpr std::size_t kMost = 8;
    for (std::size_t i = 0; i < kMost; ++i) EXPECT_EQ(::send(calls_[1].get(), "", 1, 0), 1);
    function();
    std::size_t left = 0;
    while (::recv(calls_[0].get(), nullptr, 0, MSG_DONTWAIT) == 0) ++left;
    return kMost - left;
  }
  static RxQueue& queue(RxQueue& base) { return base; }
  static TxQueue& queue(TxQueue& base) { return base; }

  xdp::SharedMemory memory_;
  xdp::ChunkLayout layout_;
  std::shared_ptr<xdp::Umem> area_;
  test::FakedXdpSocket socket_{kRing};
  std::array<FileDescriptor, 2> calls_;
  RxFilter filter_;
  xdp::DeletionNotifier deletion_{[] { return true; }, xdp::DeletionEvents(FileDescriptor())};
  xdp::XdpRxQueue rx_{filter_, deletion_};
  xdp::XdpTxQueue tx_;
  DropCounter looked_at_{"looked at"};
};

TEST_F(XdpQueues, ReceivesInBurstsOfAnySizeAcrossTheEndOfTheRings) {
  std::uint8_t number = 0;
  for (std::uint32_t round = 0; round < 40; ++round) {
    const std::uint32_t count = 1 + round % kRing;
    std::vector<Bytes> frames;
    for (std::uint32_t i = 0; i < count; ++i) frames.push_back(unicast(60 + i, ++number));
    for (const Bytes& frame : frames) arrive(frame);
    EXPECT_EQ(received(), frames) << round;
    EXPECT_EQ(socket_.fill.count(), kRing) << "the kernel has as many as before";
  }
  EXPECT_EQ(rx_.arrivals().errors, 0U);
}

TEST_F(XdpQueues, OnlyAnEmptyBurstAndArmingCallTheKernel) {
  const Bytes frame = unicast(60, 1);
  EXPECT_EQ(calls([&] { received(); }), 0U) << "the kernel does not ask for it";
  socket_.fill.ask_for_wakeups();
  for (const std::uint32_t count : {1U, 2U, kRing}) {
    EXPECT_EQ(calls([&] {
                for (std::uint32_t i = 0; i < count; ++i) arrive(frame);
                EXPECT_EQ(received().size(), count);
              }),
              0U)
        << count;
    EXPECT_EQ(calls([&] { EXPECT_TRUE(received().empty()); }), 1U);
  }
  arrive(frame);
  EXPECT_EQ(received().size(), 1U);
  EXPECT_EQ(calls([&] { static_cast<void>(queue(rx_).arm()); }), 1U) << "the card may have no mbuf left";
  queue(rx_).disarm();
}

TEST_F(XdpQueues, BroadcastsAndMulticastsPassTheFilter) {
  const auto to = [](std::initializer_list<std::uint8_t> address) {
    Bytes frame = numbered(60, 1);
    std::ranges::copy(address, frame.begin());
    return frame;
  };
  const Bytes own = to({2, 0, 0, 0, 0, 1});
  const Bytes other = to({2, 0, 0, 0, 0, 2});
  const Bytes broadcast = to({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF});
  const Bytes group = to({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFD});
  const std::vector all{own, broadcast, group, other, broadcast, own, group};
  struct Case {
    bool promiscuous, all_multicast;
    std::vector<Bytes> expected;
    std::uint64_t multicasts, filtered;  // of the frames one by one and in a burst
  };
  filter_.set_mac(MacAddress{2, 0, 0, 0, 0, 1});
  std::uint64_t multicasts = 0;
  std::uint64_t filtered = 0;
  std::uint64_t packets = 0;
  for (const Case& one : {Case{true, false, all, 4, 0}, Case{false, false, {own, broadcast, broadcast, own}, 4, 6},
                          Case{false, true, {own, broadcast, group, broadcast, own, group}, 4, 2}}) {
    filter_.set_promiscuous(one.promiscuous);
    filter_.set_all_multicast(one.all_multicast);
    for (const Bytes& frame : all) arrive(frame);
    EXPECT_EQ(received(), one.expected);
    std::vector<Bytes> frames;
    for (const Bytes& frame : all) {
      arrive(frame);
      for (Bytes& bytes : received()) frames.push_back(std::move(bytes));
    }
    EXPECT_EQ(frames, one.expected);
    EXPECT_EQ(rx_.arrivals().multicast, multicasts += one.multicasts);
    EXPECT_EQ(rx_.drops().filtered, filtered += one.filtered);
    EXPECT_EQ(rx_.arrivals().packets, packets += 2 * all.size());
    EXPECT_EQ(socket_.fill.count(), kRing);
  }
}

TEST_F(XdpQueues, FramesBeginWhereTheKernelSays) {
  const Bytes frame = unicast(60, 1);
  for (const std::int32_t moved : {-64, -1, 0, 1, 300}) {
    arrive(frame, moved);
    arrive(frame, moved);
    EXPECT_EQ(received(), std::vector({frame, frame})) << moved;
    arrive(frame, moved);
    EXPECT_EQ(received(), std::vector({frame})) << moved;
  }
}

TEST_F(XdpQueues, AnAddressThatTheKernelWasNotGivenIsAnError) {
  const Bytes frame = unicast(60, 1);
  const std::uint64_t offset = std::uint64_t{layout_.headroom + 256} << XSK_UNALIGNED_BUF_OFFSET_SHIFT;
  const std::uint64_t borrowed = socket_.fill.next();
  Mbuf* const own = pool_.allocate().release();
  const auto at = static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(own) - area_->first());
  std::uint64_t errors = 0;
  for (const std::uint64_t wrong : {at, changed(borrowed, 1), changed(borrowed, -1), changed(borrowed, 32),
                                    changed(borrowed, 64), changed(borrowed, -64), changed(borrowed, 256),
                                    std::uint64_t{area_->bytes()}, std::uint64_t{area_->bytes() - 64}, kAddressMask}) {
    for (std::uint32_t count = 1; count < 3; ++count) {
      for (std::uint32_t i = 0; i < count; ++i) socket_.rx.put({.addr = wrong | offset, .len = 60, .options = 0});
      EXPECT_TRUE(received().empty()) << wrong;
      EXPECT_EQ(rx_.arrivals().errors, errors += count) << wrong;
    }
  }
  arrive(frame);
  socket_.rx.put({.addr = borrowed | offset, .len = 60, .options = 0});
  EXPECT_EQ(received(), std::vector({frame})) << "the second time it is not the kernel's";
  EXPECT_EQ(rx_.arrivals().errors, errors + 1);
  EXPECT_EQ(rx_.arrivals().packets, 1U);
  MbufDeleter{}(own);
}

TEST_F(XdpQueues, FiltersAndCountsEachFrame) {
  const auto to = [](std::array<std::uint8_t, 6> mac, std::size_t bytes) {
    Bytes frame = unicast(bytes, 7);
    std::copy(mac.begin(), mac.end(), frame.begin());
    return frame;
  };
  const Bytes own = to({2, 0, 0, 0, 0, 9}, 60);
  const Bytes other = to({2, 0, 0, 0, 0, 8}, 61);
  const Bytes all = to({255, 255, 255, 255, 255, 255}, 62);
  const Bytes group = to({1, 0, 0x5E, 0, 0, 1}, 63);
  const Bytes longest = to({2, 0, 0, 0, 0, 9}, 1518);
  const Bytes too_long = to({2, 0, 0, 0, 0, 9}, 1519);
  const std::vector<Bytes> frames{own, other, all, group, own, longest, too_long, own};
  filter_.set_promiscuous(false);
  filter_.set_mac({2, 0, 0, 0, 0, 9});
  for (const bool at_once : {true, false}) {
    std::vector<Bytes> seen;
    for (const Bytes& frame : frames) {
      arrive(frame);
      if (at_once) continue;
      for (Bytes& one : received()) seen.push_back(std::move(one));
    }
    if (at_once) seen = received();
    EXPECT_EQ(seen, std::vector({own, all, own, longest, own})) << at_once;
  }
  EXPECT_EQ(rx_.drops().filtered, 4U);
  EXPECT_EQ(rx_.drops().too_long, 2U);
  EXPECT_EQ(rx_.arrivals().packets, 16U);
  EXPECT_EQ(rx_.arrivals().bytes, 2U * (3 * 60 + 61 + 62 + 63 + 1518 + 1519));
  EXPECT_EQ(rx_.arrivals().multicast, 2U);
  filter_.set_promiscuous(true);
  for (const Bytes& frame : frames) arrive(frame);
  EXPECT_EQ(received(), std::vector({own, other, all, group, own, longest, own}));
  EXPECT_EQ(rx_.arrivals().multicast, 3U);
}

TEST_F(XdpQueues, PiecesOfFramesAmongWholeOnes) {
  const Bytes whole = unicast(60, 1);
  const Bytes pieces = unicast(90, 2);
  arrive(whole);
  arrive({pieces.begin(), pieces.begin() + 40}, 0, xdp::kContinues);
  arrive({pieces.begin() + 40, pieces.begin() + 80}, 0, xdp::kContinues);
  EXPECT_EQ(received(), std::vector({whole}));
  arrive({pieces.begin() + 80, pieces.end()});
  arrive(whole);
  EXPECT_EQ(received(), std::vector({pieces, whole}));
  EXPECT_EQ(rx_.arrivals().bytes, 210U);
}

TEST_F(XdpQueues, WithoutAFreeMbufAFrameIsDroppedAndItsMbufUsedAgain) {
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = cache_.allocate()) all.push_back(std::move(mbuf));
  const Bytes frame = unicast(60, 1);
  for (int round = 0; round < 3; ++round) {
    arrive(frame);
    arrive(frame);
    EXPECT_TRUE(received().empty());
    arrive(frame);
    EXPECT_TRUE(received().empty());
    EXPECT_EQ(socket_.fill.count(), kRing);
  }
  EXPECT_EQ(rx_.drops().pool_empty, 9U);
  EXPECT_EQ(rx_.arrivals().packets, 9U);
  all.clear();
  arrive(frame);
  EXPECT_EQ(received(), std::vector({frame}));
}

TEST_F(XdpQueues, SendsInBurstsOfAnySizeAcrossTheEndOfTheRings) {
  for (std::uint32_t round = 0; round < 40; ++round) {
    const std::uint32_t count = 1 + round % kRing;
    EXPECT_EQ(sent(count, 60 + round), count);
    EXPECT_EQ(queue(tx_).in_flight(), count) << round;
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_EQ(socket_.tx.count(), count - i);
      const xdp_desc frame = socket_.tx.take();
      EXPECT_EQ(frame.len, 60 + round);
      EXPECT_EQ(frame.options, 0U);
      const std::byte* const data =
          area_->first() + (frame.addr & kAddressMask) + (frame.addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
      EXPECT_EQ(data[0], std::byte{0xFF});
      EXPECT_EQ(data[frame.len - 1], std::byte{0xFF});
      socket_.completion.put(frame.addr);
    }
  }
  EXPECT_EQ(tx_.sent().packets, 40U * 9 / 2);
  EXPECT_EQ(sent(0), 0U);
  EXPECT_EQ(queue(tx_).in_flight(), 0U);
}

TEST_F(XdpQueues, StopsAtAFullRingAndGoesOnInAnyOrderOfCompletion) {
  EXPECT_EQ(sent(12), kRing);
  EXPECT_EQ(sent(1), 0U);
  std::vector<std::uint64_t> addresses;
  while (socket_.tx.count() != 0) addresses.push_back(socket_.tx.take().addr);
  for (const std::size_t i : {7U, 3U, 0U}) socket_.completion.put(addresses[i]);
  EXPECT_EQ(sent(12), 3U);
  EXPECT_EQ(queue(tx_).in_flight(), kRing);
}

TEST_F(XdpQueues, ARingThatIsMadeSmallerTakesNothingUntilItHasRoom) {
  ASSERT_EQ(sent(6), 6U);
  tx_.set_ring(4);
  EXPECT_EQ(sent(3), 0U);
  for (int i = 0; i < 3; ++i) socket_.send();
  EXPECT_EQ(sent(3), 1U);
  EXPECT_EQ(queue(tx_).in_flight(), 4U);
}

TEST_F(XdpQueues, WhatIsCompletedThatWasNotSentIsNotFreed) {
  ASSERT_EQ(sent(2), 2U);
  EXPECT_EQ(sent_with_a_stamp(), 1U);
  for (int frame = 0; frame < 3; ++frame) {
    const std::uint64_t address = socket_.tx.take().addr;
    const std::uint32_t before = queue(tx_).in_flight();
    for (const std::int64_t by : {1, -1, 2, 32, 63, 64, -64, 256}) socket_.completion.put(changed(address, by));
    EXPECT_EQ(queue(tx_).tx_done_cleanup(), 0U);
    for (const std::uint64_t wrong : {std::uint64_t{area_->bytes()}, kAddressMask, std::uint64_t{area_->bytes() - 1}})
      socket_.completion.put(wrong);
    EXPECT_EQ(queue(tx_).tx_done_cleanup(), 0U);
    EXPECT_EQ(queue(tx_).in_flight(), before);
    socket_.completion.put(address);
    socket_.completion.put(address);
    EXPECT_EQ(queue(tx_).tx_done_cleanup(), 1U);
    EXPECT_EQ(queue(tx_).in_flight(), before - 1);
  }
}

TEST_F(XdpQueues, EachMbufReturnsOnceWhateverItsKindAndOrder) {
  for (const bool is_reversed : {false, true}) {
    ASSERT_EQ(sent(2), 2U);
    ASSERT_EQ(sent_with_a_stamp(), 1U);
    ASSERT_EQ(sent(3), 3U);
    std::vector<std::uint64_t> addresses;
    while (socket_.tx.count() != 0) addresses.push_back(socket_.tx.take().addr);
    if (is_reversed) std::reverse(addresses.begin(), addresses.end());
    for (const std::uint64_t address : addresses) socket_.completion.put(address);
    EXPECT_EQ(queue(tx_).tx_done_cleanup(), 6U);
    std::vector<MbufPtr> all;
    std::set<const Mbuf*> different;
    while (MbufPtr mbuf = cache_.allocate()) all.push_back(std::move(mbuf));
    for (const MbufPtr& mbuf : all) different.insert(mbuf.get());
    EXPECT_EQ(all.size(), pool_.options().count - kRing);
    EXPECT_EQ(different.size(), all.size()) << is_reversed;
  }
}

TEST_F(XdpQueues, WhatIsNeverCompletedIsFreedAtTheEnd) {
  ASSERT_EQ(sent(5), 5U);
  ASSERT_EQ(sent_with_a_stamp(), 1U);
  EXPECT_EQ(tx_.detach(), 6U);
  EXPECT_EQ(rx_.detach(), kRing);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

// The mark of a plain mbuf says that it belongs into the cache of the time when it was sent.
TEST_F(XdpQueues, FramesOfAnEarlierCacheReturnToTheirPool) {
  ASSERT_EQ(sent(3), 3U);
  auto others = must(Mempool::create(context_, {.count = 64}));
  MempoolCache other(others);
  ASSERT_TRUE(queue(tx_).use_cache(other));
  while (socket_.tx.count() != 0) socket_.send();
  EXPECT_EQ(queue(tx_).tx_done_cleanup(), 3U);
  EXPECT_EQ(others.stats().cached + others.stats().shared, 64U);
  EXPECT_EQ(pool_.stats().in_use(), kRing);
  ASSERT_TRUE(queue(tx_).use_cache(cache_));
}

}  // namespace
}  // namespace pollux::ports
