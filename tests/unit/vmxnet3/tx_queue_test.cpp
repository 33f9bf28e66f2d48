// SPDX-License-Identifier: BSD-3-Clause
// Sending to a device in the hands of the test.
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
    auto* const entries = memory.at<reg::Completion>(kSize * sizeof(reg::Descriptor));
    const bool first_lap = (done & kSize) == 0;
    entries[done++ % kSize] = {index, first_lap ? reg::kCompletionGeneration : 0};
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
    EXPECT_EQ(send(1), 0u) << "the queue has ended";
    ASSERT_NE(tx.fault(), nullptr);
    EXPECT_FALSE(tx.progress());
  }
  EXPECT_EQ(tx.drain(DrainReason::stopped), 9u);
  EXPECT_EQ(tx.drops().stopped, 15u);
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
