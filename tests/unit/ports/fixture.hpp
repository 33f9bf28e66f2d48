// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::ports {

using Bytes = std::vector<std::uint8_t>;

/// A broadcast frame of `bytes` bytes with a number.
[[nodiscard]] inline Bytes numbered(std::size_t bytes, std::uint8_t number) {
  Bytes frame(bytes, number);
  std::fill_n(frame.begin(), 6, std::uint8_t{0xFF});
  return frame;
}

/// A Context with a manual clock, a pool, a cache and a directory for files.
class PortFixture : public testing::Test {
 protected:
  PortFixture() : pool_(must(Mempool::create(context_, {.count = 1024}))), cache_(pool_) {
    std::filesystem::create_directories(folder_);
  }
  ~PortFixture() override {
    std::filesystem::remove_all(folder_);
    for (const std::string& what : misuse_) ADD_FAILURE() << "misuse: " << what;
  }

  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    if constexpr (!std::is_void_v<T>) return *std::move(result);
  }

  [[nodiscard]] Settings config() {
    return {.rx = {{.pool = pool_, .cache = cache_, .ring = 64}}, .tx = {{.cache = cache_, .ring = 64}}};
  }
  [[nodiscard]] Port started(const std::string& uri) { return must(open(context_, uri, config())); }
  [[nodiscard]] Error refused(const std::string& uri) {
    const auto port = open_unconfigured(context_, uri);
    EXPECT_FALSE(port) << uri;
    return port ? Error{} : port.error();
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_ / name; }

  [[nodiscard]] MbufPtr make_mbuf(const Bytes& frame) {
    MbufPtr mbuf = cache_.allocate();
    std::copy(frame.begin(), frame.end(), mbuf->append(static_cast<std::uint32_t>(frame.size())));
    return mbuf;
  }
  /// Returns the number of frames that were accepted.
  std::uint32_t send(Port& port, const std::vector<Bytes>& frames, std::uint16_t queue = 0) {
    std::uint32_t taken = 0;
    for (const Bytes& frame : frames) {
      Burst<1> burst;
      MbufPtr mbuf = make_mbuf(frame);
      static_cast<void>(burst.push(mbuf));
      taken += port.tx(queue).tx_burst(burst);
      DropCounter unsent("unsent");
      burst.drop(unsent, cache_);
    }
    return taken;
  }
  /// The frames of one poll.
  std::vector<Bytes> poll(Port& port, std::uint16_t queue = 0) {
    std::vector<Bytes> frames;
    Burst<32> burst;
    port.rx(queue).rx_burst(burst);
    for (Mbuf& mbuf : burst) {
      EXPECT_EQ(mbuf.port(), port.info().index);
      Bytes bytes(mbuf.packet_length());
      EXPECT_EQ(mbuf.copy_out(0, bytes), bytes.size());
      frames.push_back(std::move(bytes));
    }
    DropCounter inspected("inspected");
    burst.drop(inspected, cache_);
    return frames;
  }
  [[nodiscard]] static std::uint64_t drops(Port& port, std::string_view name) {
    for (const Counter& counter : port.stats().drops) {
      if (counter.name == name) return counter.value;
    }
    ADD_FAILURE() << "there is no counter " << name;
    return 0;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::vector<std::string> log_;
  std::vector<std::string> misuse_;
  Context context_{{.clock = clock_,
                    .log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); },
                    .on_misuse = [this](const Misuse& what) { misuse_.push_back(what.what); },
                    .huge_pages = HugePages::never}};
  Mempool pool_;
  MempoolCache cache_;
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("pollux-ports-" + std::to_string(::getpid()));
};

}  // namespace pollux::ports
