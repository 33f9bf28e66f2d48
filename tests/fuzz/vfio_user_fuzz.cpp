// SPDX-License-Identifier: BSD-3-Clause
// Arbitrary commands, or arbitrary bytes, from a client of the vfio-user server. Each command gets at most one reply,
// which has a valid header; the server neither crashes nor blocks, and keeps nothing of the client afterwards.
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/file_descriptor.hpp"
#include "fuzz/require.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/open.hpp"
#include "servers/vfio_user/session.hpp"

namespace {

using namespace pollux;
using namespace pollux::vfio_user;
using namespace std::chrono_literals;

constexpr std::size_t kFileBytes = 1 << 20;

/// A card, and files that the client passes. All inputs share them.
struct Fixture {
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 28}};
  std::unique_ptr<Device> device = *open_device(context, "sim:0");
  Regions regions = *Regions::create(*device);
  vfio_user::Interrupts interrupts = *vfio_user::Interrupts::create(*device);
  FileDescriptor memory{::memfd_create("fuzz", MFD_CLOEXEC)};
  FileDescriptor event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  Fixture() { test::require(::ftruncate(memory.get(), kFileBytes) == 0, "the memory file can be made"); }
};

/// Reads the input. Beyond its end everything is 0.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool done() const noexcept { return bytes_.empty(); }
  [[nodiscard]] std::uint8_t byte() { return done() ? 0 : take(1)[0]; }
  [[nodiscard]] std::span<const std::uint8_t> take(std::size_t count) {
    const auto part = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(part.size());
    return part;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

class Client {
 public:
  Client(Fixture& fixture, int socket) : fixture_(fixture), socket_(socket) {}

  /// Sends a command with a valid header. The input has the command's number, a byte for flags and descriptors, the
  /// length of the payload, and the payload.
  void command(Input& input) {
    Header header;
    header.id = ++commands_;
    header.command = static_cast<Command>(input.byte() % 20);
    const std::uint8_t with = input.byte();
    header.flags = (with & 0x80) != 0 ? Header::kNoReply : 0;
    const auto payload = input.take(input.byte());
    header.size = static_cast<std::uint32_t>(sizeof header + payload.size());
    std::vector<std::uint8_t> message(sizeof header + payload.size());
    std::memcpy(message.data(), &header, sizeof header);
    std::memcpy(message.data() + sizeof header, payload.data(), payload.size());
    send(message, with);
  }
  void raw(Input& input) {
    is_raw_ = true;
    send(input.take(input.byte()), 0);
  }

  /// Reads all replies.
  void receive() {
    std::array<std::uint8_t, 65536> bytes;
    for (ssize_t count = 1; count > 0;) {
      count = ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (count > 0) replies_.insert(replies_.end(), bytes.begin(), bytes.begin() + count);
    }
    while (replies_.size() >= sizeof(Header)) {
      Header header;
      std::memcpy(&header, replies_.data(), sizeof header);
      test::require(header.size >= sizeof header, "a reply is as long as its header");
      test::require((header.flags & Header::kType) == Header::kReply, "the server sends only replies");
      const bool failed = (header.flags & Header::kError) != 0;
      test::require(failed == (header.error != 0), "a reply has an error number if it reports an error");
      test::require(!failed || header.size == sizeof header, "an error has no payload");
      if (replies_.size() < header.size) return;
      test::require(is_raw_ || ++replied_ <= commands_, "no command has two replies");
      replies_.erase(replies_.begin(), replies_.begin() + header.size);
    }
  }

 private:
  void send(std::span<const std::uint8_t> bytes, std::uint8_t with) {
    iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(20 * sizeof(int))> control{};
    const std::size_t count = with & 0x1F;
    if (count != 0 && count <= 20) {
      const int file = (with & 0x20) != 0 ? fixture_.event.get() : (with & 0x40) != 0 ? socket_ : fixture_.memory.get();
      const std::vector<int> files(count, file);
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(count * sizeof(int));
      cmsghdr* const part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(count * sizeof(int));
      std::memcpy(CMSG_DATA(part), files.data(), count * sizeof(int));
    }
    static_cast<void>(::sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
  }

  Fixture& fixture_;
  int socket_;
  std::uint16_t commands_ = 0;
  std::uint16_t replied_ = 0;
  bool is_raw_ = false;
  std::vector<std::uint8_t> replies_;
};

std::ptrdiff_t threads() {
  const std::filesystem::directory_iterator all("/proc/self/task");
  return std::distance(begin(all), end(all));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  static const std::ptrdiff_t own_threads = threads();
  Input input({data, size});
  std::array<int, 2> ends{};
  test::require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0,
                "sockets can be made");
  const FileDescriptor near(ends[0]);
  {
    Session session(PeerSocket(FileDescriptor(ends[1])), nullptr, *fixture.device, fixture.regions, fixture.interrupts,
                    *fixture.clock);
    Client client(fixture, near.get());
    constexpr std::array<std::uint8_t, 7> kVersion{1, 0, 4, 0, 0, 0, 0};  // command 1, nothing with it, version 0.0
    Input version(kVersion);
    client.command(version);
    for (bool alive = true; alive && !input.done();) {
      const std::uint8_t what = input.byte();
      what % 16 == 15 ? client.raw(input) : client.command(input);
      if (what % 16 == 14) fixture.clock->advance(std::chrono::milliseconds(what));
      alive = session.work();
      fixture.regions.flush();
      fixture.interrupts.relay();
      client.receive();
    }
    test::require(fixture.device->set_bus_master(false).has_value(), "the card's bus mastering can be ended");
  }
  // What the server does not want of the client is closed in another thread, whose memory is no leak.
  for (int i = 0; i < 1000 && threads() > own_threads; ++i) std::this_thread::sleep_for(100us);
  test::require(fixture.device->reset().has_value(), "the card can be reset");
  return 0;
}
