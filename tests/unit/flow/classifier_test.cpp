// SPDX-License-Identifier: BSD-3-Clause
// SoftwareClassifier: which rule decides, and where the frames of a burst go.
#include <array>

#include "pollux/net/flow/software_classifier.hpp"
#include "pollux/net/packet/classify.hpp"
#include "unit/flow/fixture.hpp"

namespace pollux {
namespace {

using test::tcp_frame;
using test::udp_frame;
using Decision = SoftwareClassifier::Decision;

class Classifier : public test::FlowFixture {
 protected:
  FlowRuleId add(const FlowRule& rule) {
    const auto added = classifier_.add(rule);
    EXPECT_TRUE(added) << added.error().message();
    return added.value_or(FlowRuleId{});
  }
  [[nodiscard]] Decision decide(std::span<const std::uint8_t> frame) { return classifier_.decide(*mbuf_of(frame)); }
  void push(Burst<8>& burst, std::span<const std::uint8_t> frame) {
    MbufPtr mbuf = mbuf_of(frame);
    ASSERT_TRUE(burst.push(mbuf));
  }
  /// The destination ports of the UDP frames of a burst.
  static std::vector<int> ports_of(Burst<8>& burst) {
    std::vector<int> ports;
    for (const Mbuf& mbuf : burst) ports.push_back(mbuf.bytes()[36] << 8 | mbuf.bytes()[37]);
    return ports;
  }

  SoftwareClassifier classifier_{4};
  DropCounter seen_{"seen"};
};

TEST_F(Classifier, DecidesByPriorityThenByAge) {
  const FlowRuleId first = add({match::udp(), to_queue(1), 5});
  add({match::ipv4(), to_queue(2), 5});
  EXPECT_EQ(decide(udp_frame(53)), (Decision{.queue = 1}));
  EXPECT_EQ(decide(tcp_frame(80)), (Decision{.queue = 2}));
  add({match::udp().destination_port(53), to_drop(), 4});
  EXPECT_EQ(decide(udp_frame(53)), (Decision{.drop = true}));
  EXPECT_EQ(decide(udp_frame(54)), (Decision{.queue = 1}));
  ASSERT_TRUE(classifier_.remove(first));
  EXPECT_EQ(decide(udp_frame(54)), (Decision{.queue = 2}));
  EXPECT_EQ(classifier_.remove(first).error().code, ErrorCode::not_found);
  EXPECT_EQ(decide(udp_frame(53, 0, true)), (Decision{.drop = true}));
  EXPECT_EQ(decide(udp_frame(54, 0, true)), Decision{}) << "no rule";
}

TEST_F(Classifier, MarksWithoutDecidingWhereAFrameGoes) {
  add({match::ipv4(), to_mark(7)});
  add({match::udp(), to_queue(3).with_mark(8)});
  EXPECT_EQ(decide(udp_frame(53)), (Decision{.queue = 3, .mark = 7}));
  EXPECT_EQ(decide(udp_frame(53, 0, true)), (Decision{.queue = 3, .mark = 8}));
  EXPECT_EQ(decide(tcp_frame(53)), (Decision{.queue = 0, .mark = 7}));
}

TEST_F(Classifier, SpreadsByTheHash) {
  const RssConfig rss{.table = {1, 2, 3}, .types = {RssTypes::kAll}};
  add({match::ipv4(), to_queues(rss)});
  const packet::ToeplitzHash hash;
  std::array<int, 4> used{};
  for (std::uint16_t port = 0; port < 100; ++port) {
    const auto frame = udp_frame(port);
    const auto expected = packet::rss_hash(hash, frame, packet::parse(frame), rss.types);
    const Decision decision = decide(frame);
    EXPECT_EQ(decision.queue, rss.table[*expected % 3]);
    ++used[decision.queue];
  }
  EXPECT_EQ(used[0], 0);
  EXPECT_GT(std::min({used[1], used[2], used[3]}), 10);
}

TEST_F(Classifier, RejectsQueuesThatItDoesNotHave) {
  EXPECT_EQ(classifier_.add({{}, to_queue(4)}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(classifier_.add({{}, to_queues({.table = {0, 4}})}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(classifier_.add({match::raw({}), to_queue(1)}).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(classifier_.rules().empty());
}

TEST_F(Classifier, ListsItsRulesAsTheyWereAdded) {
  const FlowRule low{match::udp(), to_queue(1), 9};
  const FlowRule high{match::tcp(), to_drop(), 0};
  const FlowRuleId first = add(low);
  const FlowRuleId second = add(high);
  EXPECT_EQ(classifier_.rules(), (std::vector<InstalledRule>{{first, low}, {second, high}}));
  ASSERT_TRUE(classifier_.remove(first));
  EXPECT_NE(add(low), first);
}

TEST_F(Classifier, SortsABurstInOrderAndNamesDrops) {
  add({match::udp().destination_port(53), to_drop()});
  add({match::udp().destination_port(100, 199), to_queue(1).with_mark(77)});
  add({match::udp().destination_port(200, 299), to_queue(3)});
  Burst<8> burst;
  for (const std::uint16_t port : std::vector<std::uint16_t>{150, 53, 7, 151, 250, 53, 152, 8})
    push(burst, udp_frame(port));
  std::array<Burst<8>, 4> queues;
  classifier_.sort(burst, queues);
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(ports_of(queues[0]), (std::vector<int>{7, 8}));
  EXPECT_EQ(ports_of(queues[1]), (std::vector<int>{150, 151, 152}));
  EXPECT_TRUE(queues[2].empty());
  EXPECT_EQ(ports_of(queues[3]), std::vector<int>{250});
  EXPECT_EQ(classifier_.dropped().value(), 2U);
  EXPECT_EQ(classifier_.dropped().name(), "flow_rule");
  for (const Mbuf& mbuf : queues[1]) EXPECT_EQ(mbuf.user(), 77U);
  for (Burst<8>& queue : queues) queue.drop(seen_);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

TEST_F(Classifier, LeavesFramesForWhichThereIsNoRoom) {
  add({match::udp().destination_port(100, 199), to_queue(1)});
  add({match::udp().destination_port(200, 299), to_queue(2)});
  Burst<8> burst;
  for (const std::uint16_t port : std::vector<std::uint16_t>{150, 250, 7, 151, 8, 152}) push(burst, udp_frame(port));
  std::array<Burst<2>, 2> queues;
  classifier_.sort(burst, queues);
  EXPECT_EQ(ports_of(burst), (std::vector<int>{250, 152})) << "no burst for queue 2, and a full one";
  EXPECT_EQ(queues[0].size(), 2U);
  EXPECT_EQ(queues[1].size(), 2U);
  EXPECT_EQ(classifier_.dropped().value(), 0U);
  burst.drop(seen_);
  for (Burst<2>& queue : queues) queue.drop(seen_);
}

}  // namespace
}  // namespace pollux
