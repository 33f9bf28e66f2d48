// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/link_partner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "base/file_descriptor.hpp"
#include "support/capture_file.hpp"
#include "support/full_disk.hpp"
#include "unit/sim/probe_card.hpp"

namespace pollux::sim {
namespace {

using namespace std::chrono_literals;

class SimLinkPartner : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "pollux-link-partner-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override {
    wire.reset();
    std::filesystem::remove_all(folder);
  }
  [[nodiscard]] std::string path(std::string_view name) const { return (folder / name).string(); }
  /// Connects a card to the link partner that `options` selects.
  void connect(const LinkPartnerOptions& options) {
    auto link_partner = open_link_partner(options, clock);
    ASSERT_TRUE(link_partner) << link_partner.error().message();
    auto owner = std::make_unique<ProbeCard>();
    card = owner.get();
    wire = Wire::create(clock, std::move(owner), *std::move(link_partner));
    ASSERT_TRUE(wire->claim(0));
  }
  void send(std::span<const std::byte> frame) {
    wire->with_card(0, [&](DeviceModel&) { card->send(frame); });
  }

  std::filesystem::path folder;
  ManualClock clock;
  ProbeCard* card = nullptr;
  std::shared_ptr<Wire> wire;
};

TEST_F(SimLinkPartner, WritesAndReadsCaptureFiles) {
  connect({.pcap_out = path("out.pcap")});
  for (unsigned i = 0; i < 5; ++i) {
    clock.advance(1ms);
    send(ProbePair::frame(i, 60 + i));
  }
  EXPECT_EQ(wire->counters(0).carried, 5u);
  connect({.pcap_in = path("out.pcap")});
  clock.advance(1ms);
  ASSERT_EQ(card->arrivals_.size(), 5u);
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(card->arrivals_[i].bytes, ProbePair::frame(i, 60 + i));
  EXPECT_EQ(wire->counters(1).carried, 5u);
  send(ProbePair::frame(9));
  EXPECT_EQ(wire->counters(0).carried, 1u) << "without an output file the frame is discarded, not lost";
}

TEST_F(SimLinkPartner, ReadsWhatAWireCaptured) {
  ProbePair pair({.delay = 1us, .loss = 1});
  auto file = files::CaptureFileWriter::create(path("wire.pcap"), "capture", clock);
  ASSERT_TRUE(file) << file.error().message();
  pair.wire->capture(*std::move(file));
  pair.send(0);
  pair.wire->with_card(1, [&](DeviceModel&) { pair.right->send(ProbePair::frame(1, 61)); });
  pair.clock.advance(1ms);
  EXPECT_EQ(pair.wire->counters(0).lost, 1u);
  connect({.pcap_in = path("wire.pcap")});
  clock.advance(1ms);
  ASSERT_EQ(card->arrivals_.size(), 2u) << "both directions, as sent";
  EXPECT_EQ(card->arrivals_[0].bytes, ProbePair::frame(0));
  EXPECT_EQ(card->arrivals_[1].bytes, ProbePair::frame(1, 61));
}

TEST_F(SimLinkPartner, SendsAsFastAsTheCardTakesFrames) {
  connect({.pcap_out = path("out.pcap")});
  for (unsigned i = 0; i < 300; ++i) send(ProbePair::frame(i, 20));
  connect({.pcap_in = path("out.pcap")});
  card->ready_ = false;
  clock.advance(1ms);
  EXPECT_TRUE(card->arrivals_.empty());
  card->ready_ = true;
  clock.advance(1ms);
  ASSERT_EQ(card->arrivals_.size(), 300u);
  EXPECT_EQ(card->arrivals_[0].bytes.size(), 60u) << "padded to the minimum, as a MAC does";
}

TEST_F(SimLinkPartner, NamesAnInvalidFile) {
  const auto missing = open_link_partner({.pcap_in = path("none")}, clock);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().what, testing::HasSubstr(path("none")));
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_FALSE(open_link_partner({.pcap_in = path("pipe")}, clock)) << "rejected without blocking on its other end";
  EXPECT_FALSE(open_link_partner({.pcap_out = path("pipe")}, clock));
  std::ofstream(path("text")) << "this is not a capture";
  EXPECT_FALSE(open_link_partner({.pcap_in = path("text")}, clock));
  // Link type 101, raw IP: a header and no frames.
  const std::array<std::uint32_t, 6> raw{0xA1B2C3D4, 0x00040002, 0, 0, 65535, 101};
  std::ofstream(path("raw"), std::ios::binary).write(reinterpret_cast<const char*>(raw.data()), sizeof raw);
  const auto not_ethernet = open_link_partner({.pcap_in = path("raw")}, clock);
  ASSERT_FALSE(not_ethernet);
  EXPECT_EQ(not_ethernet.error().code, ErrorCode::invalid_argument);
  const auto unwritable = open_link_partner({.pcap_out = path("no/such/folder")}, clock);
  ASSERT_FALSE(unwritable);
  EXPECT_THAT(unwritable.error().what, testing::HasSubstr("no/such/folder"));
}

TEST_F(SimLinkPartner, ReportsWhereACaptureCannotBeRead) {
  connect({.pcap_out = path("out.pcap")});
  for (unsigned i = 0; i < 3; ++i) send(ProbePair::frame(i));
  std::filesystem::resize_file(path("out.pcap"), std::filesystem::file_size(path("out.pcap")) - 10);
  connect({.pcap_in = path("out.pcap")});
  clock.advance(1ms);
  EXPECT_EQ(card->arrivals_.size(), 2u);
  ASSERT_TRUE(wire->has_reports());
  const auto reports = wire->take_reports();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].level, LogLevel::error);
  EXPECT_THAT(reports[0].text, AllOf(testing::HasSubstr(path("out.pcap")), testing::HasSubstr("after frame 2")));
  EXPECT_FALSE(wire->has_reports());
}

TEST_F(SimLinkPartner, LeavesOutAndCountsFramesOfWhichAFileHasAPart) {
  const std::vector<std::uint8_t> whole(64, 7);
  test::CaptureFile(test::CaptureFile::kMicroseconds)
      .add(std::vector<std::uint8_t>(96), 0, 0, 1514)
      .add(whole)
      .add({}, 0, 0, 60)
      .add(std::vector<std::uint8_t>(13))  // no header
      .write(path("cut.pcap"));
  connect({.pcap_in = path("cut.pcap")});
  clock.advance(1ms);
  ASSERT_EQ(card->arrivals_.size(), 1u);
  EXPECT_EQ(card->arrivals_[0].bytes.size(), whole.size());
  const WireCounters towards = wire->counters(1);
  EXPECT_EQ(towards.entered, 4u);
  EXPECT_EQ(towards.carried, 1u);
  EXPECT_EQ(towards.dropped_link_partner, 3u);
  const auto reports = wire->take_reports();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].level, LogLevel::warning);
  EXPECT_THAT(reports[0].text, AllOf(testing::HasSubstr(path("cut.pcap")), testing::HasSubstr("lost 3 frames"),
                                     testing::HasSubstr("-s 0")));
}

TEST_F(SimLinkPartner, ReportsAndCountsFramesThatADiskHasNoRoomFor) {
  connect({.pcap_out = path("out.pcap")});
  auto file = files::CaptureFileWriter::create(path("wire.pcap"), "capture", clock);
  ASSERT_TRUE(file) << file.error().message();
  wire->capture(*std::move(file));
  send(ProbePair::frame(1, 60));
  {
    const test::FullDisk full(24 + 76 + 40);  // the header, one record, a part of the next
    for (unsigned i = 0; i < 3; ++i) send(ProbePair::frame(i, 60));
  }
  EXPECT_EQ(wire->counters(0).carried, 1u);
  EXPECT_EQ(wire->counters(0).dropped_link_partner, 3u);
  std::vector<std::string> texts;
  for (const WireReport& report : wire->take_reports()) texts.push_back(report.text);
  EXPECT_THAT(texts, testing::UnorderedElementsAre(
                         AllOf(testing::HasSubstr(path("out.pcap")), testing::HasSubstr("File too large")),
                         AllOf(testing::HasSubstr(path("wire.pcap")), testing::HasSubstr("File too large"))));
  connect({.pcap_in = path("out.pcap")});
  clock.advance(1ms);
  EXPECT_EQ(card->arrivals_.size(), 1u) << "the file ends with a whole frame";
}

TEST_F(SimLinkPartner, AFileIsNotReadAndWrittenAtOnce) {
  connect({.pcap_out = path("a.pcap")});
  send(ProbePair::frame(1));
  wire.reset();
  const auto both = open_link_partner({.pcap_in = path("a.pcap"), .pcap_out = path("a.pcap")}, clock);
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code, ErrorCode::busy);
  connect({.pcap_in = path("a.pcap")});
  clock.advance(1ms);
  EXPECT_EQ(card->arrivals_.size(), 1u) << "it was not truncated";
}

TEST_F(SimLinkPartner, IsOfExactlyOneKind) {
  EXPECT_EQ(open_link_partner({}, clock).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(open_link_partner({.pcap_in = "a", .tap = "b"}, clock).error().code, ErrorCode::invalid_argument);
  const auto half = open_link_partner({.socket_local = path("a")}, clock);
  ASSERT_FALSE(half);
  EXPECT_THAT(half.error().hint, testing::HasSubstr("socket-remote"));
}

sockaddr_un address(const std::string& path) {
  sockaddr_un result{};
  result.sun_family = AF_UNIX;
  std::memcpy(static_cast<char*>(result.sun_path), path.data(), path.size());
  return result;
}

TEST_F(SimLinkPartner, ExchangesFramesWithADatagramSocket) {
  connect({.socket_local = path("card"), .socket_remote = path("peer")});
  send(ProbePair::frame(1));
  EXPECT_EQ(wire->counters(0).dropped_link_partner, 1u) << "the peer does not exist yet";
  const FileDescriptor peer(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  const sockaddr_un own = address(path("peer"));
  const sockaddr_un cards = address(path("card"));
  ASSERT_EQ(::bind(peer.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
  send(ProbePair::frame(2, 100));
  std::array<std::byte, 2048> buffer{};
  ASSERT_EQ(::recv(peer.get(), buffer.data(), buffer.size(), 0), 100);
  EXPECT_TRUE(std::equal(buffer.begin(), buffer.begin() + 100, ProbePair::frame(2, 100).begin()));
  for (unsigned i = 0; i < 4; ++i) {
    const auto frame = ProbePair::frame(i, 200);
    ASSERT_EQ(
        ::sendto(peer.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&cards), sizeof cards),
        200);
  }
  clock.advance(1ms);
  ASSERT_EQ(card->arrivals_.size(), 4u);
  EXPECT_EQ(card->arrivals_[3].bytes, ProbePair::frame(3, 200));
}

TEST_F(SimLinkPartner, BindsASocketOnceAndRemovesIt) {
  {
    const auto first = open_link_partner({.socket_local = path("card"), .socket_remote = path("peer")}, clock);
    ASSERT_TRUE(first);
    const auto second = open_link_partner({.socket_local = path("card"), .socket_remote = path("peer")}, clock);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::busy);
    EXPECT_THAT(second.error().hint, testing::HasSubstr("rm "));
  }
  EXPECT_FALSE(std::filesystem::exists(path("card")));
  EXPECT_EQ(open_link_partner({.socket_local = std::string(200, 'x'), .socket_remote = "y"}, clock).error().code,
            ErrorCode::invalid_argument);
}

/// Sends a frame through an interface. False if it cannot be sent.
bool send_into(const std::string& interface, std::span<const std::byte> frame) {
  const FileDescriptor socket(::socket(AF_PACKET, SOCK_RAW, 0));
  if (!socket) return false;
  ifreq request{};
  std::memcpy(static_cast<char*>(request.ifr_name), interface.data(), interface.size());
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0 || ::ioctl(socket.get(), SIOCGIFINDEX, &request) != 0) {
    return false;
  }
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = request.ifr_ifindex;
  return ::sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
         static_cast<ssize_t>(frame.size());
}

TEST_F(SimLinkPartner, ExchangesFramesWithATapIfAvailable) {
  const std::string name = fmt::format("plx{}", ::getpid());
  const LinkPartnerOptions options{.tap = name};
  auto probe = open_link_partner(options, clock);
  if (!probe) {
    EXPECT_THAT(probe.error().code, testing::AnyOf(ErrorCode::permission_denied, ErrorCode::not_supported));
    EXPECT_THAT(probe.error().hint, testing::AnyOf(testing::HasSubstr(fmt::format("mode tap user {},", ::geteuid())),
                                                   testing::HasSubstr("modprobe")));
    GTEST_SKIP() << "LEFT OUT: " << probe.error().message();
  }
  probe->reset();
  connect(options);
  auto frame = ProbePair::frame(1, 70);
  frame[12] = std::byte{0x88};
  frame[13] = std::byte{0xB5};
  ASSERT_TRUE(send_into(name, frame));
  clock.advance(1ms);
  // The kernel may also send its own frames.
  EXPECT_TRUE(std::any_of(card->arrivals_.begin(), card->arrivals_.end(),
                          [&](const ProbeCard::Arrival& arrival) { return arrival.bytes == frame; }));
  send(frame);
  EXPECT_EQ(wire->counters(0).carried, 1u);
}

TEST_F(SimLinkPartner, RejectsATapNameThatIsTooLong) {
  EXPECT_EQ(open_link_partner({.tap = std::string(40, 'x')}, clock).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace pollux::sim
