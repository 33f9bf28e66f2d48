// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/drop_counter.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

/// Notes the lengths of dropped frames, which are still allocated then.
struct DropRecorder final : DropObserver {
  void dropped(const DropCounter& reason, std::span<Mbuf* const> frames) noexcept override {
    for (const Mbuf* frame : frames) seen.push_back(reason.name() + " " + std::to_string(frame->length()));
  }
  std::vector<std::string> seen;
};

struct DropCounterTest : testing::Test {
  DropCounter reason{"reason"};
  DropRecorder recorder;

  [[nodiscard]] Burst<8> frames(std::uint32_t count) {
    Burst<8> burst;
    for (std::uint32_t i = 0; i < count; ++i) {
      MbufPtr made = pool_.allocate();
      EXPECT_NE(made->append(i + 1), nullptr);
      EXPECT_TRUE(burst.push(made));
    }
    return burst;
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 64, .data_room = 64, .headroom = 0});
};

TEST_F(DropCounterTest, ShowsEachDropToItsObserverUntilThatIsDetached) {
  MempoolCache cache(pool_);
  frames(1).drop(reason);
  {
    const DropAttachment attached = reason.attach(recorder);
    EXPECT_TRUE(reason.is_observed());
    frames(2).drop(reason);
    frames(1).drop(reason, cache);
    frames(3).drop_if(reason, [](const Mbuf& mbuf) { return mbuf.length() == 2; });
    frames(0).drop(reason);
  }
  EXPECT_FALSE(reason.is_observed());
  frames(4).drop(reason);
  EXPECT_EQ(recorder.seen, (std::vector<std::string>{"reason 1", "reason 2", "reason 1", "reason 2"}));
  EXPECT_EQ(reason.value(), 9U) << "each drop counts, seen or not";
}

TEST_F(DropCounterTest, AnObserverMayDetachItselfAndOthersAndDropFrames) {
  struct Ender final : DropObserver {
    explicit Ender(DropCounterTest& the_test) : test(the_test) {}
    void dropped(const DropCounter&, std::span<Mbuf* const>) noexcept override {
      ++calls;
      test.frames(1).drop(test.reason);
      own.reset();
      others.clear();
      added.emplace(test.reason.attach(test.recorder));
    }
    DropCounterTest& test;
    int calls = 0;
    std::optional<DropAttachment> own;
    std::vector<DropAttachment> others;
    std::optional<DropAttachment> added;
  };
  Ender ender(*this);
  DropRecorder never;
  ender.own.emplace(reason.attach(ender));
  ender.others.push_back(reason.attach(never));
  frames(2).drop(reason);
  EXPECT_EQ(ender.calls, 1) << "what it drops itself is not shown";
  EXPECT_EQ(reason.value(), 3U);
  EXPECT_TRUE(never.seen.empty());
  EXPECT_TRUE(recorder.seen.empty());
  frames(1).drop(reason);
  EXPECT_EQ(ender.calls, 1);
  EXPECT_EQ(recorder.seen, std::vector<std::string>{"reason 1"});
  ender.added.reset();
  EXPECT_FALSE(reason.is_observed());
}

TEST_F(DropCounterTest, HasSeveralObservers) {
  DropRecorder second;
  auto first_attached = std::make_optional(reason.attach(recorder));
  const DropAttachment second_attached = reason.attach(second);
  frames(1).drop(reason);
  first_attached.reset();
  EXPECT_TRUE(reason.is_observed());
  frames(1).drop(reason);
  EXPECT_EQ(recorder.seen.size(), 1U);
  EXPECT_EQ(second.seen.size(), 2U);
}

TEST_F(DropCounterTest, AnAttachmentMayOutliveTheCounter) {
  auto counter = std::make_unique<DropCounter>("short-lived");
  const DropAttachment attached = counter->attach(recorder);
  frames(1).drop(*counter);
  counter.reset();
  EXPECT_EQ(recorder.seen, std::vector<std::string>{"short-lived 1"});
}

TEST_F(DropCounterTest, CountsWithoutFramesShowNothing) {
  const DropAttachment attached = reason.attach(recorder);
  reason.add(5);
  EXPECT_EQ(reason.value(), 5U);
  EXPECT_TRUE(recorder.seen.empty());
}

}  // namespace
}  // namespace pollux
