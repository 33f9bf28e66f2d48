// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>

#include "hw/intel/igb/phy.hpp"
#include "hw/intel/igb/registers.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
namespace hw = pollux::hw::igb;

/// The card's receiver is on, and its link is up.
void start_receiver(ServerFixture& fixture, VfioUserClient& client) {
  write_register(client, hw::RCTL::offset(), hw::RCTL::Value(hw::RCTL::RXEN).raw());
  raise_link(fixture, client);
}

void send_frame_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const std::array<std::byte, 60> frame{};
  ASSERT_EQ(::sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                     sizeof address),
            static_cast<ssize_t>(frame.size()));
}

bool is_readable(int descriptor) {
  pollfd wait{descriptor, POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

// The server does not look every few microseconds whether a frame has come.
TEST(VfioUserLinkPartner, WakesTheServer) {
  const ServerFixture folder(std::vector<std::string>{});
  const std::string card = folder.folder / "card";
  ServerFixture fixture({"sim:0?socket-local=" + card + ",socket-remote=" + (folder.folder / "peer").string()});
  const auto client = fixture.client();
  const auto descriptor = [&] { return fixture.server().descriptors()[2].fd; };
  fixture.pump();
  EXPECT_EQ(descriptor(), -1) << "the card takes no frame, so one that waits must not wake the server again and again";
  EXPECT_GT(fixture.server().next(), fixture.clock->now() + 1ms);
  start_receiver(fixture, *client);
  ASSERT_GE(descriptor(), 0);
  EXPECT_GT(fixture.server().next(), fixture.clock->now() + 1ms);
  EXPECT_FALSE(is_readable(descriptor()));
  send_frame_to(card);
  EXPECT_TRUE(is_readable(descriptor()));
  fixture.clock->advance(1ms);
  fixture.pump();
  EXPECT_FALSE(is_readable(descriptor()));
}

}  // namespace
}  // namespace pollux::test
