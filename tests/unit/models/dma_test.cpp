// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

using namespace std::chrono_literals;

/// Records accesses, and modifies them as a test requests.
class AccessModifier final : public DmaInterceptor {
 public:
  struct Access {
    ModelAccess what;
    std::uint64_t iova;
    std::size_t length;
    friend bool operator==(const Access&, const Access&) = default;
  };

  [[nodiscard]] bool allow(ModelAccess what, std::uint32_t, std::uint64_t iova, std::size_t length) noexcept override {
    accesses.push_back({what, iova, length});
    return what != refused;
  }
  void write(ModelDma& memory, const ModelWrite& write) noexcept override {
    if (write.what != late) return void(memory.store(write));
    kept_.push_back({write, {write.bytes.begin(), write.bytes.end()}});
  }
  void advance(ModelDma& memory, Duration now) noexcept override {
    if (now < due) return;
    for (Kept& one : kept_) {
      one.write.bytes = one.bytes;
      memory.store(one.write);
    }
    kept_.clear();
  }

  std::optional<ModelAccess> refused;
  std::optional<ModelAccess> late;
  Duration due{0};
  std::vector<Access> accesses;

 private:
  struct Kept {
    ModelWrite write;
    std::vector<std::byte> bytes;
  };
  std::vector<Kept> kept_;
};

class CardMemory : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
    fixture.start_tx();
    fixture.memory.intercept(&modifier);
  }
  void send() {
    fixture.memory.descriptor(CardFixture::kTxRing, 0) =
        intel::tx::data(CardFixture::buffer(3), 60, 60, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
    fixture.write<hw::TDT>(0, hw::TDT::TAIL(1));
  }
  [[nodiscard]] bool received() { return intel::rx::done(fixture.memory.descriptor(CardFixture::kRxRing, 0).hi); }
  [[nodiscard]] bool sent() { return intel::tx::done(fixture.memory.descriptor(CardFixture::kTxRing, 0).hi); }
  using Accesses = std::vector<AccessModifier::Access>;

  CardFixture fixture;
  AccessModifier modifier;
};

/// A card without an interceptor, whose memory is in two mappings.
struct SplitMemory : testing::Test {
  void start(std::uint64_t split) {
    fixture.memory.split_at(split);
    fixture.link_up();
    fixture.start_rx();
    fixture.start_tx();
  }
  std::vector<std::byte> bytes_at(std::uint64_t iova, std::size_t count) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < count; ++i) bytes.push_back(*fixture.memory.at(iova + i));
    return bytes;
  }

  CardFixture fixture;
};

TEST_F(SplitMemory, FramesAreReadFromBuffersThatSpanMappings) {
  const std::uint64_t buffer = CardFixture::buffer(3);
  start(buffer + 20);
  const std::vector<std::byte> frame = CardFixture::frame(100);
  for (std::size_t i = 0; i < frame.size(); ++i) *fixture.memory.at(buffer + i) = frame[i];
  fixture.memory.descriptor(CardFixture::kTxRing, 0) = intel::tx::data(buffer, 100, 100, intel::tx::kEndOfPacket);
  fixture.write<hw::TDT>(0, hw::TDT::TAIL(1));
  ASSERT_EQ(fixture.sent.size(), 1U);
  EXPECT_EQ(fixture.sent[0], frame);
  EXPECT_EQ(fixture.card.dma().refused(), 0U);
}

TEST_F(SplitMemory, FramesAreWrittenToBuffersThatSpanMappings) {
  for (const bool intercepted : {false, true}) {
    CardFixture& card = fixture;
    const std::uint64_t buffer = CardFixture::buffer(intercepted ? 1 : 0);
    if (intercepted) {
      card.memory.split_at(buffer + 50);
    } else {
      start(buffer + 50);
    }
    AccessModifier modifier;
    card.memory.intercept(intercepted ? &modifier : nullptr);
    const std::vector<std::byte> frame = CardFixture::frame(100);
    card.card.receive(frame);
    EXPECT_EQ(bytes_at(buffer, 100), frame);
    card.memory.intercept(nullptr);
  }
  EXPECT_EQ(fixture.card.dma().refused(), 0U);
}

TEST_F(SplitMemory, NothingIsWrittenIfAPartIsNotMapped) {
  const std::uint64_t buffer = CardFixture::buffer(0);
  start(buffer + 50);
  fixture.memory.end_at(buffer + 60);
  fixture.card.receive(CardFixture::frame(100));
  EXPECT_EQ(bytes_at(buffer, 60), std::vector<std::byte>(60));
  EXPECT_GT(fixture.card.dma().refused(), 0U);
}

TEST_F(CardMemory, IsAccessedOnlyThroughTheInterceptor) {
  fixture.card.receive(CardFixture::frame(100));
  EXPECT_EQ(modifier.accesses, (Accesses{{ModelAccess::descriptor_read, CardFixture::kRxRing, 16},
                                         {ModelAccess::payload_write, CardFixture::buffer(0), 100},
                                         {ModelAccess::receive_write_back, CardFixture::kRxRing, 16}}));
  EXPECT_TRUE(received());
  modifier.accesses.clear();
  send();
  EXPECT_EQ(modifier.accesses, (Accesses{{ModelAccess::descriptor_read, CardFixture::kTxRing, 16},
                                         {ModelAccess::payload_read, CardFixture::buffer(3), 60},
                                         {ModelAccess::transmit_write_back, CardFixture::kTxRing + 8, 8}}));
  EXPECT_TRUE(sent());
  modifier.accesses.clear();
  fixture.memory.intercept(nullptr);
  fixture.card.receive(CardFixture::frame(100));
  EXPECT_TRUE(modifier.accesses.empty());
}

TEST_F(CardMemory, CanRefuseAccessesLikeUnmappedMemory) {
  modifier.refused = ModelAccess::payload_write;
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.dma().refused(), 1u);
  EXPECT_TRUE(received());
  EXPECT_EQ(fixture.bytes_at(CardFixture::buffer(0), 60), std::vector<std::byte>(60)) << "untouched";
  modifier.refused = ModelAccess::payload_read;
  send();
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(fixture.card.transmitter().losses().unreadable, 1u);
}

TEST_F(CardMemory, CanDelayAWriteBack) {
  modifier.late = ModelAccess::receive_write_back;
  modifier.due = fixture.now + 1ms;
  fixture.card.receive(CardFixture::frame(60));
  fixture.pass(999us);
  EXPECT_FALSE(received());
  EXPECT_EQ(fixture.card.next_event(), Duration::min()) << "the interceptor may have delayed a write";
  fixture.pass(1us);
  EXPECT_TRUE(received());
}

TEST_F(CardMemory, SeesHeadWriteBacks) {
  const std::uint64_t where = TestMemory::kBase + 0x18000;
  fixture.write<hw::TDWBAL>(0, hw::TDWBAL::Value(static_cast<std::uint32_t>(where) | 1));
  send();
  EXPECT_EQ(modifier.accesses.back(), (AccessModifier::Access{ModelAccess::head_write_back, where, 4}));
  EXPECT_EQ(fixture.memory.at(where)[0], std::byte{1});
  EXPECT_FALSE(sent());
}

TEST_F(CardMemory, IsWrittenInWholeWordsOfAWriteBack) {
  const intel::Descriptor before{0x1111, 0x2222};
  fixture.memory.descriptor(CardFixture::kRxRing, 5) = before;
  const intel::Descriptor whole{0x3333, 0x4444};
  ModelWrite write{ModelAccess::receive_write_back, 0, CardFixture::kRxRing + 5 * 16,
                   std::as_bytes(std::span(&whole, 1)).first(8)};
  EXPECT_TRUE(fixture.memory.store(write));
  EXPECT_EQ(fixture.memory.descriptor(CardFixture::kRxRing, 5), (intel::Descriptor{0x3333, 0x2222}));
  write.iova = 1;
  EXPECT_FALSE(fixture.memory.store(write)) << "not mapped";
}

TEST_F(CardMemory, ReportsTheTimeOfItsNextEvent) {
  fixture.memory.intercept(nullptr);
  EXPECT_EQ(fixture.card.next_event(), Duration::max());
  fixture.write<hw::EERD>(hw::EERD::ADDR(0) | hw::EERD::START);
  EXPECT_EQ(fixture.card.next_event(), fixture.now + Nvm::kReadTime);
  fixture.pass(Nvm::kReadTime);
  EXPECT_EQ(fixture.card.next_event(), Duration::max());
}

}  // namespace
}  // namespace pollux::models::igb
