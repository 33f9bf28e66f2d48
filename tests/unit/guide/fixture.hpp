// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "pollux/pollux.hpp"

/// A loop of a snippet ends after a few rounds.
class Running {
 public:
  /// Not explicit, as the bool that it stands for.
  operator bool() noexcept { return rounds_-- > 0; }  // NOLINT(google-explicit-constructor)
  Running& operator=(bool on) noexcept {
    if (!on) rounds_ = 0;
    return *this;
  }

 private:
  int rounds_ = 3;
};
inline Running running;
inline void swap_macs(std::uint8_t* data) { std::swap_ranges(data, data + 6, data + 6); }

/// What the guide's snippets use: two in-process cards on one wire, with a pool, and some frames.
class Guide : public testing::Test {
 protected:
  void SetUp() override {
    running = Running();
    for (pollux::Result<pollux::Port>* port : {&in_, &out_}) {
      ASSERT_TRUE(*port) << port->error().message();
      ASSERT_TRUE((*port)->wait_for_link(std::chrono::seconds(10)));
    }
    for (pollux::MbufPtr* mbuf : {&mbuf_, &frame_, &more_}) {
      ASSERT_NE(*mbuf, nullptr);
      std::memset((*mbuf)->append(60), 0xFF, 60);
    }
  }
  [[nodiscard]] pollux::Result<pollux::Port> open(const char* uri) {
    return pollux::open(context_, uri, {.rx = {{.pool = pool_, .cache = cache_}}, .tx = {{.cache = cache_}}});
  }

  /// Its time passes only where somebody waits, so a link is up at once.
  pollux::Context context_{{.clock = std::make_shared<pollux::ManualClock>(), .huge_pages = pollux::HugePages::never}};
  pollux::Mempool pool_ = pollux::Mempool::create(context_, {.count = 8192}).value();
  pollux::MempoolCache cache_{pool_};
  pollux::Result<pollux::Port> in_ = open("sim:0");
  pollux::Result<pollux::Port> out_ = open("sim:1");
  pollux::Burst<32> burst_;
  pollux::MbufPtr mbuf_ = pool_.allocate();
  pollux::MbufPtr frame_ = pool_.allocate();
  pollux::MbufPtr more_ = pool_.allocate();
  pollux::DropCounter reason_{"reason"};
  std::array<std::uint8_t, 64> storage_{};
  std::span<std::uint8_t> bytes_{storage_};
  pollux::Result<pollux::DmaMemory> memory_ = context_.allocate({.size = 4096, .purpose = "guide"});
};
