// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "conformance/own_network.hpp"
#include "fixture.hpp"
#include "kernel_end.hpp"
#include "ports/xdp/helper_session.hpp"

namespace pollux::ports {

/// What `pollux xdp-helper` does for one port, until it is destroyed.
class Helper {
 public:
  explicit Helper(const std::string& path) : listener_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      const auto wait_for = [&stop](std::array<pollfd, 2> waiting) {
        while (!stop.stop_requested() && ::poll(waiting.data(), waiting.size(), 10) <= 0) {
        }
        return std::pair(waiting[0].revents != 0, waiting[1].revents != 0);
      };
      if (!wait_for({{{listener_.get(), POLLIN, 0}, {-1, 0, 0}}}).first) return;
      PeerSocket peer(FileDescriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
      xdp::HelperSession session(std::move(peer), policy_);
      for (bool lives = true; lives && !stop.stop_requested();) {
        const auto [asked, changed] = wait_for({{{session.descriptor(), POLLIN, 0}, {session.events(), POLLIN, 0}}});
        if (changed) session.tell();
        if (asked) lives = session.serve() != xdp::HelperSession::Served::ended;
      }
    });
  }

 private:
  const xdp::HelperPolicy policy_{.interfaces = {"plxu0"}};
  FileDescriptor listener_;
  std::jthread thread_;  // last: the others outlive it
};

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
  [[nodiscard]] Error refused_start(const std::string& uri, const Settings& config) {
    const auto port = open(context_, uri, config);
    EXPECT_FALSE(port) << uri;
    return port ? Error{} : port.error();
  }
};

}  // namespace pollux::ports
