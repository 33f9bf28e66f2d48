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

/// Waits for `condition`, up to 60 seconds, because the machine may be busy. False after that.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);
/// True if the process exists, even as a zombie.
[[nodiscard]] bool process_exists(pid_t pid);
/// A broadcast frame without FCS. The number determines all bytes after the EtherType.
[[nodiscard]] Frame numbered_frame(std::uint32_t number, std::size_t bytes);

/// A port on a card of QEMU, and the QEMU process.
struct QemuPort {
  Port port;
  pid_t pid;
};

/// A Context without huge pages, with a pool and a cache, for ports on a real QEMU.
struct QemuFixture {
  QemuFixture();
  ~QemuFixture();

  /// Opens qtest:`which` and does not configure the port. Throws on an error, which fails the test.
  [[nodiscard]] QemuPort open(const std::string& which);
  /// Opens qtest:`which`, configures the port and starts it.
  [[nodiscard]] QemuPort start(const std::string& which);
  /// Waits until the link is up. False if it stays down.
  [[nodiscard]] static bool link_rises(Port& port);

  /// Sends until all of `frames` are enqueued, or none could be enqueued for 10 seconds. Returns the number of enqueued
  /// frames.
  [[nodiscard]] std::size_t send(Port& port, std::span<const Frame> frames);
  /// Polls until `count` frames have arrived, or none has arrived for 10 seconds.
  [[nodiscard]] std::vector<Frame> receive(Port& port, std::size_t count);
  /// Sends from one port to the other, in batches that fit the rings, and compares every byte.
  void exchange(Port& from, Port& to, std::uint32_t count);

  std::vector<std::string> log;
  Context context;
  Mempool pool;
  MempoolCache cache;
  Settings config;
};

}  // namespace pollux::test
