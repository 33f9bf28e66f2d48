// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace pollux::qtest {
namespace {

struct Message {
  std::int64_t number = 0;
  FileDescriptor descriptor;
};

/// Reads one message, as the device does.
Message receive(int socket) {
  Message message;
  iovec bytes{.iov_base = &message.number, .iov_len = sizeof message.number};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  EXPECT_EQ(::recvmsg(socket, &header, MSG_DONTWAIT), 8);
  if (const cmsghdr* const rights = CMSG_FIRSTHDR(&header); rights != nullptr) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(rights), sizeof number);
    message.descriptor = FileDescriptor(number);
  }
  return message;
}

void signal(int event, std::uint64_t times = 1) {
  EXPECT_EQ(::write(event, &times, sizeof times), static_cast<ssize_t>(sizeof times));
}

std::uint64_t take(int event) {
  std::uint64_t signals = 0;
  return ::read(event, &signals, sizeof signals) == static_cast<ssize_t>(sizeof signals) ? signals : 0;
}

TEST(DoorbellServer, SendsTheEventfdOfEveryVector) {
  const auto server = DoorbellServer::create(2, 3);
  ASSERT_TRUE(server);
  const int client = server->client();
  EXPECT_EQ(receive(client).number, 0);  // the protocol's version
  EXPECT_EQ(receive(client).number, 0);  // the device's own id
  const Message memory = receive(client);
  EXPECT_EQ(memory.number, -1);
  struct stat file {};
  ASSERT_EQ(::fstat(memory.descriptor.get(), &file), 0);
  EXPECT_EQ(file.st_size, 4096);
  for (unsigned card = 0; card < 2; ++card) {
    ASSERT_EQ(server->events(card).size(), 3u);
    for (unsigned vector = 0; vector < 3; ++vector) {
      const Message peer = receive(client);
      EXPECT_EQ(peer.number, static_cast<std::int64_t>(card) + 1);
      EXPECT_EQ(DoorbellServer::message(card, vector), (card + 1) << 16 | vector);
      signal(peer.descriptor.get(), 1 + vector);
      EXPECT_EQ(take(server->events(card)[vector]), 1 + vector);
    }
  }
  std::byte more{};
  EXPECT_LT(::recv(client, &more, 1, MSG_DONTWAIT), 0);
}

TEST(DoorbellServer, DrainsTheSignalsOfOneCard) {
  const auto server = DoorbellServer::create(2, 2);
  ASSERT_TRUE(server);
  signal(server->events(0)[1]);
  signal(server->events(1)[1]);
  server->drain(0);
  EXPECT_EQ(take(server->events(0)[1]), 0u);
  EXPECT_EQ(take(server->events(1)[1]), 1u);
}

}  // namespace
}  // namespace pollux::qtest
