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

/// Makes a frame of at least 22 bytes without FCS. It has the EtherType for local experiments, then `number`, then
/// bytes derived from `number`.
[[nodiscard]] Bytes make_frame(std::size_t bytes, std::uint32_t number, const MacAddress& to = kBroadcast);
/// A frame of 60 bytes with a packet of UDP over IPv4, from an address of its own: RSS spreads such frames.
[[nodiscard]] Bytes make_flow(std::uint32_t number);
[[nodiscard]] std::vector<Bytes> make_frames(std::size_t count, std::size_t bytes, const MacAddress& to = kBroadcast);
[[nodiscard]] Bytes content(const Mbuf& mbuf);

/// The ports of a pair on one Context and one pool. At its end both are closed, and all buffers must be free.
class Conformance : public testing::Test {
 public:
  /// Sets the pair to test. Called before the test runs.
  void use(const Pair& pair) { pair_ = &pair; }

 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] const Pair& pair() const { return *pair_; }
  [[nodiscard]] const Traits& traits() const { return pair_->traits; }
  /// Opens, configures and starts both ports and waits for their links.
  void start_both();
  /// One port in loopback gets the left configuration with the right one's receive side.
  void start_both(const pollux::Settings& left, const pollux::Settings& right);
  void stop_both();
  /// Starts both ports after `stop_both`, and waits for their links.
  void start_again();
  [[nodiscard]] Port& left() { return *left_; }
  [[nodiscard]] Port& right() { return traits().two_ports() ? *right_ : *left_; }
  /// Rings of 64 descriptors, one queue in each direction, both with the pool and its cache.
  [[nodiscard]] pollux::Settings config();
  [[nodiscard]] pollux::Settings config(const Mempool& pool);
  [[nodiscard]] Port open_port(const std::string& uri);
  void wait_for_links();

  /// Copies a frame to an mbuf, or to a chain of mbufs of at most `segment_bytes` each.
  [[nodiscard]] MbufPtr make_mbuf(std::span<const std::uint8_t> frame, std::size_t segment_bytes = 2048);
  /// Sends all frames on queue 0 of `port` in bursts of 32, until it has accepted them.
  void send(Port& port, const std::vector<Bytes>& frames, std::size_t segment_bytes = 2048);
  /// Polls all receive queues until `count` of the suite's frames have arrived, or no more arrive.
  [[nodiscard]] std::vector<Bytes> receive(Port& port, std::size_t count);
  /// Sends frames in groups so small that none is lost. Returns the frames that arrive.
  [[nodiscard]] std::vector<Bytes> exchange(Port& from, Port& to, const std::vector<Bytes>& frames,
                                            std::size_t segment_bytes = 2048);
  /// Expects that all frames arrive in order and unchanged, in both directions if the pair has two.
  void expect_exchange(const std::vector<Bytes>& frames, std::size_t segment_bytes = 2048);
  /// Expects that none of the suite's frames arrives.
  void expect_silence(Port& port);
  /// Runs the relay, if there is one, then sleeps for a short time.
  void pass_time();

  /// Makes `port` receive a group's frames, or stop receiving them, by the means that it supports.
  void receive_multicast(Port& port, const MacAddress& group, bool on);

  [[nodiscard]] std::uint64_t drops(Port& port, std::string_view name);
  [[nodiscard]] static std::uint64_t dropped(Port& port, std::string_view prefix);
  /// Waits until the transmit ring of `port` is empty.
  void settle(Port& port);
  /// Clears reports of misuse that the test provoked.
  void clear_misuse();

  std::mutex reports_;
  std::vector<std::string> misuse_;
  std::optional<Context> context_;
  std::optional<Mempool> pool_;
  std::optional<MempoolCache> cache_;
  std::optional<Port> left_;
  std::optional<Port> right_;

 private:
  void reopen_receiver();
  /// Drops frames that `port` received from itself.
  void discard_own(Port& port);

  const Pair* pair_ = nullptr;
  std::unique_ptr<Relay> relay_;
  std::size_t frames_in_file_ = 0;  // frames in the file that were received before
};

/// A declared test case, independent of pairs.
struct Case {
  const char* fixture;
  const char* name;
  const char* file;
  int line;
  bool (*applies)(const Traits& traits);
  Conformance* (*make)();
};
/// Adds a case to the list. The result has no meaning.
bool declare(const Case& declared);
/// Registers a test for each case and each pair to which it applies. A pair has no tests for what it cannot do, so no
/// test passes without a check. Call it once, before the tests run.
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
