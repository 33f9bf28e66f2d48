// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/link_partner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/shell_words.hpp"
#include "base/uri_options.hpp"
#include "files/capture_file_writer.hpp"
#include "pollux/files/capture_file_reader.hpp"

namespace pollux::sim {
namespace {

/// Connects the wire to the host's kernel through a TAP interface. Linux, Documentation/networking/tuntap.rst.
class TapPartner final : public LinkPartner {
 public:
  explicit TapPartner(FileDescriptor tap) : tap_(std::move(tap)), buffer_(kLinkPartnerFrameBytes) {}

  [[nodiscard]] bool send(std::span<const std::byte> frame, Duration) noexcept override {
    return ::write(tap_.get(), frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
  }
  [[nodiscard]] std::optional<std::span<const std::byte>> receive(Duration now) noexcept override {
    now_ = now;
    const ssize_t count = ::read(tap_.get(), buffer_.data(), buffer_.size());
    if (count <= 0) return std::nullopt;
    return std::span<const std::byte>(buffer_).first(static_cast<std::size_t>(count));
  }
  [[nodiscard]] Duration next() const noexcept override { return now_ + kLinkPartnerInterval; }
  [[nodiscard]] int descriptor() const noexcept override { return tap_.get(); }

 private:
  FileDescriptor tap_;
  std::vector<std::byte> buffer_;
  Duration now_{0};
};

ErrorCode code_for(int error) noexcept {
  switch (error) {
    case EPERM:
    case EACCES: return ErrorCode::permission_denied;
    case EBUSY: return ErrorCode::busy;
    case ENOENT:
    case ENODEV: return ErrorCode::not_supported;
    case EINVAL: return ErrorCode::invalid_argument;
    default: return ErrorCode::io_error;
  }
}

Result<std::unique_ptr<LinkPartner>> open_tap_partner(const std::string& name) {
  if (auto valid = check_interface_name(name, fmt::format("tap={}", name)); !valid) return pass_on(std::move(valid));
  ifreq request{};
  FileDescriptor tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tap) {
    return fail_errno(code_for(errno), fmt::format("tap={}: /dev/net/tun", name), errno,
                      "load the kernel's tun module (sudo modprobe tun)");
  }
  std::memcpy(static_cast<char*>(request.ifr_name), name.data(), name.size());
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    return fail_errno(code_for(errno), fmt::format("tap={}", name), errno,
                      fmt::format("create it as root: sudo ip tuntap add {0} mode tap user {1}, then "
                                  "sudo ip link set {0} up",
                                  shell_quoted(name), ::geteuid()));
  }
  return std::unique_ptr<LinkPartner>(std::make_unique<TapPartner>(std::move(tap)));
}

/// Exchanges frames over Unix datagram sockets, one frame per datagram. Compatible with QEMU's "-netdev dgram" with
/// unix paths.
class SocketPartner final : public LinkPartner {
 public:
  SocketPartner(FileDescriptor socket, std::string path, const sockaddr_un& peer)
      : socket_(std::move(socket)), path_(std::move(path)), peer_(peer), buffer_(kLinkPartnerFrameBytes) {}
  ~SocketPartner() override {
    if (socket_) ::unlink(path_.c_str());
  }

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
    return fail_errno(taken ? ErrorCode::busy : ErrorCode::io_error, fmt::format("socket-local={}", local), errno,
                      taken ? fmt::format("if no process uses it: rm {}", shell_quoted(local))
                            : "use a path in an existing, writable folder");
  }
  return std::unique_ptr<LinkPartner>(std::make_unique<SocketPartner>(std::move(socket), local, *peer));
}

constexpr std::size_t kHeaderBytes = 14;  // of Ethernet
/// Frames that are left out in one call, while the wire's lock is held.
constexpr unsigned kMaxLeftOutPerCall = 256;

/// Sends the frames of one capture file to the card, and writes the card's frames to another one, with the wire's time.
class PcapPartner final : public LinkPartner {
 public:
  [[nodiscard]] Result<void> read(const std::string& path) {
    auto opened = CaptureFileReader::open(path, "pcap-in");
    if (!opened) return pass_on(std::move(opened));
    in_.emplace(*std::move(opened));
    in_path_ = path;
    return {};
  }
  [[nodiscard]] Result<void> write(const std::string& path, const Clock& clock) {
    auto created = files::CaptureFileWriter::create(path, "pcap-out", clock);
    if (!created) return pass_on(std::move(created));
    out_.emplace(*std::move(created));
    return {};
  }

  // Flushed after each frame, so that a reader sees whole frames while the file is open.
  [[nodiscard]] bool send(std::span<const std::byte> frame, Duration now) noexcept override {
    if (!out_) return true;  // discarded without an output file
    out_->put(frame, now);
    out_failed_ = !out_->flush();
    return !out_failed_;
  }

  [[nodiscard]] std::optional<std::span<const std::byte>> receive(Duration now) noexcept override {
    now_ = now;
    CapturedFrame frame;
    for (unsigned i = 0; in_ && i < kMaxLeftOutPerCall; ++i) {
      switch (in_->next(frame)) {
        case CaptureFileReader::Outcome::frame:
          if (frame.is_whole() && frame.length >= kHeaderBytes) return std::as_bytes(frame.bytes);
          ++left_out_;
          break;
        case CaptureFileReader::Outcome::unreadable: in_failure_ = in_->error(); [[fallthrough]];
        case CaptureFileReader::Outcome::end: in_.reset(); break;
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] Duration next() const noexcept override { return in_ ? now_ + kLinkPartnerInterval : Duration::max(); }
  [[nodiscard]] std::uint64_t left_out() const noexcept override { return left_out_; }

  [[nodiscard]] std::optional<WireReport> take_report(bool closing) override {
    if (out_failed_ && !std::exchange(out_reported_, true)) return WireReport{.text = out_->error().message()};
    if (const auto failure = std::exchange(in_failure_, {})) return WireReport{.text = failure->message()};
    if ((in_ && !closing) || left_out_ == left_out_reported_) return std::nullopt;
    left_out_reported_ = left_out_;
    return WireReport{
        .level = LogLevel::warning,
        .text = fmt::format("pcap-in: {}: lost {} frames, of which the file has only a part: capture whole frames "
                            "(tcpdump -s 0)",
                            in_path_, left_out_)};
  }

 private:
  std::optional<CaptureFileReader> in_;
  std::string in_path_;
  std::optional<Error> in_failure_;  // not reported yet
  std::uint64_t left_out_ = 0;
  std::uint64_t left_out_reported_ = 0;
  std::optional<files::CaptureFileWriter> out_;
  bool out_failed_ = false;
  bool out_reported_ = false;
  Duration now_{0};
};

Result<std::unique_ptr<LinkPartner>> open_pcap_partner(const std::string& in, const std::string& out,
                                                       const Clock& clock) {
  auto partner = std::make_unique<PcapPartner>();
  if (!in.empty()) {
    if (auto opened = partner->read(in); !opened) return pass_on(std::move(opened));
  }
  if (!out.empty()) {
    if (auto created = partner->write(out, clock); !created) return pass_on(std::move(created));
  }
  return std::unique_ptr<LinkPartner>(std::move(partner));
}

}  // namespace

Result<std::unique_ptr<LinkPartner>> open_link_partner(const LinkPartnerOptions& options, const Clock& clock) {
  const bool pcap = !options.pcap_in.empty() || !options.pcap_out.empty();
  const bool tap = !options.tap.empty();
  const bool socket = !options.socket_local.empty() || !options.socket_remote.empty();
  if (static_cast<int>(pcap) + static_cast<int>(tap) + static_cast<int>(socket) != 1) {
    return fail(ErrorCode::invalid_argument, "a wire has one link partner",
                "use one of pcap-in/pcap-out, tap and socket");
  }
  if (tap) return open_tap_partner(options.tap);
  if (pcap) return open_pcap_partner(options.pcap_in, options.pcap_out, clock);
  if (options.socket_local.empty() || options.socket_remote.empty()) {
    return fail(ErrorCode::invalid_argument, "a socket as link partner needs two paths",
                "set both socket-local=PATH (its own) and socket-remote=PATH (the peer's)");
  }
  return open_socket_partner(options.socket_local, options.socket_remote);
}

}  // namespace pollux::sim
