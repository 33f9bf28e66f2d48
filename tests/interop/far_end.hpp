// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace pollux::test {

/// DPDK's testpmd as the far end of both cards of a QEMU (qtest:0?card=virtio-net,vhost-user=...): what one card sends
/// on a queue, the other one receives on it.
class FarEnd {
 public:
  static constexpr unsigned kQueues = 2;

  /// Why it cannot run here; empty: it can.
  [[nodiscard]] static std::string obstacle();

  /// Serves sockets in a new folder. `device_options`: those of DPDK's net_vhost, such as ",tso=1". `commands`: testpmd
  /// executes them first, one a line.
  explicit FarEnd(std::string device_options = {}, const std::string& commands = {});
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  /// The options of a URI that lead to it.
  [[nodiscard]] std::string uri_options() const;
  void start();
  /// As `kill -9`.
  void kill();

 private:
  std::string device_options_;
  std::filesystem::path folder_;
  std::FILE* input_ = nullptr;
};

}  // namespace pollux::test
