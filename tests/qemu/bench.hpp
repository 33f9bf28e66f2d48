// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/device/device.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port.hpp"
#include "pollux/open.hpp"

namespace pollux::test {

using Frame = std::vector<std::byte>;

/// Waits for `condition`, as long as the busiest machine may need.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);
/// Whether there is a process of that number, a zombie included.
[[nodiscard]] bool process_exists(pid_t pid);
/// A broadcast frame (without FCS) that differs from those of other numbers in each of its bytes.
[[nodiscard]] Frame numbered_frame(std::uint32_t number, std::size_t bytes);

/// A card of QEMU's with its driver on top, and the process behind it.
struct QemuPort {
  Port port;
  pid_t pid;
};

/// A Context on ordinary pages, a pool and a cache, for ports on a real QEMU.
struct Bench {
  Bench();
  ~Bench();

  /// Opens "qtest:`which`" and leaves it opened; throws what is wrong, which makes it the test's failure.
  [[nodiscard]] QemuPort open(const std::string& which);
  /// The same, configured and started.
  [[nodiscard]] QemuPort start(const std::string& which);
  [[nodiscard]] static bool link_rises(Port& port);

  /// Sends until all of `frames` are taken or none is for some seconds; how many were.
  [[nodiscard]] std::size_t send(Port& port, std::span<const Frame> frames);
  /// Polls until `count` frames are there or none has come for some seconds.
  [[nodiscard]] std::vector<Frame> receive(Port& port, std::size_t count);
  /// Sends from one to the other in pieces that the rings hold, and compares every byte.
  void exchange(Port& from, Port& to, std::uint32_t count);

  std::vector<std::string> log;
  Context context;
  Mempool pool;
  MempoolCache cache;
  PortConfig config;
};

}  // namespace pollux::test
