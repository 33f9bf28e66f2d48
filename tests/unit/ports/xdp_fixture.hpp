// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/own_network.hpp"
#include "fixture.hpp"
#include "kernel_end.hpp"

namespace pollux::ports {

/// A pair of interfaces, `plxu0` and `plxu1`, in a network namespace of the thread's own.
class XdpPort : public PortFixture {
 protected:
  void SetUp() override {
    if (const auto obstacle = conformance::xdp_obstacle()) GTEST_SKIP() << *obstacle;
    conformance::enter_own_network();
    conformance::make_veth_pair("plxu0", "plxu1");
    KernelEnd("plxu1").send_on_one_queue();
  }

  /// The frames that arrive within a second, at most `count`.
  std::vector<Bytes> receive(Port& port, std::size_t count) {
    std::vector<Bytes> frames;
    static_cast<void>(soon([&] {
      for (Bytes& frame : poll(port)) frames.push_back(std::move(frame));
      return frames.size() >= count;
    }));
    return frames;
  }
  static Bytes receive(KernelEnd& kernel) {
    Bytes frame;
    static_cast<void>(soon([&] { return !(frame = kernel.receive()).empty(); }));
    return frame;
  }
  template <class Condition>
  [[nodiscard]] static bool soon(Condition condition) {
    SteadyClock clock;
    return wait_until(clock, "it", std::chrono::seconds(10), condition, std::chrono::milliseconds(1)).has_value();
  }
  [[nodiscard]] static std::uint64_t counter(Port& port, std::string_view name) {
    for (const Counter& counter : port.extended_stats()) {
      if (counter.name == name) return counter.value;
    }
    ADD_FAILURE() << "there is no counter " << name;
    return 0;
  }
  [[nodiscard]] Error refused_start(const std::string& uri, const PortConfig& config) {
    const auto port = open(context_, uri, config);
    EXPECT_FALSE(port) << uri;
    return port ? Error{} : port.error();
  }
};

}  // namespace pollux::ports
