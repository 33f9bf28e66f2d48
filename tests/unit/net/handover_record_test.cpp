// SPDX-License-Identifier: BSD-3-Clause
// What a successor reads may be written by anybody: each wrong record is an error with a reason, and no descriptor
// stays.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "net/handover/record.hpp"

namespace pollux::handover {
namespace {

std::size_t open_files() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

struct Pair {
  Pair() {
    std::array<int, 2> made{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made.data()), 0);
    one = FileDescriptor(made[0]);
    other = FileDescriptor(made[1]);
  }
  FileDescriptor one, other;
};

Json port() {
  return Json::parse(R"({"message": "port", "name": "xdp:a", "driver": "xdp", "settings": {}, "details": {},
                         "descriptors": ["link"]})");
}

std::vector<FileDescriptor> one_descriptor() {
  std::vector<FileDescriptor> made;
  made.emplace_back(::eventfd(0, EFD_CLOEXEC));
  return made;
}

TEST(HandoverRecord, APortKeepsItsDescriptorsByName) {
  auto read = read_port(port(), one_descriptor());
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->driver, "xdp");
  EXPECT_TRUE(read->take("link"));
  EXPECT_FALSE(read->take("link")) << "it was taken";
  EXPECT_FALSE(read->take("memory"));
}

TEST(HandoverRecord, EachWrongMemberOfAPortIsNamed) {
  const std::vector<std::pair<const char*, Json>> wrong{{"name", 5},
                                                        {"name", Json()},
                                                        {"driver", Json::array()},
                                                        {"settings", 1},
                                                        {"details", "xdp"},
                                                        {"descriptors", "one"},
                                                        {"descriptors", Json::array()},
                                                        {"descriptors", {1}},
                                                        {"descriptors", {"link", "sockets"}}};
  const std::size_t before = open_files();
  for (const auto& [member, value] : wrong) {
    Json json = port();
    json[member] = value;
    const auto read = read_port(Json::parse(json.dump()), one_descriptor());
    ASSERT_FALSE(read) << member << " = " << value.dump();
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(read.error().what.find(member), std::string::npos) << read.error().what;
  }
  for (const char* member : {"name", "driver", "settings", "details", "descriptors"}) {
    Json json = port();
    json.erase(member);
    EXPECT_FALSE(read_port(std::move(json), one_descriptor())) << member;
  }
  EXPECT_EQ(open_files(), before) << "descriptors of refused records stay open";
}

TEST(HandoverRecord, AQueueIsReadAsItWasWritten) {
  const QueueRecord queue{.posted = 512, .in_flight = 3, .free = {0, 2368}, .given = {4736}, .counts = {1, 0}};
  const auto read = read_queue(Json::parse(to_json(queue).dump()));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->posted, 512U);
  EXPECT_EQ(read->in_flight, 3U);
  EXPECT_EQ(read->free, queue.free);
  EXPECT_EQ(read->given, queue.given);
  EXPECT_EQ(read->counts, queue.counts);
}

TEST(HandoverRecord, EachWrongMemberOfAQueueIsNamed) {
  const std::vector<std::pair<const char*, Json>> wrong{{"posted", -1},
                                                        {"posted", 4097},
                                                        {"in_flight", "3"},
                                                        {"in_flight", 1.5},
                                                        {"free", 7},
                                                        {"free", {1, "2"}},
                                                        {"given", {-1}},
                                                        {"counts", {-1}},
                                                        {"given", Json::object()},
                                                        {"given", std::vector<int>(4097)}};
  for (const auto& [member, value] : wrong) {
    Json json = Json::parse(to_json(QueueRecord{}).dump());
    json[member] = value;
    const auto read = read_queue(Json::parse(json.dump()));  // a number that is not negative is unsigned then
    ASSERT_FALSE(read) << member << " = " << value.dump().substr(0, 40);
    EXPECT_NE(read.error().what.find(member), std::string::npos) << read.error().what;
  }
}

TEST(HandoverRecord, WhatIsNoMessageIsRefused) {
  const std::string deep = R"({"message": )" + std::string(1000, '[') + std::string(1000, ']') + "}";
  for (const std::string& bytes :
       {std::string(), std::string("{"), std::string("[]"), std::string("5"), std::string(R"({"message": 5})"),
        std::string(R"({"version": 1})"), std::string("\xff\x00\x01", 3), deep}) {
    EXPECT_FALSE(parse(bytes)) << bytes.substr(0, 40);
  }
  EXPECT_TRUE(parse(R"({"message": "hello"})"));
}

TEST(HandoverRecord, DescriptorsOfAMessageArrive) {
  const Pair pair;
  const auto file = one_descriptor();
  const std::array descriptors{file[0].get(), file[0].get()};
  ASSERT_TRUE(send(pair.one.get(), {{"message", "port"}}, descriptors));
  const std::size_t before = open_files();
  {
    const auto received = receive(pair.other.get(), "port");
    ASSERT_TRUE(received) << received.error().message();
    EXPECT_EQ(received->descriptors.size(), 2U);
    EXPECT_NE(::fcntl(received->descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(open_files(), before);
}

TEST(HandoverRecord, DescriptorsOfAMessageThatIsNotExpectedAreClosed) {
  const Pair pair;
  const auto file = one_descriptor();
  const int descriptor = file[0].get();
  const std::size_t before = open_files();
  ASSERT_TRUE(send(pair.one.get(), {{"message", "frozen"}}, {&descriptor, 1}));
  const auto received = receive(pair.other.get(), "port");
  ASSERT_FALSE(received);
  EXPECT_NE(received.error().what.find("'port' was expected"), std::string::npos) << received.error().what;
  EXPECT_EQ(open_files(), before);
}

TEST(HandoverRecord, MoreDescriptorsThanAMessageMayHaveAreRefused) {
  const Pair pair;
  const auto file = one_descriptor();
  const std::vector<int> many(kMaxDescriptors + 1, file[0].get());
  EXPECT_FALSE(send(pair.one.get(), {{"message", "port"}}, many));
  // From a peer that does not ask this library.
  std::array<std::byte, CMSG_SPACE(250 * sizeof(int))> control{};
  std::string text = R"({"message": "port"})";
  iovec part{text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const first = CMSG_FIRSTHDR(&header);
  first->cmsg_level = SOL_SOCKET;
  first->cmsg_type = SCM_RIGHTS;
  first->cmsg_len = CMSG_LEN(250 * sizeof(int));
  for (std::size_t i = 0; i < 250; ++i) reinterpret_cast<int*>(CMSG_DATA(first))[i] = file[0].get();
  const std::size_t before = open_files();
  ASSERT_GE(::sendmsg(pair.one.get(), &header, 0), 0);
  const auto received = receive(pair.other.get(), "port");
  ASSERT_FALSE(received);
  EXPECT_NE(received.error().what.find("too long"), std::string::npos) << received.error().what;
  EXPECT_EQ(open_files(), before);
}

TEST(HandoverRecord, ARefusalIsTheErrorOfThePeer) {
  const Pair pair;
  ASSERT_TRUE(send(pair.one.get(), refusal({ErrorCode::busy, "it is \033[2J busy", "wait"})));
  const auto received = receive(pair.other.get(), "program");
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, ErrorCode::busy);
  EXPECT_EQ(received.error().what, "it is ?[2J busy");
  for (const char* bad :
       {R"({"message": "refused"})", R"({"message": "refused", "code": 999, "what": "", "hint": ""})"}) {
    ASSERT_TRUE(send(pair.one.get(), Json::parse(bad)));
    EXPECT_EQ(receive(pair.other.get(), "program").error().code, ErrorCode::invalid_argument);
  }
}

TEST(HandoverRecord, APeerThatHasEndedIsAnError) {
  Pair pair;
  pair.one = FileDescriptor();
  const auto received = receive(pair.other.get(), "program");
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, ErrorCode::io_error);
  EXPECT_FALSE(send(pair.other.get(), {{"message", "hello"}}));
}

}  // namespace
}  // namespace pollux::handover
