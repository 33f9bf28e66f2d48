// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/pairs.hpp"
#include "conformance/relay.hpp"
#include "pollux/pollux.hpp"

namespace pollux::conformance {

using Bytes = std::vector<std::uint8_t>;

inline constexpr MacAddress kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

/// A frame without FCS of at least 22 bytes: the EtherType for local experiments, its number, then bytes that follow
/// from the number.
[[nodiscard]] Bytes make_frame(std::size_t bytes, std::uint32_t number, const MacAddress& to = kBroadcast);
[[nodiscard]] std::vector<Bytes> make_frames(std::size_t count, std::size_t bytes, const MacAddress& to = kBroadcast);
[[nodiscard]] Bytes content(const Mbuf& mbuf);

/// Two ports of a pair on one Context and one pool. At its end both are closed, and all buffers must be home.
class Conformance : public testing::Test {
 public:
  /// Before it runs, which pair it is about.
  void use(const Pair& pair) { pair_ = &pair; }

 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] const Pair& pair() const { return *pair_; }
  [[nodiscard]] const Traits& traits() const { return pair_->traits; }
  /// Opens, configures and starts both ports and waits for their links.
  void start_both();
  void start_both(const PortConfig& left, const PortConfig& right);
  [[nodiscard]] Port& left() { return *left_; }
  [[nodiscard]] Port& right() { return *right_; }
  /// 64 descriptors a ring, one queue each way, both on the pool and its cache.
  [[nodiscard]] PortConfig config();
  [[nodiscard]] PortConfig config(const Mempool& pool);
  [[nodiscard]] Port open_port(const std::string& uri);
  void wait_for_links();

  /// An mbuf, or a chain of mbufs of at most `segment_bytes` each, with the frame in it.
  [[nodiscard]] MbufPtr make_mbuf(std::span<const std::uint8_t> frame, std::size_t segment_bytes = 2048);
  /// Hands all frames to `port`'s queue 0, in bursts of 32, until it has taken them.
  void send(Port& port, const std::vector<Bytes>& frames, std::size_t segment_bytes = 2048);
  /// Polls all receive queues until `count` of the suite's frames are here, or none comes any more.
  [[nodiscard]] std::vector<Bytes> receive(Port& port, std::size_t count);
  /// Sends so few at once that none is lost, and returns what arrives.
  [[nodiscard]] std::vector<Bytes> exchange(Port& from, Port& to, const std::vector<Bytes>& frames,
                                            std::size_t segment_bytes = 2048);
  /// Expects that the frames arrive, all, in order and unchanged; both ways where there are two.
  void expect_exchange(const std::vector<Bytes>& frames, std::size_t segment_bytes = 2048);
  /// Expects that nothing of the suite's arrives.
  void expect_silence(Port& port);
  /// Whatever carries frames gets its turn; then a moment passes.
  void pass_time();

  /// Has `port` receive a group's frames, or no longer, in the way that it has for that.
  void receive_multicast(Port& port, const MacAddress& group, bool on);

  [[nodiscard]] std::uint64_t drops(Port& port, std::string_view name);
  [[nodiscard]] static std::uint64_t dropped(Port& port, std::string_view prefix);
  /// Waits until `port` has counted as many sent frames as were taken from it, less what was dropped.
  void settle(Port& port);
  /// Misuse was provoked: it is as it should be that it was reported.
  void forgive_misuse();

  std::mutex reports_;
  std::vector<std::string> misuse_;
  std::optional<Context> context_;
  std::optional<Mempool> pool_;
  std::optional<MempoolCache> cache_;
  std::optional<Port> left_;
  std::optional<Port> right_;

 private:
  void reopen_receiver();
  /// Throws away what came back of what `port` sent.
  void forget_own(Port& port);

  const Pair* pair_ = nullptr;
  std::unique_ptr<Relay> relay_;
  std::size_t in_file_ = 0;  // frames that a receiver of a file has had before
};

/// A case as the program knows it, before it knows the pairs.
struct Case {
  const char* fixture;
  const char* name;
  const char* file;
  int line;
  bool (*applies)(const Traits& traits);
  Conformance* (*make)();
};
/// Notes a case; the result means nothing.
bool declare(const Case& declared);
/// Makes a test of each case with each pair that it applies to: what a pair cannot do by nature has no test that could
/// pass unjudged. To be called once, before the tests run.
void instantiate();

/// A case that every pair has to pass.
#define CONFORMANCE_TEST(fixture, name) CONFORMANCE_TEST_WHERE(fixture, name, (static_cast<void>(traits), true))

/// A case for those pairs whose `traits` make `condition` true.
#define CONFORMANCE_TEST_WHERE(fixture, name, condition)                                                    \
  class fixture##_##name final : public fixture {                                                           \
    void TestBody() override;                                                                               \
  };                                                                                                        \
  [[maybe_unused]] const bool fixture##_##name##_is_declared =                                              \
      declare({#fixture, #name, __FILE__, __LINE__, [](const Traits& traits) -> bool { return condition; }, \
               []() -> Conformance* { return new fixture##_##name; }});                                     \
  void fixture##_##name::TestBody()

}  // namespace pollux::conformance
