// SPDX-License-Identifier: BSD-3-Clause
// Random messages of a virtual function, each compared with what the card holds afterwards.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "hw/intel/igbvf/registers.hpp"
#include "support/mailbox_oracle.hpp"
#include "unit/igb/physical_function.hpp"

namespace pollux::test {
namespace {

class HostileMessages : public PhysicalFunction {
 protected:
  /// Half of the messages are of known kinds with small numbers, so that many are granted. Checks the card's tables
  /// after each `interval` messages.
  void run(std::uint64_t messages, std::uint64_t interval) {
    using hw::igbvf::V2PMAILBOX;
    MailboxOracle oracle(fixture, functions);
    std::mt19937 random(82576);
    for (std::uint64_t round = 0; round < messages; ++round) {
      MailboxOracle::Message message{};
      for (auto& word : message) word = static_cast<std::uint32_t>(random());
      if (round % 2 == 0) message[0] &= 0x001F'0007;
      if (round % 4 == 0) message[0] &= 0x0003'0007;
      if (round % 8 == 0) message[1] &= 0x7FE;
      if (round % 16 == 1) message[0] = 1;
      const V2PMAILBOX::Value request(V2PMAILBOX::REQ);
      oracle.send(message, (round % 5 == 0 ? request.with(V2PMAILBOX::VFU) : request).raw());
      if (round % 1009 == 0) oracle.reset();
      if (round % interval == 0) oracle.check_card();
      ASSERT_EQ(oracle.violation(), "") << "after message " << round;
    }
    oracle.check_card();
    EXPECT_EQ(oracle.violation(), "");
    EXPECT_EQ(oracle.requests, messages);
    EXPECT_EQ(oracle.granted + oracle.refused + oracle.ignored, messages);
    EXPECT_GT(oracle.granted, messages / 20);
    EXPECT_GT(oracle.refused, messages / 20);
    EXPECT_GT(oracle.ignored, messages / 20);
    RecordProperty("granted", static_cast<int>(oracle.granted));
    RecordProperty("refused", static_cast<int>(oracle.refused));
    RecordProperty("ignored", static_cast<int>(oracle.ignored));
  }
};

TEST_F(HostileMessages, ChangeNothingButWhatWasGranted) { run(20'000, 7); }

TEST_F(HostileMessages, LongRunOfTenMillion) { run(10'000'000, 1'000); }

}  // namespace
}  // namespace pollux::test
