// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/flow_table.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
using Table = FlowTable<int>;

Table table(const FlowTableOptions& options) {
  auto made = Table::create(options);
  if (!made) throw std::runtime_error(made.error().message());
  return *std::move(made);
}

TEST(FlowTable, FindsWhatWasStoredLast) {
  Table flows = table({.capacity = 64});
  EXPECT_EQ(flows.capacity(), 64U);
  EXPECT_EQ(flows.find(7, 0s), nullptr);
  flows.store(7, 1, 0s);
  flows.store(0, 2, 0s);
  flows.store(7, 3, 0s);
  EXPECT_EQ(*flows.find(7, 0s), 3);
  EXPECT_EQ(*flows.peek(0, 0s), 2);
  EXPECT_EQ(flows.size(), 2U);
  EXPECT_TRUE(flows.erase(7));
  EXPECT_FALSE(flows.erase(7));
  EXPECT_EQ(flows.find(7, 0s), nullptr);
  EXPECT_EQ(flows.stats().stored, 2U);
}

TEST(FlowTable, ForgetsWhatIsNotUsed) {
  Table flows = table({.capacity = 64, .max_age = 10s});
  flows.store(1, 1, 0s);
  flows.store(2, 2, 0s);
  EXPECT_NE(flows.find(1, 10s), nullptr) << "as old as allowed, and used again";
  EXPECT_NE(flows.peek(2, 10s), nullptr) << "a look does not count as use";
  EXPECT_EQ(flows.peek(2, 10s + 1ns), nullptr);
  EXPECT_EQ(flows.size(), 2U);
  EXPECT_EQ(flows.age(10s + 1ns), 1U);
  EXPECT_EQ(flows.size(), 1U);
  EXPECT_NE(flows.find(1, 20s), nullptr);
  EXPECT_EQ(flows.find(1, 31s), nullptr);
  EXPECT_TRUE(flows.empty());
  EXPECT_EQ(flows.stats().aged, 2U);
  EXPECT_EQ(flows.stats().evicted, 0U);
}

TEST(FlowTable, KeepsForEverIfAsked) {
  Table flows = table({.capacity = 1, .max_age = Duration::max()});
  flows.store(1, 1, 0s);
  EXPECT_NE(flows.find(1, Time::max()), nullptr);
}

// A table of eight entries is one set.
TEST(FlowTable, MakesRoomAtTheExpenseOfTheLeastRecentlyUsed) {
  Table flows = table({.capacity = 3, .max_age = 100s});
  ASSERT_EQ(flows.capacity(), Table::kWays);
  for (int i = 0; i < 8; ++i) flows.store(static_cast<std::uint64_t>(i), i, std::chrono::seconds(i));
  ASSERT_NE(flows.find(0, 20s), nullptr);
  flows.store(8, 8, 21s);
  EXPECT_EQ(flows.peek(1, 21s), nullptr);
  for (std::uint64_t kept : {0U, 2U, 3U, 4U, 5U, 6U, 7U, 8U}) EXPECT_NE(flows.peek(kept, 21s), nullptr) << kept;
  EXPECT_EQ(flows.stats().evicted, 1U);
  flows.store(9, 9, 103s);
  EXPECT_EQ(flows.stats().evicted, 1U) << "entry 2 was too old";
  EXPECT_EQ(flows.stats().aged, 1U);
  EXPECT_EQ(flows.size(), 8U);
}

TEST(FlowTable, ErasesByContent) {
  Table flows = table({.capacity = 64});
  for (int i = 0; i < 20; ++i) flows.store(static_cast<std::uint64_t>(i), i % 2, 0s);
  EXPECT_EQ(flows.erase_if([](std::uint64_t key, int value) { return value == 1 || key == 0; }), 11U);
  EXPECT_EQ(flows.size(), 9U);
  EXPECT_EQ(flows.find(1, 0s), nullptr);
  EXPECT_NE(flows.find(2, 0s), nullptr);
}

// What is found is what was stored last and is young enough; what is missing was evicted or is too old.
TEST(FlowTable, AgreesWithAModel) {
  Table flows = table({.capacity = 256, .max_age = 1s, .seed = 99});
  struct Known {
    int value;
    Time used;
  };
  std::map<std::uint64_t, Known> model;
  std::mt19937_64 random(1);
  Time now{};
  std::uint64_t young_misses = 0;
  for (int i = 0; i < 50'000; ++i) {
    now += std::chrono::microseconds(random() % 5000);
    const std::uint64_t key = random() % 400 << 40;
    const auto known = model.find(key);
    if (random() % 2 == 0) {
      flows.store(key, i, now);
      model[key] = {i, now};
    } else if (const int* found = flows.find(key, now)) {
      ASSERT_NE(known, model.end());
      EXPECT_EQ(*found, known->second.value);
      EXPECT_LE(now - known->second.used, 1s);
      known->second.used = now;
    } else if (known != model.end()) {
      if (now - known->second.used <= 1s) ++young_misses;
      model.erase(known);
    }
  }
  EXPECT_LE(young_misses, flows.stats().evicted);
  EXPECT_GT(flows.stats().aged, 0U);
  EXPECT_GT(flows.stats().evicted, 0U);
  EXPECT_EQ(flows.stats().stored, flows.stats().aged + flows.stats().evicted + flows.size());
}

TEST(FlowTable, RejectsSenselessOptions) {
  const auto rejected = [](const FlowTableOptions& options, const char* part) {
    const auto made = Table::create(options);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(made.error().message().find(part), std::string::npos) << made.error().message();
  };
  rejected({.capacity = 0}, "a capacity of 0");
  rejected({.capacity = Table::kMaxFlows + 1}, "16777217");
  rejected({.max_age = 0s}, "maximum age");
  rejected({.max_age = -1s}, "maximum age");
}

/// A value whose end uses the table that it was in.
struct Session {
  explicit Session(std::function<void()> work) : at_end(std::move(work)) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { at_end(); }
  std::function<void()> at_end;
};

TEST(FlowTable, TheEndOfAValueMayUseTheTable) {
  using Sessions = FlowTable<std::shared_ptr<Session>>;
  auto made = std::make_unique<Sessions>(*Sessions::create({.capacity = 8, .max_age = 10s}));
  Sessions& table = *made;
  const auto quiet = [] { return std::make_shared<Session>([] {}); };
  // All keys share the one set. What leaves it stores another one, as often as `stores` says.
  std::uint64_t spare = 100;
  int stores = 0;
  const auto lively = [&] {
    return std::make_shared<Session>([&] {
      if (stores-- > 0) table.store(spare++, quiet(), 5s);
    });
  };
  const auto count = [&] {
    std::uint32_t found = 0;
    for (std::uint64_t key = 0; key < 200; ++key) found += table.peek(key, 5s) != nullptr ? 1U : 0U;
    return found;
  };
  for (std::uint64_t key = 0; key < 8; ++key) table.store(key, lively(), Time(key));
  stores = 2;
  table.store(8, quiet(), 5s);
  EXPECT_EQ(table.size(), count());
  for (const std::uint64_t key : {8U, 100U, 101U}) EXPECT_NE(table.peek(key, 5s), nullptr) << key;
  stores = 1;
  table.store(7, quiet(), 5s);
  EXPECT_EQ(table.size(), count());
  EXPECT_NE(table.peek(102, 5s), nullptr);
  stores = 1;
  table.erase(6);
  EXPECT_EQ(table.size(), count());
  EXPECT_NE(table.peek(103, 5s), nullptr);
  stores = 0;
  table.erase_if([&](std::uint64_t key, const auto&) { return table.erase(key); });
  EXPECT_EQ(table.size(), count());
  EXPECT_TRUE(table.empty());
}

TEST(FlowTable, ValuesMayUseTheTableWhenItEnds) {
  using Sessions = FlowTable<std::unique_ptr<Session>>;
  auto made = std::make_unique<Sessions>(*Sessions::create({.capacity = 64, .max_age = 10s}));
  Sessions* const table = made.get();
  int ends = 0;
  for (std::uint64_t key = 0; key < 20; ++key) {
    table->store(key, std::make_unique<Session>([&, key] {
                   ++ends;
                   table->erase(key);
                   table->erase((key + 1) % 20);
                 }),
                 0s);
  }
  made.reset();
  EXPECT_EQ(ends, 20);
}

TEST(FlowTable, DestroysTheValueOfAForgottenFlow) {
  auto made = FlowTable<std::shared_ptr<int>>::create({.capacity = 64, .max_age = 10s});
  ASSERT_TRUE(made);
  const auto value = std::make_shared<int>(1);
  made->store(1, value, 0s);
  made->store(2, value, 0s);
  EXPECT_EQ(value.use_count(), 3);
  made->erase(1);
  EXPECT_EQ(value.use_count(), 2);
  made->age(11s);
  EXPECT_EQ(value.use_count(), 1);
}

}  // namespace
}  // namespace pollux::test
