// SPDX-License-Identifier: BSD-3-Clause
// Sending to a device in the hands of the test.
#include "mem/ownership.hpp"
#include "unit/vmxnet3/queue_fixture.hpp"

namespace pollux::drivers::vmxnet3 {
namespace {

struct Vmxnet3Tx : Vmxnet3Queues {
  std::uint32_t send(std::uint32_t frames, std::size_t segments = 1) {
    std::uint32_t taken = 0;
    for (std::uint32_t i = 0; i < frames; ++i) {
      MbufPtr first = cache.allocate();
      std::memset(first->append(60), 2, 60);
      for (std::size_t more = 1; more < segments; ++more) {
        MbufPtr next = cache.allocate();
        std::memset(next->append(60), 2, 60);
        EXPECT_TRUE(first->chain(next));
      }
      Burst<1> burst;
      EXPECT_TRUE(burst.push(first));
      taken += tx.tx_burst(burst);
      burst.drop(seen);
    }
    return taken;
  }
  void report(std::uint32_t index) {
    auto* const entries = memory.at<reg::Completion>(tx_size * sizeof(reg::Descriptor));
    const bool first_lap = (done & tx_size) == 0;
    entries[done++ % tx_size] = {index, first_lap ? reg::kCompletionGeneration : 0};
  }
  void report_all(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t slot = from; slot < to; ++slot) report(slot % tx_size);
  }
  [[nodiscard]] const reg::Descriptor& descriptor(std::uint32_t slot) const {
    return memory.at<reg::Descriptor>(0)[slot];
  }
};

TEST_F(Vmxnet3Tx, OneSlotStaysEmpty) {
  start_tx();
  EXPECT_EQ(send(kSize + 3), kSize - 1);
  EXPECT_EQ(registers.last, std::pair(reg::TXPROD::offset(0), kSize - 1));
  for (std::uint32_t slot = 0; slot < kSize - 1; ++slot) {
    EXPECT_EQ(descriptor(slot).word, 60 | tx_bits::kGeneration | tx_bits::kEndOfPacket | tx_bits::kReport);
  }
  for (std::uint32_t slot = 0; slot < kSize - 1; ++slot) report(slot);
  EXPECT_EQ(send(3), 3u);
  EXPECT_EQ(descriptor(0).word, 60 | tx_bits::kEndOfPacket | tx_bits::kReport) << "the second lap";
  EXPECT_EQ(tx.in_flight(), 3u);
}

TEST_F(Vmxnet3Tx, TheFirstDescriptorHasTheRequest) {
  start_tx();
  MbufPtr frame = cache.allocate();
  std::memset(frame->append(60), 2, 60);
  MbufPtr more = cache.allocate();
  std::memset(more->append(60), 2, 60);
  ASSERT_TRUE(frame->chain(more));
  frame->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 0x6005});
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  ASSERT_EQ(tx.tx_burst(burst), 1u);
  EXPECT_EQ(descriptor(0).word, 60 | tx_bits::kGeneration | tx_bits::kInsertTag | std::uint64_t{0x6005} << 48);
  EXPECT_EQ(descriptor(1).word, 60 | tx_bits::kGeneration | tx_bits::kEndOfPacket | tx_bits::kReport);
}

// QEMU's device computes it anew; VMware's is given what Linux gives it.
TEST_F(Vmxnet3Tx, ASegmentedFrameKeepsItsPseudoHeader) {
  start_tx();
  Bytes bytes = tcp_frame(1000);
  packet::store16(&bytes[50], 0x1234);
  MbufPtr frame = cache.allocate();
  std::memcpy(frame->append(static_cast<std::uint32_t>(bytes.size())), bytes.data(), bytes.size());
  frame->set_tx_offload({.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 500});
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  ASSERT_EQ(tx.tx_burst(burst), 1u);
  EXPECT_EQ(descriptor(0).word, 54 | tx_bits::kGeneration | tx_bits::kSegment | std::uint64_t{54} << 32 | 500 << 18);
  const auto* const headers = reinterpret_cast<const std::uint8_t*>(memory.address) +
                              static_cast<std::ptrdiff_t>(descriptor(0).address - memory.iova);
  EXPECT_EQ(packet::load16(headers + 50), 0x1234);
  EXPECT_EQ(packet::load16(headers + 16), 1040) << "the length of the whole";
}

TEST_F(Vmxnet3Tx, OneCompletionStandsForAllFramesBeforeIt) {
  start_tx();
  EXPECT_EQ(send(4, 3), 4u);
  EXPECT_EQ(tx.in_flight(), 12u);
  report(8);
  EXPECT_FALSE(tx.finished());
  EXPECT_EQ(tx.in_flight(), 3u);
  report(11);
  EXPECT_TRUE(tx.finished());
  EXPECT_EQ(tx.fault(), nullptr);
}

TEST_F(Vmxnet3Tx, ADeviceThatLiesEndsTheQueue) {
  for (const std::uint32_t index : {1U, 9U, 31U, kSize, 0xFFFU}) {
    SCOPED_TRACE(index);
    tx.drain(DrainReason::stopped);
    done = 0;
    start_tx();
    EXPECT_EQ(send(3, 3), 3u);
    report(index);
    EXPECT_FALSE(tx.finished());
    EXPECT_EQ(send(1), 0u) << "the queue has ended";
    ASSERT_NE(tx.fault(), nullptr);
    EXPECT_FALSE(tx.progress());
  }
  EXPECT_EQ(tx.drain(DrainReason::stopped), 9u);
  EXPECT_EQ(tx.drops().stopped, 15u);
}

// Checked builds free frames one by one.
TEST_F(Vmxnet3Tx, FramesAreFreedInGroupsOf32) {
  start_tx(4 * kSize);
  EXPECT_EQ(send(40), 40u);
  report_all(0, 31);
  EXPECT_EQ(send(1), 1u);
  EXPECT_EQ(tx.in_flight(), 41u) << "the 32nd completion is missing";
  report(31);
  EXPECT_EQ(send(1), 1u);
  EXPECT_EQ(tx.in_flight(), ownership::kChecked ? 41u : 10u);
  report_all(32, 42);
  Burst<2> two;
  ASSERT_TRUE(two.fill(cache, 2));
  for (Mbuf& mbuf : two) std::memset(mbuf.append(60), 2, 60);
  EXPECT_EQ(tx.tx_burst(two), 2u);
  EXPECT_EQ(tx.in_flight(), ownership::kChecked ? 33u : 12u);
  Burst<1> none;
  EXPECT_EQ(tx.tx_burst(none), 0u);
  EXPECT_EQ(tx.in_flight(), 2u) << "an empty burst frees all that have been sent";
}

TEST_F(Vmxnet3Tx, AFullRingIsFreedWithoutGroups) {
  start_tx(2 * kSize);
  EXPECT_EQ(send(2 * kSize - 1), 2 * kSize - 1);
  report_all(0, 3);
  EXPECT_EQ(send(4), 3u);
  report_all(3, 3 + 2 * kSize - 1);
  EXPECT_EQ(send(5 * kSize), 2 * kSize - 1) << "across the end of the ring, from a slot within a group";
  report_all(2 * kSize + 2, 4 * kSize + 1);
  EXPECT_TRUE(tx.finished());
  EXPECT_EQ(tx.fault(), nullptr);
}

TEST_F(Vmxnet3Tx, ALongFrameInAGroupIsFreedOnce) {
  start_tx(4 * kSize);
  EXPECT_EQ(send(20), 20u);
  EXPECT_EQ(send(2, 3), 2u);
  EXPECT_EQ(send(40), 40u);
  report_all(0, 20);
  report(22);
  report(25);
  report_all(26, 66);
  EXPECT_EQ(send(1), 1u);
  EXPECT_LT(tx.in_flight(), 33u);
  EXPECT_EQ(tx.fault(), nullptr);
  report(66);
  EXPECT_TRUE(tx.finished());
}

TEST_F(Vmxnet3Tx, AFrameOfAnotherPoolInAGroupReturnsThere) {
  Mempool other = *Mempool::create(context, {.count = 64, .name = "other"});
  start_tx(4 * kSize);
  EXPECT_EQ(send(20), 20u);
  MbufPtr foreign = other.allocate();
  std::memset(foreign->append(60), 2, 60);
  Burst<1> burst;
  ASSERT_TRUE(burst.push(foreign));
  ASSERT_EQ(tx.tx_burst(burst), 1u);
  EXPECT_EQ(send(20), 20u);
  report_all(0, 41);
  EXPECT_EQ(send(1), 1u);
  EXPECT_EQ(send(1), 1u);
  report_all(41, 43);
  EXPECT_TRUE(tx.finished());
  EXPECT_EQ(other.stats().in_use(), 0u);
}

TEST_F(Vmxnet3Tx, ACompletionBeyondTheRingEndsTheQueue) {
  start_tx(2 * kSize);
  EXPECT_EQ(send(40), 40u);
  report_all(0, 40);
  EXPECT_TRUE(tx.finished());
  EXPECT_EQ(send(40), 40u);
  report_all(40, 71);
  report(2 * kSize + 7);
  EXPECT_EQ(send(1), 1u);
  EXPECT_FALSE(tx.finished());
  EXPECT_NE(tx.fault(), nullptr);
}

TEST_F(Vmxnet3Tx, TheLastCompletionOfAGroupIsCompared) {
  for (const std::uint32_t index : {30U, 32U, 50U, 100U}) {
    SCOPED_TRACE(index);
    tx.drain(DrainReason::stopped);
    done = 0;
    start_tx(4 * kSize);
    EXPECT_EQ(send(40), 40u);
    report_all(0, 31);
    report(index);
    EXPECT_EQ(send(1), 1u);
    EXPECT_GE(tx.in_flight(), 40u) << "the others are looked at one by one";
    EXPECT_FALSE(tx.finished());
    EXPECT_EQ(tx.fault() != nullptr, index != 32) << "it may stand for two frames, if it was the second's";
  }
}

TEST_F(Vmxnet3Tx, CountsWhatIsCertain) {
  start_tx();
  EXPECT_EQ(send(5), 5u);
  EXPECT_EQ(tx.sent().packets, 0u);
  EXPECT_EQ(tx.progress(), 0u);
  for (std::uint32_t slot = 0; slot < 3; ++slot) report(slot);
  EXPECT_EQ(tx.progress(), 3u);
  for (std::uint32_t slot = 3; slot < 5; ++slot) report(slot);
  EXPECT_FALSE(tx.progress());
  EXPECT_EQ(tx.sent().packets, 5u);
  EXPECT_EQ(tx.descriptor_status(kSize - 1), TxDescriptorStatus::sent);
}

}  // namespace
}  // namespace pollux::drivers::vmxnet3
