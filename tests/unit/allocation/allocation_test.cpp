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
#include "support/sanitized.hpp"

namespace pollux {
namespace {

namespace failing_new = test::failing_new;

std::size_t open_files() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

ContextOptions options() {
  ContextOptions options;
  options.clock = std::make_shared<ManualClock>();
  options.log = [](LogLevel, std::string_view) {};
  options.huge_pages = HugePages::never;
  return options;
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
  const PortConfig config{.rx = {.pool = &*pool, .cache = &cache, .ring = 64}, .tx = {.cache = &cache, .ring = 64}};
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
      Context context(options());
      return attempt(context);
    } catch (const std::bad_alloc&) {
      return std::string("bad_alloc");
    }
  };
  EXPECT_GT(fail_each(work, [] { return Left{failing_new::live(), open_files(), 0}; }), 100u);
}

TEST(Allocation, FailsAnywhereAndTheContextStaysUsable) {
  Context context(options());
  const auto work = [&] { return attempt(context); };
  const auto left = [&] {
    EXPECT_EQ(attempt(context), "forwarded");
    return Left{0, open_files(), context.allocate({.size = 4096})->segments()[0].iova};
  };
  EXPECT_GT(fail_each(work, left), 100u);
}

}  // namespace
}  // namespace pollux
