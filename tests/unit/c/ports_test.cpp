// SPDX-License-Identifier: BSD-3-Clause
// What tests/conformance asks of every port, as far as it shows through pollux.h: one pair of connected ports each.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include "conformance/own_network.hpp"
#include "conformance/relay.hpp"
#include "pollux/pollux.h"

namespace pollux::c::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Pair {
  const char* name;
  std::string left;
  std::string right;
  bool delivers = true;
  bool by_file = false;  ///< the receiver gets what was sent before it was opened
  std::optional<std::string> (*obstacle)() = nullptr;
  void (*prepare)() = nullptr;
  bool needs_relay = false;
};

std::string file() { return "/tmp/pollux-c-" + std::to_string(::getpid()) + ".pcap"; }

void make_interfaces() {
  conformance::enter_own_network();
  conformance::make_veth_pair("plxv0", "plxv1");
}

std::vector<Pair> pairs() {
  return {{"sim", "sim:0", "sim:1"},
          {"sim_virtio", "sim:0?card=virtio-net+plain-wire+no-ring-packed",
           "sim:1?card=virtio-net+plain-wire+no-ring-packed"},
          {"sim_virtio_packed", "sim:0?card=virtio-net+plain-wire", "sim:1?card=virtio-net+plain-wire"},
          {"ring", "ring:c:0", "ring:c:1"},
          {.name = "null", .left = "null:", .right = "null:?rx=64", .delivers = false},
          {.name = "pcap", .left = "pcap:out=" + file(), .right = "pcap:in=" + file(), .by_file = true},
          {.name = "tap",
           .left = "tap:plxc0",
           .right = "tap:plxc1",
           .obstacle = conformance::own_network_obstacle,
           .prepare = conformance::enter_own_network,
           .needs_relay = true},
          {.name = "xdp",
           .left = "xdp:plxv0?rule=all",
           .right = "xdp:plxv1?rule=all",
           .obstacle = conformance::xdp_obstacle,
           .prepare = make_interfaces}};
}

/// A broadcast with the EtherType for local experiments.
Bytes make_frame(std::size_t bytes, std::uint8_t number) {
  Bytes frame(bytes);
  for (std::size_t i = 0; i < bytes; ++i) frame[i] = static_cast<std::uint8_t>(i * 7 + number);
  std::fill_n(frame.begin(), 6, std::uint8_t{0xFF});
  std::memcpy(frame.data() + 6, "\x02\0\0\0\0\1\x88\xB5", 8);
  return frame;
}

class CPorts : public ::testing::TestWithParam<Pair> {
 protected:
  static constexpr std::chrono::seconds kLimit{10};
  static constexpr std::uint32_t kFrames = 1024;

  void SetUp() override {
    if (GetParam().obstacle != nullptr) {
      if (const auto why = GetParam().obstacle()) FAIL() << *why;
    }
    if (GetParam().prepare != nullptr) GetParam().prepare();
    pollux_context_options options{};
    options.size = sizeof options;
    options.flags = POLLUX_HUGE_PAGES_NEVER;
    context_ = pollux_context_open(&options, &error_);
    ASSERT_NE(context_, nullptr) << error_.message;
  }
  void TearDown() override {
    relay_.reset();
    pollux_port_close(left_, nullptr);
    pollux_port_close(right_, nullptr);
    if (pool_ != nullptr) {
      EXPECT_TRUE(all_are_free()) << "both ports are closed, but not all buffers were freed";
    }
    pollux_pool_close(pool_);
    pollux_context_close(context_);
    if (GetParam().by_file) ::unlink(file().c_str());
  }

  pollux_port* open(const std::string& uri, const char* settings) {
    pollux_port* const port = pollux_port_open(context_, uri.c_str(), settings, &error_);
    EXPECT_NE(port, nullptr) << error_.message;
    return port;
  }
  void start(const char* settings = nullptr) {
    settings_ = settings;
    left_ = open(GetParam().left, settings);
    ASSERT_NE(left_, nullptr);
    right_ = open(GetParam().right, settings);
    ASSERT_NE(right_, nullptr);
    constexpr std::uint64_t kNanoseconds = 10'000'000'000;
    ASSERT_EQ(pollux_port_wait_for_link(left_, kNanoseconds, &error_), POLLUX_OK) << error_.message;
    ASSERT_EQ(pollux_port_wait_for_link(right_, kNanoseconds, &error_), POLLUX_OK) << error_.message;
    if (GetParam().needs_relay) relay_ = std::make_unique<conformance::Relay>(GetParam().left, GetParam().right);
    pollux_pool_options options{};
    options.size = sizeof options;
    options.count = kFrames;
    pool_ = pollux_pool_open(context_, &options, &error_);
    ASSERT_NE(pool_, nullptr) << error_.message;
  }
  nlohmann::json ask(pollux_port* port, const char* method) {
    char* const text = pollux_request(context_, port, method, nullptr, &error_);
    EXPECT_NE(text, nullptr) << error_.message;
    auto json = nlohmann::json::parse(text == nullptr ? "null" : text);
    pollux_text_free(text);
    return json;
  }
  std::uint64_t drops(pollux_port* port, const char* name) {
    return ask(port, "port.stats")["drops"].value(name, 0ULL);
  }

  /// In buffers of at most `part` bytes.
  pollux_frame make(const Bytes& bytes, std::size_t part = 2048) {
    pollux_frame whole{};
    for (std::size_t at = 0; at == 0 || at < bytes.size(); at += part) {
      const std::size_t count = std::min(part, bytes.size() - at);
      pollux_frame one{};
      EXPECT_TRUE(pollux_alloc(pool_, &one, 1, static_cast<std::uint32_t>(count)));
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, one.data);
      if (at == 0)
        whole = one;
      else
        EXPECT_TRUE(pollux_frame_chain(&whole, &one));
    }
    return whole;
  }
  void pass_time() {
    if (relay_ != nullptr) relay_->run();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  bool eventually(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      pass_time();
    }
    return true;
  }
  void send(pollux_port* port, std::vector<pollux_frame> frames) {
    std::size_t sent = 0;
    EXPECT_TRUE(eventually([&] {
      const auto left = static_cast<std::uint32_t>(frames.size() - sent);
      sent += pollux_tx_burst(pollux_port_tx(port, 0), frames.data() + sent, left);
      return sent == frames.size();
    }));
  }
  /// The frames of the test that arrive, whose buffers the caller owns.
  std::vector<pollux_frame> receive(pollux_port* port, std::size_t count) {
    std::vector<pollux_frame> received;
    EXPECT_TRUE(eventually([&] {
      pollux_frame frames[32];
      const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(32, count - received.size()));
      const std::uint32_t found = pollux_rx_burst(pollux_port_rx(port, 0), frames, most);
      for (std::uint32_t i = 0; i < found; ++i) {
        // The kernel sends frames of its own on its interfaces.
        if (std::memcmp(frames[i].data + 12, "\x88\xB5", 2) == 0)
          received.push_back(frames[i]);
        else
          pollux_free(nullptr, &frames[i], 1);
      }
      return received.size() == count;
    })) << received.size()
        << " of " << count << " frames";
    return received;
  }
  std::vector<Bytes> contents(std::vector<pollux_frame> frames) {
    std::vector<Bytes> all;
    for (const pollux_frame& frame : frames) {
      Bytes& bytes = all.emplace_back(pollux_frame_bytes(&frame));
      EXPECT_EQ(pollux_frame_copy(&frame, 0, bytes.data(), bytes.size()), bytes.size());
    }
    pollux_free(nullptr, frames.data(), static_cast<std::uint32_t>(frames.size()));
    return all;
  }
  /// What arrives of what is sent, a few frames at a time.
  std::vector<Bytes> exchange(pollux_port* from, pollux_port* to, const std::vector<Bytes>& frames, std::size_t part) {
    std::vector<Bytes> arrived;
    constexpr std::size_t kAtOnce = 8;
    for (std::size_t at = 0; at < frames.size(); at += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, frames.size() - at);
      std::vector<pollux_frame> made;
      for (std::size_t i = at; i < at + count; ++i) made.push_back(make(frames[i], part));
      send(from, std::move(made));
      if (GetParam().by_file) continue;
      for (Bytes& bytes : contents(receive(to, count))) arrived.push_back(std::move(bytes));
    }
    if (!GetParam().by_file) return arrived;
    EXPECT_EQ(pollux_port_close(right_, &error_), POLLUX_OK) << error_.message;
    right_ = open(GetParam().right, settings_);
    if (right_ == nullptr) return arrived;
    contents(receive(right_, std::exchange(in_file_, in_file_ + frames.size())));  // it reads the file from its begin
    return contents(receive(right_, frames.size()));
  }
  void expect_exchange(const std::vector<Bytes>& frames, std::size_t part = 2048) {
    EXPECT_EQ(exchange(left_, right_, frames, part), frames);
    if (GetParam().by_file) return;
    EXPECT_EQ(exchange(right_, left_, frames, part), frames);
  }
  /// Whether the test's pool has all of its frames.
  bool all_are_free() {
    std::vector<pollux_frame> all(kFrames);
    if (!pollux_alloc(pool_, all.data(), kFrames, 0)) return false;
    pollux_free(pool_, all.data(), kFrames);
    return true;
  }
  /// The transmit queue returns the buffers that were sent.
  void settle(pollux_port* port) {
    EXPECT_TRUE(eventually([&] {
      pollux_tx_burst(pollux_port_tx(port, 0), nullptr, 0);
      return all_are_free();
    }));
  }

  pollux_context* context_ = nullptr;
  pollux_port* left_ = nullptr;
  pollux_port* right_ = nullptr;
  pollux_pool* pool_ = nullptr;
  const char* settings_ = nullptr;
  std::size_t in_file_ = 0;  ///< frames of earlier exchanges
  std::unique_ptr<conformance::Relay> relay_;
  pollux_error error_{};
};

/// Those that deliver what is sent.
class CWires : public CPorts {};

TEST_P(CWires, CarryFramesWholeAndInOrder) {
  start();
  std::vector<Bytes> frames;
  for (std::size_t bytes = 60; bytes < 1514; bytes += 29) frames.push_back(make_frame(bytes, 1));
  frames.push_back(make_frame(1514, 2));
  expect_exchange(frames);
  const auto sent = ask(left_, "port.stats");
  const auto received = ask(right_, "port.stats");
  std::uint64_t bytes = 0;
  for (const Bytes& frame : frames) bytes += frame.size();
  EXPECT_EQ(sent["tx_packets"], frames.size());
  EXPECT_EQ(sent["tx_bytes"], bytes);
  EXPECT_EQ(received["rx_burst_packets"], frames.size());
}

TEST_P(CWires, CarryChainsAndLongFrames) {
  start(R"({"mtu":4000})");
  for (const std::size_t part : {61U, 1000U}) {
    std::vector<Bytes> frames;
    for (std::uint8_t i = 0; i < 4; ++i) frames.push_back(make_frame(60 + i * part, i));
    expect_exchange(frames, part);
  }
  expect_exchange({make_frame(4014, 9), make_frame(2049, 8)});
}

TEST_P(CWires, FramesOutliveTheirPorts) {
  start();
  const std::vector<Bytes> frames{make_frame(60, 1), make_frame(600, 2)};
  send(left_, {make(frames[0]), make(frames[1])});
  if (GetParam().by_file) {
    pollux_port_close(right_, nullptr);
    right_ = open(GetParam().right, settings_);
  }
  std::vector<pollux_frame> received = receive(right_, 2);
  relay_.reset();
  EXPECT_EQ(pollux_port_close(std::exchange(left_, nullptr), &error_), POLLUX_OK) << error_.message;
  EXPECT_EQ(pollux_port_close(std::exchange(right_, nullptr), &error_), POLLUX_OK) << error_.message;
  EXPECT_EQ(contents(std::move(received)), frames);
}

TEST_P(CWires, ClonesArrive) {
  start();
  const Bytes bytes = make_frame(300, 5);
  pollux_frame frame = make(bytes);
  pollux_frame clone{};
  ASSERT_TRUE(pollux_frame_clone(&frame, pool_, &clone));
  send(left_, {clone, frame});
  if (GetParam().by_file) {
    pollux_port_close(right_, nullptr);
    right_ = open(GetParam().right, settings_);
  }
  EXPECT_EQ(contents(receive(right_, 2)), (std::vector<Bytes>{bytes, bytes}));
}

TEST_P(CWires, WakeAProgramThatWaits) {
  start();
  pollux_frame frames[8];
  std::uint32_t received = 9;
  send(left_, {make(make_frame(60, 1))});
  if (GetParam().by_file) {
    pollux_port_close(right_, nullptr);
    right_ = open(GetParam().right, settings_);
  }
  EXPECT_TRUE(eventually([&] {
    const pollux_code code =
        pollux_rx_wait(context_, pollux_port_rx(right_, 0), frames, 8, 1'000'000, &received, &error_);
    EXPECT_EQ(code, POLLUX_OK) << error_.message;
    bool ours = false;
    for (std::uint32_t i = 0; i < received; ++i) ours = ours || std::memcmp(frames[i].data + 12, "\x88\xB5", 2) == 0;
    pollux_free(nullptr, frames, received);
    return ours || code != POLLUX_OK;
  }));
}

TEST_P(CPorts, NameWhatTheyDrop) {
  start();
  const auto expect_dropped = [&](const char* name, pollux_frame frame) {
    const std::uint64_t before = drops(left_, name);
    EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left_, 0), &frame, 1), 1U);
    EXPECT_EQ(drops(left_, name), before + 1) << name;
  };
  expect_dropped("tx_too_short", make({}));
  const std::size_t longest = ask(left_, "port.info")["limits"]["max_mtu"].get<std::size_t>();
  expect_dropped("tx_too_long", make(Bytes(longest + 32)));
  pollux_frame offloaded = make(make_frame(60, 1));
  pollux_offload offload{};
  offload.size = sizeof offload;
  offload.flags = 1U << 31;
  pollux_frame_set_offload(&offloaded, &offload);
  expect_dropped("tx_unsupported_offload", offloaded);
  pollux_frame whole = make(make_frame(60, 1));
  const pollux_frame gap = make({});
  ASSERT_TRUE(pollux_frame_chain(&whole, &gap));
  expect_dropped("tx_bad_segment", whole);

  pollux_context* const other = pollux_context_open(nullptr, &error_);
  pollux_pool* const foreign = pollux_pool_open(other, nullptr, &error_);
  ASSERT_NE(foreign, nullptr) << error_.message;
  pollux_frame frame{};
  ASSERT_TRUE(pollux_alloc(foreign, &frame, 1, 60));
  expect_dropped("tx_unreachable", frame);
  ASSERT_TRUE(pollux_alloc(foreign, &frame, 1, 60));
  pollux_free(pool_, &frame, 1);
  pollux_pool_close(foreign);
  pollux_context_close(other);
  settle(left_);
}

TEST_P(CPorts, TakeNothingWhileTheyAreStopped) {
  start();
  pollux_frame frame = make(make_frame(60, 3));
  EXPECT_EQ(ask(left_, "port.stop"), nullptr);
  EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left_, 0), &frame, 1), 0U);
  pollux_frame received;
  EXPECT_EQ(pollux_rx_burst(pollux_port_rx(left_, 0), &received, 1), 0U);
  EXPECT_EQ(ask(left_, "port.start"), nullptr);
  ASSERT_EQ(pollux_port_wait_for_link(left_, 10'000'000'000, &error_), POLLUX_OK) << error_.message;
  send(left_, {frame});
  const std::size_t arrives = GetParam().delivers && !GetParam().by_file ? 1 : 0;
  EXPECT_EQ(contents(receive(right_, arrives)).size(), arrives);
  settle(left_);
}

TEST_P(CPorts, AreOpenedAgain) {
  start();
  for (int i = 0; i < 2; ++i) {
    relay_.reset();
    EXPECT_EQ(pollux_port_open(context_, GetParam().left.c_str(), "{", &error_), nullptr);
    EXPECT_EQ(pollux_port_close(left_, &error_), POLLUX_OK) << error_.message;
    left_ = open(GetParam().left, R"({"mtu":1400})");
    ASSERT_NE(left_, nullptr);
    char* const settings = pollux_port_settings(left_, &error_);
    ASSERT_NE(settings, nullptr) << error_.message;
    EXPECT_EQ(nlohmann::json::parse(settings)["mtu"], 1400);
    pollux_text_free(settings);
    EXPECT_EQ(pollux_port_change(left_, R"({"mtu":1})", &error_), POLLUX_INVALID_ARGUMENT);
  }
}

std::vector<Pair> wires() {
  auto all = pairs();
  std::erase_if(all, [](const Pair& pair) { return !pair.delivers; });
  return all;
}
std::string name_of(const ::testing::TestParamInfo<Pair>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(, CPorts, ::testing::ValuesIn(pairs()), name_of);
INSTANTIATE_TEST_SUITE_P(, CWires, ::testing::ValuesIn(wires()), name_of);

}  // namespace
}  // namespace pollux::c::test
