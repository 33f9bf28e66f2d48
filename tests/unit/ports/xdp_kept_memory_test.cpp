// SPDX-License-Identifier: BSD-3-Clause
// What is left of a program's queue after a crash at any point of a burst: KeptMemory::recover.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "ports/xdp/kept_memory.hpp"

namespace pollux::xdp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t kSlots = 16;
constexpr std::uint64_t kBuffer = KeptMemory::kBuffer;
constexpr KeptMemory::Buffers kRx{0, 8};
constexpr KeptMemory::Buffers kTx{8 * kBuffer, 8};

/// The memory, and rings whose kernel's end is played by hand, from a position on that soon wraps around.
class XdpKeptMemory : public testing::Test {
 protected:
  static constexpr std::uint32_t kStart = ~std::uint32_t{0} - 5;

  void SetUp() override {
    auto file = KeptMemory::make_file("xdp:eth1", 16);
    ASSERT_TRUE(file);
    file_ = *std::move(file);
    map();
    const auto bind = [](auto& ring, auto& memory) {
      ring.producer = &memory.producer;
      ring.consumer = &memory.consumer;
      ring.entries = memory.entries.data();
      ring.mask = kSlots - 1;
    };
    bind(rings_.rx, rx_);
    bind(rings_.tx, tx_);
    bind(rings_.fill, fill_);
    bind(rings_.completion, completion_);
    fill_.producer = kStart;
    for (std::uint64_t i = 0; i < kRx.count; ++i) post(i * kBuffer);
    kept_->settle(0, rings_, {1, 2, 3, 4, 5, 6});
  }
  void map() {
    auto kept = KeptMemory::map("xdp:eth1", file_.get());
    ASSERT_TRUE(kept);
    kept_ = *std::move(kept);
  }

  void post(std::uint64_t address) { rings_.fill.at(fill_.producer++) = address; }
  /// A frame that has come.
  void arrive(std::uint64_t address, std::uint32_t options = 0) {
    rings_.rx.at(rx_.producer++) = {.addr = address | 256ULL << 48, .len = 60, .options = options};
  }
  /// As a burst that sends does, up to where the kernel gets it.
  void write(std::uint32_t ahead, std::uint64_t buffer, bool marks = true, std::uint32_t options = 0) {
    const std::uint64_t address = kTx.first + buffer * kBuffer;
    rings_.tx.at(tx_.producer + ahead) = {.addr = address, .len = 60, .options = options};
    if (marks) kept_->marks()[address / kBuffer] = 1;
  }
  void complete(std::uint64_t buffer) { rings_.completion.at(completion_.producer++) = kTx.first + buffer * kBuffer; }
  handover::QueueRecord recover() {
    map();  // another program
    auto found = kept_->recover(0, rings_, kRx, kTx);
    EXPECT_TRUE(found);
    return found ? *found : handover::QueueRecord{};
  }
  void expect_refusal(const char* why) {
    const auto found = kept_->recover(0, rings_, kRx, kTx);
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().what, HasSubstr(why));
  }
  std::vector<std::uint64_t> buffers(std::initializer_list<std::uint64_t> numbers) {
    std::vector<std::uint64_t> all;
    for (const std::uint64_t number : numbers) all.push_back(kTx.first + number * kBuffer);
    return all;
  }

  template <class Entry>
  struct Memory {
    std::uint32_t producer = kStart;
    std::uint32_t consumer = kStart;
    std::array<Entry, kSlots> entries{};
  };
  FileDescriptor file_;
  std::unique_ptr<KeptMemory> kept_;
  Memory<xdp_desc> rx_, tx_;
  Memory<std::uint64_t> fill_, completion_;
  Rings rings_;
};

TEST_F(XdpKeptMemory, BetweenTwoBurstsNothingIsLost) {
  arrive(0);
  arrive(kBuffer);
  write(0, 2);
  ++tx_.producer;
  const auto found = recover();
  EXPECT_EQ(found.posted, 8U);
  EXPECT_EQ(found.in_flight, 1U);
  EXPECT_EQ(found.given, buffers({2}));
  EXPECT_EQ(found.free, buffers({0, 1, 3, 4, 5, 6, 7}));
  EXPECT_THAT(found.counts, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(kept_->losses(1).lost, 0U);
  EXPECT_EQ(kept_->losses(1).sent, 1U);
  EXPECT_EQ(rx_.producer - rx_.consumer, 2U);  // for the successor
}

TEST_F(XdpKeptMemory, BuffersBetweenTheRingsGoBackToTheKernel) {
  for (std::uint64_t i = 0; i < 3; ++i) arrive(i * kBuffer, i == 0 ? kContinues : 0);
  rx_.consumer += 3;
  for (std::uint32_t i = 0; i < 3; ++i) rings_.fill.at(fill_.producer + i) = i * kBuffer;
  const std::uint32_t before = fill_.producer;
  EXPECT_EQ(recover().posted, 8U);
  EXPECT_EQ(fill_.producer, before + 3);
  EXPECT_EQ(kept_->losses(1).lost, 2U);  // frames, one of which had two buffers
  EXPECT_EQ(kept_->losses(1).received, 0U);
  static_cast<void>(recover());  // a successor that crashed at once
  EXPECT_EQ(fill_.producer, before + 3);
  EXPECT_EQ(kept_->losses(1).lost, 2U);
}

TEST_F(XdpKeptMemory, WhatWasReceivedBeforeIsCountedApart) {
  arrive(0);
  ++rx_.consumer;
  post(0);
  static_cast<void>(recover());
  EXPECT_EQ(kept_->losses(1).received, 1U);
  EXPECT_EQ(kept_->losses(1).lost, 0U);
}

TEST_F(XdpKeptMemory, SlotsBehindTheRingsEndWereNotSent) {
  write(0, 5);
  ++tx_.producer;
  write(0, 1, true, kContinues);
  write(1, 2);
  write(2, 3);
  write(3, 4, false);  // cut between the slot and its byte
  const auto found = recover();
  EXPECT_EQ(found.in_flight, 1U);
  EXPECT_EQ(found.given, buffers({5}));
  EXPECT_EQ(found.free, buffers({0, 1, 2, 3, 4, 6, 7}));
  EXPECT_EQ(kept_->losses(1).lost, 2U);
  static_cast<void>(recover());
  EXPECT_EQ(kept_->losses(1).lost, 2U);
}

TEST_F(XdpKeptMemory, CompletionsThatWereHalfReadAreReadAgain) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    write(0, i);
    ++tx_.producer;
  }
  complete(0);
  complete(1);
  kept_->marks()[kTx.first / kBuffer] = 0;  // of the first one, and cut there
  const auto found = recover();
  EXPECT_EQ(found.in_flight, 3U);  // two of which are completed
  EXPECT_EQ(found.given, buffers({1, 2}));
  EXPECT_EQ(kept_->losses(1).lost, 0U);
}

TEST_F(XdpKeptMemory, WhatAPlannedHandoverGaveUpIsNobodysLoss) {
  arrive(0);
  ++rx_.consumer;
  post(0);
  write(0, 0);
  ++tx_.producer;
  kept_->settle(0, rings_, {9, 9, 9, 9, 9, 9});
  const auto found = recover();
  EXPECT_EQ(kept_->losses(1).received, 0U);
  EXPECT_EQ(kept_->losses(1).sent, 0U);
  EXPECT_EQ(found.counts.front(), 9U);
}

TEST_F(XdpKeptMemory, OtherPositionsAndAddressesAreRefused) {
  const std::uint32_t before = fill_.producer;
  fill_.producer += 1;
  expect_refusal("other buffers");
  fill_.producer = before - 1;
  rings_.fill.at(fill_.producer) = kTx.first;
  expect_refusal("fill ring");
  rings_.fill.at(fill_.producer) = 7;
  expect_refusal("fill ring");
  fill_.producer = before;
  write(0, 0);
  rings_.tx.at(tx_.producer).addr = kTx.first + kTx.count * kBuffer;
  expect_refusal("transmit ring");
  tx_.producer += 9;
  expect_refusal("other buffers");
}

TEST_F(XdpKeptMemory, ARecordIsThereOrNot) {
  EXPECT_FALSE(kept_->file().record());
  kept_->file().write_record(R"({"message":"port","a":1})");
  kept_->file().write_record(R"({"message":"port","a":2})");
  map();
  const auto record = kept_->file().record();
  ASSERT_TRUE(record);
  EXPECT_EQ((*record)["a"], 2);
  kept_->file().write_record(std::string(handover::kMaxMessage + 1, ' '));
  EXPECT_FALSE(kept_->file().record());
  kept_->file().write_record({});
  EXPECT_FALSE(kept_->file().record());
}

TEST_F(XdpKeptMemory, AnotherFileIsNoSuchMemory) {
  EXPECT_FALSE(KeptMemory::map("xdp:eth1", -1));
  FileDescriptor file(::memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(file.get(), 1 << 21), 0);
  EXPECT_FALSE(KeptMemory::map("xdp:eth1", file.get()));  // could be cut
}

}  // namespace
}  // namespace pollux::xdp
