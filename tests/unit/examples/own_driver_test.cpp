// SPDX-License-Identifier: BSD-3-Clause
// Drivers and card models that a program adds, tested with the fictitious card of examples/own_driver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "own_driver/card.hpp"
#include "own_driver/driver.hpp"
#include "own_driver/registers.hpp"
#include "pollux/device/trace.hpp"
#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using testing::HasSubstr;

class Registered : public testing::Test {
 protected:
  CardModel toy() {
    return {.name = "toy", .make = [this](unsigned number) {
              auto card = std::make_unique<own_driver::Card>(number);
              cards_.push_back(card.get());
              return card;
            }};
  }
  void add_both() {
    ASSERT_TRUE(add_driver(context_, own_driver::driver()));
    ASSERT_TRUE(add_card_model(context_, toy()));
  }
  static MbufPtr frame_of(Port& port, std::uint32_t bytes, std::uint8_t fill) {
    MbufPtr mbuf = port.rx_pool()->allocate();
    std::memset(mbuf->append(bytes), fill, bytes);
    return mbuf;
  }
  static std::uint32_t send(Port& port, MbufPtr mbuf) {
    Burst<8> burst;
    EXPECT_TRUE(burst.push(mbuf));
    return port.tx(0).tx_burst(burst);
  }

  std::vector<own_driver::Card*> cards_;
  Context context_;
};

TEST_F(Registered, AContextListsTheBuiltInCards) {
  const std::vector<SupportedCard> cards = supported_cards(context_);
  const auto find = [&](std::uint16_t device) -> const SupportedCard* {
    for (const SupportedCard& card : cards) {
      if (card.card.vendor == 0x8086 && card.card.device == device) return &card;
    }
    return nullptr;
  };
  ASSERT_NE(find(0x10C9), nullptr);
  EXPECT_EQ(find(0x10C9)->driver, "igb");
  EXPECT_EQ(find(0x10C9)->card.not_driven, "");
  ASSERT_NE(find(0x10E6), nullptr);
  EXPECT_THAT(find(0x10E6)->card.not_driven, HasSubstr("copper"));
  ASSERT_NE(find(0x10CA), nullptr);
  EXPECT_EQ(find(0x10CA)->driver, "igbvf");
}

TEST_F(Registered, AnAddedDriverCarriesFrames) {
  add_both();
  auto left = open(context_, "sim:0?card=toy");
  ASSERT_TRUE(left) << left.error().message();
  auto right = open(context_, "sim:1");
  ASSERT_TRUE(right) << right.error().message();
  EXPECT_EQ(left->info().driver, "toy");
  for (const std::uint32_t bytes : {14U, 60U, 61U, 1514U}) {
    EXPECT_EQ(send(*left, frame_of(*left, bytes, 0x5A)), 1U);
    Burst<8> burst;
    ASSERT_EQ(right->rx(0).rx_burst(burst), 1U) << bytes;
    EXPECT_EQ(burst[0].length(), bytes);
    EXPECT_EQ(burst[0].data()[bytes - 1], 0x5A);
    EXPECT_EQ(burst[0].port(), right->info().index);
    DropCounter seen("seen");
    burst.drop(seen);
  }
  EXPECT_EQ(left->stats().tx_packets, 4U);
  EXPECT_EQ(right->stats().rx_packets, 4U);
  EXPECT_EQ(right->stats().rx_bytes, 14U + 60 + 61 + 1514);
  EXPECT_TRUE(left->close());
  EXPECT_TRUE(right->close());
}

TEST_F(Registered, EachDropHasACounter) {
  add_both();
  auto left = open(context_, "sim:0?card=toy");
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_EQ(send(*left, frame_of(*left, 13, 1)), 1U);
  MbufPtr too_long = frame_of(*left, 1804, 1);
  for (int i = 0; i < 4; ++i) {
    MbufPtr more = frame_of(*left, 1804, 1);
    ASSERT_TRUE(too_long->chain(more));
  }
  EXPECT_EQ(too_long->packet_length(), 9020U);
  EXPECT_EQ(send(*left, std::move(too_long)), 1U);
  MbufPtr segmented = frame_of(*left, 1000, 1);
  segmented->set_tx_offload({.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 500});
  EXPECT_EQ(send(*left, std::move(segmented)), 1U);
  MbufPtr no_header = frame_of(*left, 60, 1);
  no_header->set_tx_offload({.flags = TxOffload::ipv4_checksum, .l2 = 14, .l3 = 20});
  EXPECT_EQ(send(*left, std::move(no_header)), 1U);
  EXPECT_EQ(left->stats().tx_dropped, 4U);
  for (const char* name : {"tx_too_short", "tx_too_long", "tx_unsupported_offload", "tx_bad_offload"}) {
    for (const Counter& drop : left->stats().drops) {
      if (drop.name == name) {
        EXPECT_EQ(drop.value, 1U) << name;
      }
    }
  }
  EXPECT_EQ(left->stats().tx_packets, 0U);
  EXPECT_TRUE(test::set_mac(*left, {0x02, 1, 2, 3, 4, 5}));
  EXPECT_EQ(left->mac(), (MacAddress{0x02, 1, 2, 3, 4, 5}));
  const Result<void> configured = left->stop();
  EXPECT_TRUE(configured);
}

TEST_F(Registered, TheDriverThatWasAddedLastIsProbedFirst) {
  add_both();
  CardDriver other = own_driver::driver();
  other.name = "other";
  bool probed = false;
  other.probe = [&probed](Context&, std::unique_ptr<Device> device) -> Result<std::unique_ptr<PortDriver>> {
    probed = true;
    return fail(ErrorCode::busy, device->name() + ": not now", "later");
  };
  ASSERT_TRUE(add_driver(context_, other));
  EXPECT_EQ(open(context_, "sim:0?card=toy").error().code, ErrorCode::busy);
  EXPECT_TRUE(probed);
  EXPECT_EQ(supported_cards(context_).front().driver, "other");
}

TEST_F(Registered, AnotherContextDoesNotHaveTheAddedCard) {
  add_both();
  Context other;
  const auto port = open(other, "sim:0?card=toy");
  ASSERT_FALSE(port);
  EXPECT_THAT(port.error().what, HasSubstr("'toy'"));
  EXPECT_THAT(port.error().hint, HasSubstr("card=82576"));
}

TEST_F(Registered, TheErrorNamesACardWithoutADriver) {
  ASSERT_TRUE(add_card_model(context_, toy()));
  const auto port = open(context_, "sim:0?card=toy");
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::not_supported);
  EXPECT_THAT(port.error().what, HasSubstr("f00d:0001"));
  EXPECT_THAT(port.error().hint, HasSubstr("igb (8086:10c9 82576"));
  EXPECT_THAT(port.error().hint, testing::Not(HasSubstr("fiber")));
}

TEST_F(Registered, TheBuiltInCardCanBeSelected) {
  const auto port = open(context_, "sim:2?card=82576");
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->info().card, "Intel 82576");
}

TEST_F(Registered, RejectsIncompleteDriversAndCardModels) {
  const CardDriver good = own_driver::driver();
  for (const auto invalidate : {+[](CardDriver& d) { d.name.clear(); }, +[](CardDriver& d) { d.cards.clear(); },
                                +[](CardDriver& d) { d.probe = nullptr; }}) {
    CardDriver bad = good;
    invalidate(bad);
    const auto added = add_driver(context_, bad);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, ErrorCode::invalid_argument);
  }
  for (const char* name : {"", "Toy", "a b", "a,b", "a=b"}) {
    CardModel bad = toy();
    bad.name = name;
    EXPECT_FALSE(add_card_model(context_, bad)) << name;
  }
  EXPECT_FALSE(add_card_model(context_, {.name = "toy", .make = nullptr}));
}

TEST_F(Registered, ACardWhoseDriverDescribesNoRegistersCannotBeRecorded) {
  add_both();
  const auto port = open(context_, "record:/tmp/never-made,sim:0?card=toy");
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::not_supported);
  EXPECT_THAT(port.error().what, HasSubstr("cannot record"));
}

TEST_F(Registered, ADeviceCanBeOpenedAndDecorated) {
  auto device = open_device(context_, "sim:0");
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->identity().device, 0x10C9);
  auto port = open(context_, trace_device(*std::move(device), [](const TraceEntry&) {}));
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->info().driver, "igb");
  EXPECT_EQ(open_device(context_, "null:").error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace pollux
