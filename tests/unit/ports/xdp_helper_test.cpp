// SPDX-License-Identifier: BSD-3-Clause
// What a helper gives to a port, in its network namespace or in another one.
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <sched.h>

#include <memory>
#include <system_error>

#include "pollux/net/port_facts.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using xdp::HelperCall;

/// Moves the thread to a network namespace without interfaces, until it is destroyed.
class OtherNetwork {
 public:
  OtherNetwork() : first_(current()) {
    if (::unshare(CLONE_NEWNET) != 0) throw std::system_error(errno, std::generic_category(), "unshare");
    second_ = current();
  }
  OtherNetwork(const OtherNetwork&) = delete;
  OtherNetwork& operator=(const OtherNetwork&) = delete;
  ~OtherNetwork() { enter(first_); }

  /// Runs a command in the namespace in which the thread was.
  void there(const std::string& command) const {
    enter(first_);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    enter(second_);
  }

 private:
  static FileDescriptor current() { return FileDescriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }
  static void enter(const FileDescriptor& network) { EXPECT_EQ(::setns(network.get(), CLONE_NEWNET), 0); }

  FileDescriptor first_;
  FileDescriptor second_;
};

class XdpHelper : public XdpPort {
 protected:
  void SetUp() override {
    XdpPort::SetUp();
    if (IsSkipped()) return;
    far_.emplace("plxu1");
    helper_ = std::make_unique<Helper>(socket_);
  }
  void TearDown() override { static_cast<void>(std::system("ip link del plxu1 2>/dev/null")); }
  Port started_by_helper() { return started("xdp:plxu0?rule=all,helper=" + socket_); }
  void expect_frames(Port& port, std::uint8_t number) {
    const Bytes frame = ether(numbered(60, number));
    far_->send(frame);
    EXPECT_THAT(receive(port, 1), ElementsAre(frame));
    EXPECT_EQ(send(port, {frame}), 1U);
    EXPECT_EQ(receive(*far_), frame);
  }
  static bool link_becomes(Port& port, bool up) {
    return soon([&] { return port.link().up == up; });
  }
  static std::string fact(Port& port, std::string_view name) {
    for (const PortFact& one : port.capability<PortFacts>()->facts()) {
      if (one.name == name) return one.value;
    }
    return {};
  }

  const std::string socket_ = file("helper");
  std::optional<KernelEnd> far_;
  std::unique_ptr<Helper> helper_;
};

/// Asks as a port does, and keeps what the helper answers.
class Client {
 public:
  explicit Client(const std::string& path) : connection_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(connection_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  static xdp::MessageWriter request(HelperCall call) {
    xdp::MessageWriter made;
    made.number(static_cast<std::uint32_t>(call));
    return made;
  }
  /// The descriptors of the answer.
  std::vector<FileDescriptor> ask(const xdp::MessageWriter& request) {
    EXPECT_EQ(xdp::send_message(connection_.get(), request.all(), {}), 0);
    auto answer = xdp::receive_message(connection_.get());
    EXPECT_TRUE(answer && !answer->bytes.empty());
    if (!answer) return {};
    EXPECT_EQ(xdp::MessageReader(answer->bytes).number(), 0U);
    return std::move(answer->descriptors);
  }
  void open() {
    auto open = request(HelperCall::open);
    open.number(xdp::kHelperVersion);
    open.text("plxu0");
    EXPECT_THAT(ask(open), IsEmpty());
  }
  static xdp::MessageWriter request_for_socket(std::uint32_t rx, std::uint32_t tx) {
    auto socket = request(HelperCall::socket);
    for (const std::uint32_t value : {0U, rx, tx}) socket.number(value);
    return socket;
  }
  /// Whether the helper ends the connection.
  bool is_refused(const xdp::MessageWriter& request) {
    EXPECT_EQ(xdp::send_message(connection_.get(), request.all(), {}), 0);
    const auto answer = xdp::receive_message(connection_.get());
    return !answer || answer->bytes.empty();
  }

 private:
  FileDescriptor connection_;
};

/// The address family of a socket; nullopt for what is none.
std::optional<int> family_of(const FileDescriptor& descriptor) {
  int family = 0;
  socklen_t bytes = sizeof family;
  if (::getsockopt(descriptor.get(), SOL_SOCKET, SO_DOMAIN, &family, &bytes) != 0) return std::nullopt;
  return family;
}

// A netlink socket of its namespace would be a way to change that: the kernel asks who opened it.
TEST_F(XdpHelper, GivesNoSocketsButThoseForFrames) {
  Client client(socket_);
  client.open();
  const auto sockets = client.ask(Client::request_for_socket(512, 512));
  ASSERT_EQ(sockets.size(), 1U);
  EXPECT_EQ(family_of(sockets[0]), AF_XDP);
  const auto counters = client.ask(Client::request(HelperCall::counters));
  ASSERT_EQ(counters.size(), 1U);
  EXPECT_EQ(family_of(counters[0]), std::nullopt);
  auto load = Client::request(HelperCall::load);
  load.rules({});
  for (int i = 0; i < 2; ++i) load.number(0);
  const auto maps = client.ask(load);
  ASSERT_EQ(maps.size(), 1U);
  EXPECT_EQ(family_of(maps[0]), std::nullopt);
  for (const HelperCall call : {HelperCall::state, HelperCall::program}) {
    EXPECT_THAT(client.ask(Client::request(call)), IsEmpty());
  }
  const auto events = client.ask(Client::request(HelperCall::subscribe));
  ASSERT_EQ(events.size(), 2U);
  for (const FileDescriptor& one : events) {
    EXPECT_EQ(family_of(one), AF_UNIX);
    EXPECT_EQ(::send(one.get(), "x", 1, MSG_NOSIGNAL), -1) << "what nobody reads would wait in the helper";
  }
}

// The kernel limits neither their size nor whose memory they are.
TEST_F(XdpHelper, ItsSocketsGetNoLargerRings) {
  Client client(socket_);
  client.open();
  for (const std::uint32_t rx : {0U, 4096U}) {
    const auto sockets = client.ask(Client::request_for_socket(rx, 512));
    ASSERT_EQ(sockets.size(), 1U);
    for (const int ring : {XDP_RX_RING, XDP_TX_RING, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING}) {
      constexpr std::uint32_t kMany = 1 << 16;
      EXPECT_EQ(::setsockopt(sockets[0].get(), SOL_XDP, ring, &kMany, sizeof kMany), -1) << ring;
    }
  }
  EXPECT_TRUE(client.is_refused(Client::request_for_socket(512, 8192)));
}

TEST_F(XdpHelper, APortOfAnotherNetworkGoesOnWithoutItsHelperAndItsLinkIsUnknown) {
  const OtherNetwork here;
  Port port = started_by_helper();
  EXPECT_TRUE(link_becomes(port, true));
  expect_frames(port, 1);
  here.there("ip link set plxu0 down");
  EXPECT_TRUE(link_becomes(port, false));
  here.there("ip link set plxu0 up");
  EXPECT_TRUE(link_becomes(port, true));
  EXPECT_EQ(fact(port, "link"), "");
  helper_.reset();
  here.there("ip link set plxu0 mtu 1600");
  expect_frames(port, 2);
  EXPECT_TRUE(port.service());
  EXPECT_EQ(fact(port, "link"), "unknown: the helper has ended");
  EXPECT_TRUE(port.link().up) << "as it was";
  expect_frames(port, 3);
}

TEST_F(XdpHelper, APortOfAnotherNetworkNoticesTheDeletion) {
  const OtherNetwork here;
  Port port = started_by_helper();
  pollux::RxQueue& queue = port.rx(0);
  static_cast<void>(queue.arm());  // reports the start
  ASSERT_TRUE(queue.arm());
  here.there("ip link set plxu0 mtu 1600");
  pollfd waiting{queue.event_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  here.there("ip link del plxu1");
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
  queue.disarm();
  const auto served = port.service();
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code, ErrorCode::device_removed);
}

TEST_F(XdpHelper, APortOfItsNetworkAsksTheKernelItself) {
  Port port = started_by_helper();
  helper_.reset();
  expect_frames(port, 1);
  for (const bool up : {false, true}) {
    EXPECT_EQ(std::system(up ? "ip link set plxu0 up" : "ip link set plxu0 down"), 0);
    EXPECT_TRUE(link_becomes(port, up));
  }
  EXPECT_EQ(fact(port, "link"), "");
  EXPECT_EQ(std::system("ip link del plxu1"), 0);
  EXPECT_FALSE(port.service());
}

}  // namespace
}  // namespace pollux::ports
