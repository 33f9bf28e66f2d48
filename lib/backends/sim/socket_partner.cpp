// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "backends/sim/link_partner.hpp"
#include "base/file_descriptor.hpp"

namespace pollux::sim {
namespace {

/// Exchanges frames over Unix datagram sockets, one frame per datagram. Compatible with QEMU's "-netdev dgram" with
/// unix paths.
class SocketPartner final : public LinkPartner {
 public:
  SocketPartner(FileDescriptor socket, std::string path, const sockaddr_un& peer)
      : socket_(std::move(socket)), path_(std::move(path)), peer_(peer), buffer_(kLinkPartnerFrameBytes) {}
  ~SocketPartner() override { ::unlink(path_.c_str()); }

  [[nodiscard]] bool send(std::span<const std::byte> frame, Duration) noexcept override {
    return ::sendto(socket_.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&peer_), sizeof peer_) == static_cast<ssize_t>(frame.size());
  }
  [[nodiscard]] std::optional<std::span<const std::byte>> receive(Duration now) noexcept override {
    now_ = now;
    const ssize_t count = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (count < 0) return std::nullopt;
    return std::span<const std::byte>(buffer_).first(static_cast<std::size_t>(count));
  }
  [[nodiscard]] Duration next() const noexcept override { return now_ + kLinkPartnerInterval; }
  [[nodiscard]] int descriptor() const noexcept override { return socket_.get(); }

 private:
  FileDescriptor socket_;
  std::string path_;
  sockaddr_un peer_;
  std::vector<std::byte> buffer_;
  Duration now_{0};
};

Result<sockaddr_un> address(const char* key, const std::string& path) {
  sockaddr_un result{};
  result.sun_family = AF_UNIX;
  if (path.size() >= sizeof result.sun_path) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}={}: the path is too long", key, path),
                fmt::format("a socket's path has at most {} bytes", sizeof result.sun_path - 1));
  }
  std::memcpy(static_cast<char*>(result.sun_path), path.data(), path.size());
  return result;
}

}  // namespace

Result<std::unique_ptr<LinkPartner>> open_socket_partner(const std::string& local, const std::string& remote) {
  const auto own = address("socket-local", local);
  if (!own) return tl::unexpected(own.error());
  const auto peer = address("socket-remote", remote);
  if (!peer) return tl::unexpected(peer.error());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // The file gets the mode of the socket: only this user may send frames.
  if (!socket || ::fchmod(socket.get(), 0600) != 0)
    return fail_errno(ErrorCode::io_error, "a Unix socket cannot be created", errno, "raise the limit of open files");
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*own), sizeof *own) != 0) {
    const bool taken = errno == EADDRINUSE;
    return fail_errno(
        taken ? ErrorCode::busy : ErrorCode::io_error, fmt::format("socket-local={}", local), errno,
        taken ? fmt::format("if no process uses it: rm {}", local) : "use a path in an existing, writable folder");
  }
  return std::unique_ptr<LinkPartner>(std::make_unique<SocketPartner>(std::move(socket), local, *peer));
}

}  // namespace pollux::sim
