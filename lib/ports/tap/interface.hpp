// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <net/if.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/kernel_interface.hpp"
#include "pollux/net/link.hpp"

namespace pollux::tap {

/// What the kernel may leave to the process in frames that it sends.
enum class KernelOffload : bool {
  checksums,        ///< TCP and UDP checksums
  segmentation_too  ///< and TCP and UDP segmentation, as far as the kernel knows it
};

/// The process's end of a TAP interface of the kernel. Linux, Documentation/networking/tuntap.rst.
class Interface {
 public:
  static constexpr const char* kTun = "/dev/net/tun";

  /// Attaches to the interface `name`. If it does not exist, it is created and exists as long as this object.
  /// Errors: invalid_argument (the name), module_not_loaded, permission_denied, busy, not_supported, io_error.
  [[nodiscard]] static Result<Interface> open(std::string_view name, const char* tun = kTun,
                                              KernelOffload offload = KernelOffload::checksums);

  /// The descriptor for non-blocking reads and writes of whole frames, each after a VirtioNetHeader.
  [[nodiscard]] int descriptor() const noexcept { return frames_.get(); }
  /// As it was opened: it may have been renamed since.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::string present_name() const;
  /// Whether the kernel segments UDP frames (Linux 6.2 and later).
  [[nodiscard]] bool segments_udp() const noexcept { return segments_udp_; }
  /// The address of the kernel's end.
  [[nodiscard]] Result<MacAddress> mac() const;
  [[nodiscard]] Result<void> set_mac(const MacAddress& mac);
  /// In whatever network namespace it is by now.
  [[nodiscard]] bool is_up() const;
  /// What follows changes an interface in the network namespace of this process only. Errors: permission_denied, with
  /// the command to run as root; not_supported, it was moved to another namespace.
  [[nodiscard]] Result<void> bring_up();
  [[nodiscard]] Result<void> set_mtu(std::uint32_t bytes);
  /// Adds an IP address. One that the interface has already is no error.
  [[nodiscard]] Result<void> add_address(const InterfaceAddress& address);
  /// Sets the carrier of the kernel's end. Kernels without TUNSETCARRIER ignore it.
  void set_carrier(bool on) noexcept;
  void close() noexcept;

 private:
  /// A request of netdevice(7) about the interface, as long as it is in this process's namespace.
  [[nodiscard]] Result<ifreq> request_here() const;

  Interface(std::string name, FileDescriptor frames, FileDescriptor control, bool segments_udp)
      : name_(std::move(name)), frames_(std::move(frames)), control_(std::move(control)), segments_udp_(segments_udp) {}

  std::string name_;
  FileDescriptor frames_;
  FileDescriptor control_;  // a socket for ioctls on the interface's flags and MTU
  bool segments_udp_;
};

}  // namespace pollux::tap
