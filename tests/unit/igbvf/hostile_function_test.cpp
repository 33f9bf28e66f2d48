// SPDX-License-Identifier: BSD-3-Clause
// Messages of a virtual function that no good driver sends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "drivers/intel/igbvf/card.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "unit/igbvf/physical_and_virtual.hpp"

namespace pollux::drivers {
namespace {

/// The registers of sim:0.vf0, whose driver is the test.
class HostileFunction : public PhysicalAndVirtual {
 protected:
  void SetUp() override {
    PhysicalAndVirtual::SetUp();
    auto device_opened = open_device(context, "sim:0.vf0");
    ASSERT_TRUE(device_opened);
    device = *std::move(device_opened);
    regs = igbvf::reg::Registers(device->bar(0).value());
  }
  void send(std::span<const std::uint32_t> words, bool releases = true) {
    using igbvf::reg::V2PMAILBOX;
    regs.write<V2PMAILBOX>(V2PMAILBOX::VFU);
    for (std::uint32_t i = 0; i < words.size(); ++i) {
      regs.write<igbvf::reg::VMBMEM>(i, igbvf::reg::VMBMEM::Value(words[i]));
    }
    regs.write<V2PMAILBOX>(releases ? V2PMAILBOX::Value(V2PMAILBOX::REQ)
                                    : V2PMAILBOX::Value(V2PMAILBOX::REQ | V2PMAILBOX::VFU));
    EXPECT_TRUE(physical->service());
  }
  /// Frames of the other function and of the physical port arrive all the same.
  void expect_others_receive() {
    const test::Frame in = frame(kSecond, partner->mac());
    transmit(*partner, in);
    EXPECT_THAT(received(*second), testing::ElementsAre(in));
    const test::Frame own = frame(physical->mac(), partner->mac());
    transmit(*partner, own);
    EXPECT_THAT(received(*physical), testing::ElementsAre(own));
  }
  [[nodiscard]] std::uint32_t answer() { return regs.read<igbvf::reg::VMBMEM>(0).raw(); }

  std::unique_ptr<Device> device;
  igbvf::reg::Registers regs;
};

TEST_F(HostileFunction, EachBadRequestIsRefusedUnderItsReason) {
  using Reason = VirtualFunctionRefusal;
  using hw::igbvf::first_word;
  using hw::igbvf::Message;
  const auto refused = [&](Reason reason, std::vector<std::uint32_t> words) {
    const auto before = refusals(0, reason);
    send(words);
    EXPECT_EQ(answer() & (hw::igbvf::kAccepted | hw::igbvf::kRefused), hw::igbvf::kRefused) << to_string(reason);
    EXPECT_EQ(refusals(0, reason), before + 1) << to_string(reason);
  };
  refused(Reason::not_ready, {first_word(Message::set_max_frame), 1500});
  EXPECT_EQ(answer() & hw::igbvf::kClearToSend, 0u);
  send({{first_word(Message::reset)}});
  EXPECT_EQ(answer(), first_word(Message::reset) | hw::igbvf::kAccepted);
  refused(Reason::unknown_request, {0x0C});
  refused(Reason::address_is_set, {first_word(Message::set_address), 0x02, 0x01});
  refused(Reason::invalid_frame_length, {first_word(Message::set_max_frame), 63});
  refused(Reason::invalid_frame_length, {first_word(Message::set_max_frame), 0xFFFF'FFFF});
  refused(Reason::invalid_vlan, {first_word(Message::set_vlan, 1), 4095});
  refused(Reason::promiscuous, {first_word(Message::set_promiscuous, 1)});
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .trusted = true}));
  refused(Reason::invalid_address, {first_word(Message::set_address), 0x01, 0});
  refused(Reason::invalid_address, {first_word(Message::set_address), 0, 0});
  for (std::uint32_t i = 0; i < 21; ++i) {
    send({{first_word(Message::set_address, 2), 0x02 | i << 8, 0}});
    EXPECT_EQ(answer() & hw::igbvf::kRefused, 0u) << i;
  }
  refused(Reason::too_many_addresses, {first_word(Message::set_address, 2), 0x02, 0xFF});
  send({{first_word(Message::set_address, 1)}});
  EXPECT_EQ(answer() & hw::igbvf::kRefused, 0u) << "all removed";
  send({{first_word(Message::set_address, 2), 0x02, 0xFF}});
  EXPECT_EQ(answer() & hw::igbvf::kRefused, 0u);
}

TEST_F(HostileFunction, AHeldMailboxIsTakenAwayAndAnswersAreNotAnswered) {
  const std::uint32_t reset = hw::igbvf::first_word(hw::igbvf::Message::reset);
  send({&reset, 1}, false);
  EXPECT_TRUE(state(0).driver_up) << "the memory was taken from the function";
  const auto before = state(0);
  const std::uint32_t loop = hw::igbvf::first_word(hw::igbvf::Message::set_vlan) | hw::igbvf::kAccepted;
  send({&loop, 1});
  EXPECT_EQ(answer(), loop) << "left as it was";
  EXPECT_EQ(state(0).refused, before.refused);
}

// SRRCTL is the function's own, and all queues of the card share one packet buffer.
TEST_F(HostileFunction, AQueueThatIsNotPolledHoldsUpNobodyElse) {
  using hw::intel::RDLEN;
  using hw::intel::RXDCTL;
  using hw::intel::SRRCTL;
  second.emplace(opened("sim:0.vf1"));
  ASSERT_TRUE(device->set_bus_master(true));
  send({{hw::igbvf::first_word(hw::igbvf::Message::reset)}});
  for (const std::uint32_t queue : {0U, 1U}) {
    regs.write<RDLEN>(queue, RDLEN::LEN(64));
    regs.write<SRRCTL>(queue, SRRCTL::BSIZEPACKET(2) | SRRCTL::ONE_BUFFER);
    regs.write<RXDCTL>(queue, RXDCTL::ENABLE);
  }
  clock->advance(10ms);
  ASSERT_TRUE(regs.read<RXDCTL>(0).has(RXDCTL::ENABLE));
  ASSERT_FALSE(regs.read<SRRCTL>(0).has(SRRCTL::DROP_EN));
  transmit(*partner, frame(kFirst, partner->mac()));
  expect_others_receive();
  EXPECT_EQ(regs.read_and_clear<hw::intel::RQDPC>(0).raw(), 1u) << "counted where the function reads it";
}

TEST_F(HostileFunction, ManyRandomMessagesHurtNobodyElse) {
  second.emplace(opened("sim:0.vf1"));
  std::mt19937 random(82576);
  for (unsigned round = 0; round < 20'000; ++round) {
    std::array<std::uint32_t, hw::igbvf::kMessageWords> words{};
    for (auto& word : words) word = static_cast<std::uint32_t>(random());
    if (round % 2 == 0) words[0] &= 0x00FF'0007;
    send(words, round % 5 != 0);
  }
  EXPECT_EQ(state(0).requests, 20'000u);
  EXPECT_GT(refusals(0, VirtualFunctionRefusal::unknown_request), 0u);
  expect_others_receive();
}

}  // namespace
}  // namespace pollux::drivers
