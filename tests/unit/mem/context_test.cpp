// SPDX-License-Identifier: BSD-3-Clause
// What a Context owns besides memory, and how threads and child processes may use it.
#include "pollux/mem/context.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "context_fixture.hpp"
#include "fake_domain.hpp"
#include "machine.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {
namespace {

using test::ContextFixture;
using test::FakeDomain;
using test::FakeHugePages;

TEST(Context, CreatesAClockUnlessGivenOne) {
  Context plain;
  EXPECT_GT(plain.clock().now().count(), 0);
  const auto clock = std::make_shared<ManualClock>();
  Context given({.clock = clock});
  EXPECT_EQ(&given.clock(), clock.get());
}

TEST(Context, NamesAPortOnceInAMessage) {
  std::vector<std::string> logged;
  ContextOptions options;
  options.log = [&](LogLevel, std::string_view message) { logged.emplace_back(message); };
  const Context context(std::move(options));
  context.state()->log(LogLevel::info, "sim:1", "it works");
  context.state()->log(LogLevel::info, "sim:1", "sim:1: it works");
  context.state()->log(LogLevel::info, "sim:1", "sim:10: it works");
  EXPECT_EQ(logged, (std::vector<std::string>{"sim:1: it works", "sim:1: it works", "sim:1: sim:10: it works"}));
}

TEST(Context, MessagesHaveNoControlCharacters) {
  std::vector<std::string> logged;
  const Context context({.log = [&](LogLevel, std::string_view message) { logged.emplace_back(message); }});
  context.log(LogLevel::info, "from \033[2Jeth\u200e0");
  EXPECT_EQ(logged, std::vector<std::string>{"from ?[2Jeth?0"});
}

TEST(Context, DropsMessagesWithoutACallback) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Context context;
  context.log(LogLevel::error, "to nobody");
  context.report({MisuseKind::leak, "to nobody"});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Context, ReportsMisuseToItsHandlerOrTheLog) {
  std::vector<std::string> handled;
  std::vector<std::string> logged;
  const LogCallback log = [&](LogLevel level, std::string_view text) {
    EXPECT_EQ(level, LogLevel::error);
    logged.emplace_back(text);
  };
  Context with_handler({.log = log, .on_misuse = [&](const Misuse& misuse) { handled.push_back(misuse.what); }});
  with_handler.report({MisuseKind::double_free, "mbuf 7"});
  EXPECT_EQ(handled, std::vector<std::string>{"mbuf 7"});
  EXPECT_TRUE(logged.empty());
  Context without({.log = log});
  without.report({MisuseKind::double_free, "mbuf 7"});
  EXPECT_EQ(logged, std::vector<std::string>{"double_free: mbuf 7"});
}

struct CountedService {
  CountedService() { ++made; }
  ~CountedService() { ++gone; }
  int value = 0;
  static inline std::atomic<int> made{0};
  static inline std::atomic<int> gone{0};
};
struct OtherService {
  int value = 0;
};

TEST(Context, CreatesOneServiceForEachTypeAndContext) {
  CountedService::made = 0;
  CountedService::gone = 0;
  {
    Context context;
    context.service<CountedService>().value = 7;
    context.service<OtherService>().value = 8;
    EXPECT_EQ(context.service<CountedService>().value, 7);
    EXPECT_EQ(context.service<OtherService>().value, 8);
    EXPECT_EQ(CountedService::made, 1);
    Context second;
    EXPECT_EQ(second.service<CountedService>().value, 0);
    EXPECT_EQ(CountedService::made, 2);
    EXPECT_EQ(CountedService::gone, 0);
  }
  EXPECT_EQ(CountedService::gone, 2);
}

TEST(Context, PortIndicesAreDistinctAndThenNoPort) {
  const auto state = std::make_shared<ContextState>(ContextOptions{});
  for (std::uint16_t i = 0; i < Mbuf::kNoPort; ++i) ASSERT_EQ(state->take_port_index(), i);
  EXPECT_EQ(state->take_port_index(), Mbuf::kNoPort);
  state->return_port_index(Mbuf::kNoPort);
  EXPECT_EQ(state->take_port_index(), Mbuf::kNoPort);
  state->return_port_index(1000);
  EXPECT_EQ(state->take_port_index(), 1000);
}

TEST(Context, TheLogCallbackMayCallTheContext) {
  FakeHugePages fake;
  std::shared_ptr<ContextState> state;
  int calls = 0;
  ContextOptions options;
  options.log = [&](LogLevel, std::string_view) {
    ++calls;
    EXPECT_TRUE(state->allocate({.size = 8192}));
  };
  state = std::make_shared<ContextState>(options, fake.paths());
  EXPECT_TRUE(state->allocate({.size = 8192}));
  EXPECT_EQ(calls, 1);
}

/// A domain may hold DMA memory of the Context, as a card's model does, and free it in its destructor.
TEST(Context, ADomainMayHoldMemoryOfTheContextItIsDetachedFrom) {
  class Holder final : public DmaDomain {
   public:
    [[nodiscard]] std::string_view name() const override { return "holder"; }
    [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }
    [[nodiscard]] Result<void> map(const DmaSegment&) override { return {}; }
    [[nodiscard]] Result<void> unmap(const DmaSegment&) override { return {}; }
    DmaMemory memory;
  };
  const auto state = std::make_shared<ContextState>(ContextFixture::ordinary());
  auto holder = std::make_shared<Holder>();
  Holder& domain = *holder;
  ASSERT_TRUE(state->attach(holder));
  auto memory = state->allocate({.size = 4096});
  ASSERT_TRUE(memory);
  domain.memory = std::move(*memory);
  holder.reset();
  state->detach(domain);
  const auto next = state->allocate({.size = 4096});
  ASSERT_TRUE(next);
  EXPECT_EQ(next->segments()[0].iova, 0x100000U);
}

TEST(Context, ServesThreadsAtTheSameTime) {
  Context context(ContextFixture::ordinary());
  const auto domain = std::make_shared<FakeDomain>();
  ASSERT_TRUE(context.attach(domain));
  std::atomic<int> wrong{0};
  OtherService& service = context.service<OtherService>();
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (unsigned round = 0; round < 100; ++round) {
        const std::size_t size = 4096 * (1 + (thread + round) % 5);
        const auto memory = context.allocate({.size = size});
        if (!memory || memory->segments()[0].address[size - 1] != std::byte{0}) ++wrong;
        if (memory) std::memset(memory->segments()[0].address, static_cast<int>(thread) + 1, size);
        std::this_thread::yield();
        if (memory && memory->segments()[0].address[0] != std::byte(thread + 1)) ++wrong;
        if (&context.service<OtherService>() != &service) ++wrong;
        const std::uint16_t port = context.state()->take_port_index();
        context.state()->return_port_index(port);
      }
    });
  }
  threads.emplace_back([&] {
    for (int round = 0; round < 50; ++round) {
      const auto passing = std::make_shared<FakeDomain>();
      if (!context.attach(passing)) ++wrong;
      context.detach(*passing);
      if (!passing->mapped.empty()) ++wrong;
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(domain->mapped.empty());
}

/// A child that calls exit() destroys its copy of everything.
TEST(Context, AForkedChildDoesNotTakeMemoryFromItsParent) {
  auto context = std::make_unique<Context>(ContextFixture::ordinary());
  const auto domain = std::make_shared<FakeDomain>();
  ASSERT_TRUE(context->attach(domain));
  auto memory = context->allocate({.size = 8192});
  ASSERT_TRUE(memory);
  std::memset(memory->segments()[0].address, 0x5A, 8192);
  const test::ChildReport report = test::in_child([&] {
    *memory = DmaMemory();
    context.reset();
    return std::to_string(domain->unmap_calls);
  });
  EXPECT_EQ(report.exit_code, 0);
  EXPECT_EQ(report.text, "0") << "the child must not unmap the parent's mappings";
  EXPECT_EQ(memory->segments()[0].address[0], std::byte{0x5A});
  EXPECT_EQ(memory->segments()[0].address[8191], std::byte{0x5A});
}

}  // namespace
}  // namespace pollux
