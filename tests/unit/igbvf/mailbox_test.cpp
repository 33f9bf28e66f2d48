// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/mailbox.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drivers/intel/igbvf/mailbox.hpp"
#include "pollux/mem/context.hpp"
#include "unit/igbvf/fake_function.hpp"

namespace pollux::drivers::igbvf {
namespace {

using hw::igbvf::first_word;
using testing::HasSubstr;
using testing::SizeIs;

constexpr MacAddress kMac{0x02, 0x11, 0x22, 0x33, 0x44, 0x55};

class MailboxTest : public testing::Test {
 protected:
  Result<Words> ask(std::vector<std::uint32_t> words) { return mailbox.ask(card, words); }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock}};
  FakeFunction function;
  IgbvfCard card{
      .regs = reg::Registers(Bar(function, hw::igbvf::kRegisterBytes)), .context = context.state(), .name = "vf"};
  Mailbox mailbox;
};

TEST_F(MailboxTest, DeliversTheWordsAndReturnsTheAnswer) {
  const auto answer = ask({first_word(Message::set_vlan, 1), 77});
  ASSERT_TRUE(answer) << answer.error().message();
  ASSERT_THAT(function.requests, SizeIs(1));
  EXPECT_EQ(function.requests[0][0], 0x0001'0004U);
  EXPECT_EQ(function.requests[0][1], 77U);
  EXPECT_EQ((*answer)[0], 0xA001'0004U);
}

TEST_F(MailboxTest, WaitsUntilThePhysicalFunctionReleasesTheMemory) {
  function.locked_polls = 20;
  EXPECT_TRUE(ask({first_word(Message::reset)}));
  EXPECT_EQ(function.locked_polls, 0U);
  EXPECT_GE(clock->now(), Time(milliseconds(10)));
}

TEST_F(MailboxTest, FailsIfTheMemoryIsNeverReleased) {
  function.locked_polls = 1'000'000;
  const auto answer = ask({first_word(Message::reset)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
  EXPECT_THAT(answer.error().what, HasSubstr("mailbox"));
  EXPECT_THAT(function.requests, SizeIs(0));
}

TEST_F(MailboxTest, HintsAtTheInterfaceIfNobodyReadsARequest) {
  function.reads = false;
  const auto answer = ask({first_word(Message::reset)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
  EXPECT_THAT(answer.error().what, HasSubstr("the reading of a request"));
  EXPECT_THAT(answer.error().hint, HasSubstr("ip link set"));
  // Two attempts of one second each.
  EXPECT_LE(clock->now(), Time(std::chrono::seconds(3)));
}

TEST_F(MailboxTest, RepeatsARequestOnceIfTheAnswerIsLost) {
  function.answers = false;
  const auto answer = ask({first_word(Message::set_max_frame), 1522});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
  EXPECT_THAT(answer.error().what, HasSubstr("the answer of"));
  EXPECT_THAT(function.requests, SizeIs(2));
}

TEST_F(MailboxTest, IgnoresAnUnsolicitedMessageBeforeTheAnswer) {
  function.before_answer = Words{first_word(Message::control) | hw::igbvf::kClearToSend};
  const auto answer = ask({first_word(Message::set_vlan), 5});
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ((*answer)[0] & hw::igbvf::kKindMask, 4U);
  EXPECT_THAT(function.requests, SizeIs(1));
}

TEST_F(MailboxTest, IgnoresTheAnswerToAnotherRequest) {
  function.before_answer = Words{first_word(Message::set_address) | hw::igbvf::kAccepted};
  const auto answer = ask({first_word(Message::set_vlan), 5});
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ((*answer)[0] & hw::igbvf::kKindMask, 4U);
}

TEST_F(MailboxTest, DetectsARemovedCard) {
  function.removed = true;
  const auto answer = ask({first_word(Message::reset)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::device_removed);
  EXPECT_FALSE(mailbox.take_reset_notice(card));
}

TEST_F(MailboxTest, WaitsForTheEndOfThePhysicalFunctionsReset) {
  function.reset_by_physical();
  EXPECT_TRUE(mailbox.wait_until_ready(card));
  EXPECT_FALSE(mailbox.take_reset_notice(card)) << "wait_until_ready discards the notice of an earlier reset";
  function.in_reset = true;
  const auto ready = mailbox.wait_until_ready(card);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::timeout);
  EXPECT_THAT(ready.error().hint, HasSubstr("ip link set"));
}

TEST_F(MailboxTest, DetectsAResetThatIsGoingOnAndOneThatHasEnded) {
  EXPECT_FALSE(mailbox.take_reset_notice(card));
  function.reset_by_physical();
  EXPECT_TRUE(mailbox.take_reset_notice(card));
  EXPECT_FALSE(mailbox.take_reset_notice(card)) << "each notice is reported once";
  function.in_reset = true;
  EXPECT_TRUE(mailbox.take_reset_notice(card));
}

TEST_F(MailboxTest, TellsTheLossOfClearToSendFromALinkChange) {
  function.send(first_word(Message::control) | hw::igbvf::kClearToSend);
  EXPECT_FALSE(mailbox.take_reset_notice(card));
  function.send(first_word(Message::control));
  EXPECT_TRUE(mailbox.take_reset_notice(card));
}

TEST_F(MailboxTest, KeepsBitsThatAReadHasCleared) {
  function.reset_by_physical();
  // A request reads the mailbox's status register. The read clears the notice in the card.
  EXPECT_TRUE(ask({first_word(Message::set_vlan), 5}));
  EXPECT_TRUE(mailbox.take_reset_notice(card));
}

TEST_F(MailboxTest, ResetReturnsTheAssignedAddress) {
  function.mac = kMac;
  const auto assigned = reset_function(card, mailbox);
  ASSERT_TRUE(assigned) << assigned.error().message();
  EXPECT_EQ(*assigned, kMac);
  EXPECT_EQ(function.resets, 1U);
  EXPECT_THAT(function.requests_of(Message::reset), SizeIs(1));
}

TEST_F(MailboxTest, ResetReturnsNoAddressIfNoneIsAssigned) {
  const auto assigned = reset_function(card, mailbox);
  ASSERT_TRUE(assigned) << assigned.error().message();
  EXPECT_EQ(*assigned, std::nullopt);
}

TEST_F(MailboxTest, PacksTwoMulticastHashesIntoAWord) {
  // In Linux igbvf the hash is bits 47:36 of the address: its last byte and the upper half of the byte before.
  const std::vector<MacAddress> groups{
      {0x01, 0x00, 0x5E, 0x00, 0x12, 0x34}, {0x33, 0x33, 0, 0, 0xF0, 0xFF}, {0x01, 0x00, 0x5E, 0x00, 0x00, 0x01}};
  ASSERT_TRUE(request_multicast(card, mailbox, groups));
  const Words sent = function.requests.at(0);
  EXPECT_EQ(sent[0], 0x0003'0003U);
  EXPECT_EQ(sent[1], 0x341U | 0xFFFU << 16);
  EXPECT_EQ(sent[2], 0x010U);
}

TEST_F(MailboxTest, EachRequestContainsItsValue) {
  ASSERT_TRUE(request_address(card, mailbox, kMac));
  ASSERT_TRUE(request_max_frame(card, mailbox, 9022));
  ASSERT_TRUE(request_all_multicast(card, mailbox, true));
  ASSERT_TRUE(request_all_multicast(card, mailbox, false));
  ASSERT_TRUE(request_vlan(card, mailbox, 100, true));
  ASSERT_TRUE(request_vlan(card, mailbox, 100, false));
  ASSERT_THAT(function.requests, SizeIs(6));
  EXPECT_EQ(function.requests[0][0], 0x02U);
  EXPECT_EQ(function.requests[0][1], 0x33221102U);
  EXPECT_EQ(function.requests[0][2], 0x5544U);
  EXPECT_EQ(function.requests[1][0], 0x05U);
  EXPECT_EQ(function.requests[1][1], 9022U);
  EXPECT_EQ(function.requests[2][0], 0x0002'0006U);
  EXPECT_EQ(function.requests[3][0], 0x06U);
  EXPECT_EQ(function.requests[4][0], 0x0001'0004U);
  EXPECT_EQ(function.requests[4][1], 100U);
  EXPECT_EQ(function.requests[5][0], 0x04U);
}

TEST_F(MailboxTest, TheErrorOfARefusalHasTheValueAndAHint) {
  function.refuses = Message::set_address;
  const auto set = request_address(card, mailbox, kMac);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(set.error().what, HasSubstr("02:11:22:33:44:55"));
  EXPECT_THAT(set.error().hint, HasSubstr("trust on"));
  EXPECT_TRUE(request_vlan(card, mailbox, 7, true));
}

}  // namespace
}  // namespace pollux::drivers::igbvf
