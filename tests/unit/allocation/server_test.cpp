// SPDX-License-Identifier: BSD-3-Clause
// Servers that have no memory left for what a client asks for.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <optional>

#include "ports/xdp/helper_message.hpp"
#include "ports/xdp/helper_session.hpp"
#include "unit/allocation/failing_new.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace vfio_user;

/// Some of everything that a client may ask for. The server alone has no memory.
void ask_for_everything(ServerFixture& fixture) {
  std::optional<failing_new::Pause> pause(std::in_place);
  VfioUserClient client(fixture.path(), [&] {
    pause.reset();
    for (const auto& server : fixture.servers) server->work();
    pause.emplace();
    fixture.clock->advance(std::chrono::microseconds(1));
  });
  const FileDescriptor file = memory_file(8192);
  const FileDescriptor event(::eventfd(0, EFD_CLOEXEC));
  const std::array events{event.get()};
  std::array<std::byte, 64> bytes{};
  static_cast<void>(client.negotiate());
  static_cast<void>(client.error_of(Command::device_get_info, packed(DeviceInfo{16})));
  static_cast<void>(client.map(4096, 8192, file.get(), 0));
  static_cast<void>(client.error_of(Command::device_set_irqs, packed(SetIrqs{20, 36, kMsix, 0, 1}), events));
  static_cast<void>(client.region_read(kConfigRegion, 0, bytes));
  static_cast<void>(client.region_write(0, 0x38, std::span(bytes).first(4)));
  static_cast<void>(client.unmap(4096, 8192));
}

TEST(VfioUserAllocation, AFailedOneEndsThatSessionAlone) {
  ServerFixture fixture({"sim:0", "sim:1"});
  auto neighbour = fixture.client(1);
  bool failed = true;
  std::size_t at = 0;
  for (; failed && at < 10000; ++at) {
    failing_new::fail_at(at);
    ask_for_everything(fixture);
    failed = failing_new::disarm();
    for (int i = 0; i < 3; ++i) fixture.pump();
    EXPECT_FALSE(fixture.server().has_client());
    ASSERT_EQ(read_config(*neighbour, 0, 4), 0x10C98086u) << at;
  }
  EXPECT_GT(at, 5u) << "some allocations failed";
  EXPECT_FALSE(failed);
}

TEST(HelperAllocation, AFailedOneEndsThatSessionAlone) {
  const xdp::HelperPolicy policy{.interfaces = {"lo"}};
  xdp::MessageWriter request;
  request.number(static_cast<std::uint32_t>(xdp::HelperCall::open));
  request.number(0);  // another version: the answer has text, and needs no privileges
  request.text("a name that is too long to lie within a string");
  bool failed = true;
  std::size_t at = 0;
  for (; failed && at < 1000; ++at) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    const FileDescriptor port(ends[0]);
    xdp::HelperSession session(PeerSocket(FileDescriptor(ends[1])), policy);
    ASSERT_EQ(xdp::send_message(port.get(), request.all(), {}), 0);
    failing_new::fail_at(at);
    const bool lives = session.serve() != xdp::HelperSession::Served::ended;
    failed = failing_new::disarm();
    EXPECT_EQ(lives, !failed) << at;
  }
  EXPECT_GT(at, 3u) << "some allocations failed";
  EXPECT_FALSE(failed);
}

}  // namespace
}  // namespace pollux::test
