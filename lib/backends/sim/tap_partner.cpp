// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "backends/sim/link_partner.hpp"
#include "base/file_descriptor.hpp"
#include "base/uri_options.hpp"

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

}  // namespace

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
                      fmt::format("create it as root: sudo ip tuntap add {} mode tap user $USER, then "
                                  "sudo ip link set {} up",
                                  name, name));
  }
  return std::unique_ptr<LinkPartner>(std::make_unique<TapPartner>(std::move(tap)));
}

}  // namespace pollux::sim
