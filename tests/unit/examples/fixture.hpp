// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"

namespace pollux::examples {

/// In-process cards sim:0, sim:1, ... in virtual time. The ports are started, their links are up, and they share one
/// pool and one cache.
class Fixture {
 public:
  explicit Fixture(unsigned ports, Settings config = {}, std::uint32_t mbufs = 8192)
      : context_(options(clock_)), pool_(make_pool(context_, mbufs)), cache_(*pool_) {
    pollux::test::use_pool(config, *pool_, cache_);
    config.promiscuous = true;
    for (unsigned i = 0; i < ports; ++i) {
      auto port = pollux::open(context_, "sim:" + std::to_string(i), config);
      EXPECT_TRUE(port) << port.error().message();
      if (port) ports_.push_back(*std::move(port));
    }
    for (Port& port : ports_) EXPECT_TRUE(port.wait_for_link(std::chrono::seconds(10)));
  }

  [[nodiscard]] std::vector<Port>& ports() { return ports_; }
  [[nodiscard]] Port& port(std::size_t index) { return ports_.at(index); }
  [[nodiscard]] Mempool& pool() { return *pool_; }
  [[nodiscard]] MempoolCache& cache() { return cache_; }
  [[nodiscard]] Clock& clock() { return *clock_; }

  /// Sends one frame, which must fit into one buffer.
  void send(std::size_t from, const std::vector<std::uint8_t>& bytes) {
    MbufPtr mbuf = cache_.allocate();
    ASSERT_NE(mbuf, nullptr);
    std::uint8_t* const data = mbuf->append(static_cast<std::uint32_t>(bytes.size()));
    ASSERT_NE(data, nullptr);
    std::copy(bytes.begin(), bytes.end(), data);
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(port(from).tx(0).tx_burst(burst), 1U);
  }
  /// Returns the frames that have arrived.
  [[nodiscard]] std::vector<std::vector<std::uint8_t>> receive(std::size_t at) {
    std::vector<std::vector<std::uint8_t>> frames;
    DropCounter copied("copied");
    Burst<32> burst;
    while (port(at).rx(0).rx_burst(burst) != 0) {
      for (const Mbuf& mbuf : burst) {
        frames.emplace_back(mbuf.packet_length());
        static_cast<void>(mbuf.copy_out(0, frames.back()));
      }
      burst.drop(copied, cache_);
    }
    return frames;
  }

 private:
  static ContextOptions options(const std::shared_ptr<Clock>& clock) {
    ContextOptions options;
    options.clock = clock;
    options.on_misuse = [](const Misuse& misuse) { ADD_FAILURE() << misuse.what; };
    return options;
  }
  static std::unique_ptr<Mempool> make_pool(Context& context, std::uint32_t count) {
    auto pool = Mempool::create(context, {.count = count});
    EXPECT_TRUE(pool) << pool.error().message();
    return std::make_unique<Mempool>(*std::move(pool));
  }

  std::shared_ptr<Clock> clock_ = std::make_shared<ManualClock>();
  Context context_;
  std::unique_ptr<Mempool> pool_;
  MempoolCache cache_;
  std::vector<Port> ports_;
};

}  // namespace pollux::examples
