// SPDX-License-Identifier: BSD-3-Clause
// Makes each call of operator new fail in turn: the result is std::bad_alloc or an Error, nothing leaks, and the
// Context stays usable.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <string>

#include "failing_new.hpp"
#include "pollux/pollux.hpp"
#include "support/lost_on_purpose.hpp"
#include "support/quiet_context.hpp"
#include "support/sanitized.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

namespace failing_new = test::failing_new;

std::size_t open_files() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

/// Whether a frame is forwarded from one port to the other. No allocation fails here: the in-process card allocates
/// memory for frames and cannot report a failure.
bool one_frame(Context& context, Port& from, Port& to, MempoolCache& cache) {
  const failing_new::Pause pause;
  Burst<1> sent;
  if (!sent.fill(cache, 1)) return false;
  std::memset(sent[0].append(60), 0xFF, 60);  // a broadcast
  from.tx(0).tx_burst(sent);
  context.clock().sleep_for(std::chrono::milliseconds(1));
  Burst<1> received;
  DropCounter done("done");
  to.rx(0).rx_burst(received);
  const bool arrived = received.size() == 1;
  received.drop(done, cache);
  return arrived;
}

/// Opens two ports and a pool, uses and closes them. Returns false and sets `failure` if a call returned an Error.
bool forward(Context& context, std::optional<Error>& failure) {
  const auto note = [&](const auto& result) {
    if (!result) failure = result.error();
    return result.has_value();
  };
  auto pool = Mempool::create(context, {.count = 256});
  if (!note(pool)) return false;
  MempoolCache cache(*pool);
  const Settings config{.rx = {{.pool = *pool, .cache = cache, .ring = 64}}, .tx = {{.cache = cache, .ring = 64}}};
  auto in = open(context, "sim:0", config);
  if (!note(in)) return false;
  auto out = open(context, "sim:1", config);
  if (!note(out)) return false;
  if (!note(in->wait_for_link(std::chrono::seconds(10))) || !note(out->wait_for_link(std::chrono::seconds(10)))) {
    return false;
  }
  const bool arrived = one_frame(context, *out, *in, cache);
  return note(in->stop()) && note(out->stop()) && note(in->close()) && note(out->close()) && arrived;
}

/// The result of an attempt: "bad_alloc", the Error, "forwarded", or "lost" if there was neither.
std::string attempt(Context& context) {
  try {
    std::optional<Error> failure;
    if (forward(context, failure)) return "forwarded";
    return failure ? std::string(to_string(failure->code)) : "lost";
  } catch (const std::bad_alloc&) {
    return "bad_alloc";
  }
}

/// Distance of the allocations that fail.
constexpr std::size_t kStride = test::kSanitized ? 5 : 1;

/// Fails each allocation of `work` in turn, with sanitizers some of them. `left` returns what must be unchanged
/// afterwards.
template <class Work, class Left>
std::size_t fail_each(Work work, Left left) {
  EXPECT_EQ(work(), "forwarded");
  const auto before = left();
  std::size_t n = 0;
  for (bool failed = true; failed && !testing::Test::HasFailure(); n += kStride) {
    failing_new::fail_at(n);
    const std::string outcome = work();
    failed = failing_new::disarm();
    EXPECT_EQ(left(), before) << "after allocation " << n << " failed: " << outcome;
    const bool expected = outcome == "forwarded" || (failed && (outcome == "bad_alloc" || outcome == "no_memory"));
    EXPECT_TRUE(expected) << "allocation " << n << " failed: " << outcome;
  }
  return n;
}

struct Left {
  std::size_t pieces = 0;
  std::size_t files = 0;
  std::uint64_t free_iova = 0;  // the lowest free IOVA
  bool operator==(const Left&) const = default;
  friend void PrintTo(const Left& left, std::ostream* out) {
    *out << left.pieces << " pieces of memory, " << left.files << " open files, IOVA " << left.free_iova;
  }
};

TEST(Allocation, FailsAnywhereInAContextsLifeWithoutALeak) {
  const auto work = [] {
    try {
      Context context(test::quiet_context());
      return attempt(context);
    } catch (const std::bad_alloc&) {
      return std::string("bad_alloc");
    }
  };
  EXPECT_GT(fail_each(work, [] { return Left{failing_new::live(), open_files(), 0}; }), 100u);
}

TEST(Allocation, FailsAnywhereAndTheContextStaysUsable) {
  Context context(test::quiet_context());
  const auto work = [&] { return attempt(context); };
  const auto left = [&] {
    EXPECT_EQ(attempt(context), "forwarded");
    return Left{0, open_files(), context.allocate({.size = 4096})->segments()[0].iova};
  };
  EXPECT_GT(fail_each(work, left), 100u);
}

/// Opens both ports, starts them, sends a frame from the first to the second, if they are connected, and closes them.
std::string use_pair(Context& context, const std::string& first, const std::string& second, bool connected) {
  try {
    auto pool = Mempool::create(context, {.count = 256});
    if (!pool) return std::string(to_string(pool.error().code));
    MempoolCache cache(*pool);
    const Settings config{.rx = {{.pool = *pool, .cache = cache, .ring = 64}}, .tx = {{.cache = cache, .ring = 64}}};
    auto left = open(context, first, config);
    if (!left) return std::string(to_string(left.error().code));
    auto right = open(context, second, config);
    if (!right) return std::string(to_string(right.error().code));
    if (connected && !one_frame(context, *left, *right, cache)) return "lost";
    for (Port* port : {&*left, &*right}) {
      if (auto closed = port->close(); !closed) return std::string(to_string(closed.error().code));
    }
    return "forwarded";
  } catch (const std::bad_alloc&) {
    return "bad_alloc";
  }
}

/// The port's number that the next port gets.
int next_number(Context& context) {
  auto next = open_unconfigured(context, "null:");
  EXPECT_TRUE(next);
  return next ? next->info().index : -1;
}

// A name that an attempt has claimed is free again, and so is the port's number.
TEST(Allocation, FailsAnywhereAndPortsCanBeOpenedAgain) {
  const std::string file = testing::TempDir() + "pollux_allocation.pcap";
  struct Ports {
    std::string first;
    std::string second;
    bool connected;
  };
  for (const auto& [first, second, connected] :
       {Ports{"ring:a:0", "ring:a:1", true}, Ports{"null:", "null:?rx=64", true},
        Ports{"pcap:out=" + file, "null:", false}, Ports{"sim:0", "sim:1", false}}) {
    SCOPED_TRACE(first);
    Context context(test::quiet_context());
    const auto work = [&] { return use_pair(context, first, second, connected); };
    const auto left = [&] {
      EXPECT_EQ(work(), "forwarded");
      return next_number(context);
    };
    EXPECT_GT(fail_each(work, left), 20U);
  }
}

/// Opens a virtual function and closes it.
std::string use_function(Context& context) {
  try {
    auto function = open_unconfigured(context, "sim:0.vf0");
    if (!function) return std::string(to_string(function.error().code));
    auto closed = function->close();
    return closed ? "forwarded" : std::string(to_string(closed.error().code));
  } catch (const std::bad_alloc&) {
    return "bad_alloc";
  }
}

TEST(Allocation, FailsAnywhereAndAVirtualFunctionCanBeOpenedAgain) {
  Context context(test::quiet_context());
  auto physical = open_unconfigured(context, "sim:0");
  ASSERT_TRUE(physical && test::set_functions(*physical, 1));
  ASSERT_TRUE(test::configure_port(*physical, {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}) && physical->start());
  const auto work = [&] { return use_function(context); };
  EXPECT_GT(fail_each(work, [&] { return next_number(context); }), 20U);
}

// A port that cannot be closed keeps what its card may use. The program goes on, also with the port at the other end.
TEST(Allocation, FailsAnywhereInAPortsDestructor) {
  const test::LostOnPurpose memory_of_the_port;
  std::size_t n = 0;
  for (bool failed = true; failed; ++n) {
    Context context(test::quiet_context());
    auto pool = Mempool::create(context, {.count = 256});
    ASSERT_TRUE(pool);
    const Settings config{.rx = {{.pool = *pool, .ring = 64}}, .tx = {{.ring = 64}}};
    auto left = open(context, "sim:0", config);
    auto right = open(context, "sim:1", config);
    ASSERT_TRUE(left && right);
    failing_new::fail_at(n);
    { const Port lost = *std::move(left); }
    failed = failing_new::disarm();
    EXPECT_EQ(next_number(context), 0) << "after allocation " << n << " failed";
    EXPECT_TRUE(right->stop() && right->close()) << "after allocation " << n << " failed";
  }
  EXPECT_GT(n, 2U);
}

/// What a poller runs. Its destructors run when memory is missing, too.
std::string use_poller(Context& context) {
  try {
    Poller poller(context);
    auto port = open(context, "ring:a");
    if (!port) return std::string(to_string(port.error().code));
    unsigned ran = 0;
    for (int i = 0; i < 40; ++i) poller.add_timer(Time(i), [&ran] { ++ran; });
    {
      auto work = [](RxQueue& queue) -> Task<> {
        co_await sleep_for(Duration(1));
        static_cast<void>(co_await packets(queue));
      };
      Task<> task = work(port->rx(0));
      if (auto started = task.start(poller); !started) return std::string(to_string(started.error().code));
      PollerTask& once = poller.add_task("once", [] { return false; });
      for (int round = 0; round < 8; ++round) {
        context.clock().sleep_for(std::chrono::milliseconds(1));
        if (auto polled = poller.run_once(Time::min()); !polled) return std::string(to_string(polled.error().code));
      }
      poller.remove(once);
      // An exception that leaves a callback or a task is counted.
      if (poller.exceptions() != 0) return "bad_alloc";
    }
    return ran == 40 ? "forwarded" : "lost";
  } catch (const std::bad_alloc&) {
    return "bad_alloc";
  }
}

TEST(Allocation, FailsAnywhereInAPollersLife) {
  Context context(test::quiet_context());
  const auto work = [&] { return use_poller(context); };
  EXPECT_GT(fail_each(work, [&] { return work(); }), 40U);
}

// Descriptors, and tasks that wait for them, are removed without memory.
TEST(Allocation, APollerRemovesWithoutMemory) {
  Context context(test::quiet_context());
  auto port = open(context, "ring:a");
  ASSERT_TRUE(port);
  Poller poller(context);
  const auto queue = poller.add(port->rx(0), [](Burst<32>&) {});
  const auto descriptor = poller.add_descriptor(0, [](short) {});
  PollerTask& task = poller.add_task("task", [] { return false; });
  poller.add_timer(Time(1), [] {});
  ASSERT_TRUE(queue && descriptor);
  context.clock().sleep_for(std::chrono::milliseconds(1));
  failing_new::fail_at(0);
  const bool removed = poller.remove(*descriptor) && poller.remove(**queue).has_value();
  poller.remove(task);
  const bool needed_memory = failing_new::disarm();
  EXPECT_TRUE(removed);
  EXPECT_FALSE(needed_memory);
  EXPECT_TRUE(poller.queues().empty());
}

}  // namespace
}  // namespace pollux
