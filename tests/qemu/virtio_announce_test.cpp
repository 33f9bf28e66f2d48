// SPDX-License-Identifier: BSD-3-Clause
// QEMU's device asks its driver to announce the port's addresses, as it does after a migration.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "backends/qtest/device.hpp"
#include "base/file_descriptor.hpp"
#include "drivers/virtio/net/driver.hpp"
#include "net/port_machine.hpp"
#include "qemu/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

/// A program that runs QEMU with a control socket (QMP).
class ControlledQemu {
 public:
  ControlledQemu() {
    std::ofstream(path_) << "#!/bin/sh\nexec qemu-system-x86_64 \"$@\" -qmp unix:" << socket_path()
                         << ",server=on,wait=off\n";
    EXPECT_EQ(::chmod(path_.c_str(), 0755), 0);
  }
  ~ControlledQemu() {
    ::unlink(path_.c_str());
    ::unlink(socket_path().c_str());
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// QEMU sends the addresses of its cards once, and asks each driver to do so. QEMU must run.
  void announce() {
    if (!socket_) connect();
    execute(R"({"execute":"announce-self","arguments":{"initial":0,"max":0,"rounds":1,"step":0}})");
  }

 private:
  [[nodiscard]] std::string socket_path() const { return path_ + ".qmp"; }
  void connect() {
    socket_ = FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    ASSERT_LT(socket_path().size(), sizeof address.sun_path);
    socket_path().copy(address.sun_path, sizeof address.sun_path);
    ASSERT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << errno;
    execute(R"({"execute":"qmp_capabilities"})");
  }
  /// Sends a command and waits for its answer; events and the greeting come in between.
  void execute(std::string_view command) {
    ASSERT_EQ(::send(socket_.get(), command.data(), command.size(), MSG_NOSIGNAL), std::ssize(command));
    std::string said;
    while (said.find("\"return\"") == std::string::npos) {
      char some[512];
      const ssize_t length = ::read(socket_.get(), some, sizeof some);
      ASSERT_GT(length, 0) << said;
      said.append(some, static_cast<std::size_t>(length));
      ASSERT_EQ(said.find("\"error\""), std::string::npos) << said;
    }
  }

  std::string path_ = testing::TempDir() + "pollux-qmp-" + std::to_string(::getpid());
  FileDescriptor socket_;
};

/// How often the port was asked, after its service; empty if it has no such counter.
std::optional<std::uint64_t> announcements(PortMachine& port) {
  const auto serviced = port.service();
  EXPECT_TRUE(serviced) << serviced.error().message();
  const auto counters = port.extended_stats();
  const auto found =
      std::find_if(counters.begin(), counters.end(), [](const Counter& c) { return c.name == "announcements"; });
  return found != counters.end() ? std::optional(found->value) : std::nullopt;
}

/// Waits for the interrupt of a changed configuration, and takes it.
bool takes_interrupt(int event) {
  constexpr int kLimitMilliseconds = 20000;
  pollfd wanted{.fd = event, .events = POLLIN, .revents = 0};
  std::uint64_t signals = 0;
  return ::poll(&wanted, 1, kLimitMilliseconds) == 1 && ::read(event, &signals, sizeof signals) == sizeof signals;
}

// The device asks until the driver has acknowledged it, and refuses what it has not asked for: then the service fails.
TEST(VirtioAnnounce, InterruptsIsAcknowledgedAndCounted) {
  for (const char* properties : {"packed:off", "packed:on"}) {
    SCOPED_TRACE(properties);
    ControlledQemu qemu;
    test::QemuFixture fixture;
    auto device = qtest::open_qtest(fixture.context,
                                    fmt::format("0?card=virtio-net,properties={},qemu={}", properties, qemu.path()));
    ASSERT_TRUE(device) << device.error().message();
    auto driver = drivers::virtio::probe(fixture.context, *std::move(device));
    ASSERT_TRUE(driver) << driver.error().message();
    PortMachine port(fixture.context.state(), *std::move(driver));
    ASSERT_TRUE(test::configure_port(port, fixture.config));
    ASSERT_TRUE(port.start());
    EXPECT_EQ(announcements(port), 0U);
    ASSERT_FALSE(port.events().empty());
    for (const std::uint64_t times : {1U, 2U}) {
      ASSERT_NO_FATAL_FAILURE(qemu.announce());
      ASSERT_TRUE(takes_interrupt(port.events().back()));
      EXPECT_EQ(announcements(port), times);
      EXPECT_EQ(announcements(port), times) << "it is acknowledged";
    }
  }
}

}  // namespace
}  // namespace pollux
