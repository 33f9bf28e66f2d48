// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "pollux/pollux.h"

namespace pollux::c::test {

/// A text of the library, which is freed.
inline std::string take(char* text) {
  std::string copy = text == nullptr ? "" : text;
  pollux_text_free(text);
  return copy;
}

/// Two in-process cards with a wire between them, in virtual time.
class C : public ::testing::Test {
 public:
  nlohmann::json ask(pollux_port* port, const char* method, const char* params = nullptr) {
    return nlohmann::json::parse(take(pollux_request(context, port, method, params, &error)), nullptr, false);
  }

  pollux_context* context = nullptr;
  pollux_port* left = nullptr;
  pollux_port* right = nullptr;
  pollux_pool* pool = nullptr;
  pollux_error error{};
  std::string logged;

 protected:
  void SetUp() override {
    pollux_context_options options{};
    options.size = sizeof options;
    options.flags = POLLUX_VIRTUAL_TIME | POLLUX_HUGE_PAGES_NEVER;
    options.arena_bytes = std::uint64_t{1} << 30;
    options.log = [](void* user, pollux_log_level, const char* message) {
      static_cast<C*>(user)->logged.append(message).push_back('\n');
    };
    options.user = this;
    context = pollux_context_open(&options, &error);
    ASSERT_NE(context, nullptr) << error.message;
  }
  void TearDown() override {
    pollux_pool_close(pool);
    pollux_port_close(left, nullptr);
    pollux_port_close(right, nullptr);
    pollux_context_close(context);
  }

  void open_wire(const char* uri = "sim:0", const char* settings = nullptr) {
    left = pollux_port_open(context, uri, settings, &error);
    ASSERT_NE(left, nullptr) << error.message;
    right = pollux_port_open(context, "sim:1", settings, &error);
    ASSERT_NE(right, nullptr) << error.message;
    constexpr std::uint64_t kLimit = 10'000'000'000;
    ASSERT_EQ(pollux_port_wait_for_link(left, kLimit, &error), POLLUX_OK) << error.message;
    ASSERT_EQ(pollux_port_wait_for_link(right, kLimit, &error), POLLUX_OK) << error.message;
    pool = pollux_pool_of_port(left, 0, &error);
    ASSERT_NE(pool, nullptr) << error.message;
  }
  /// A broadcast of 60 bytes, the rest of which are `number`.
  pollux_frame frame(std::uint8_t number = 0) {
    pollux_frame made{};
    EXPECT_TRUE(pollux_alloc(pool, &made, 1, 60));
    std::memset(made.data, number, 60);
    std::memset(made.data, 0xFF, 6);
    std::memcpy(made.data + 12, "\x88\xB5", 2);
    return made;
  }
  /// Sends a frame from left to right, and returns how many arrive.
  std::uint32_t pass(pollux_frame& one) {
    EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), &one, 1), 1U);
    pollux_context_sleep(context, 1'000'000);
    return pollux_rx_burst(pollux_port_rx(right, 0), &one, 1);
  }
};

}  // namespace pollux::c::test
