// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"

namespace pollux::tap {

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { reset(); }
  [[nodiscard]] int get() const noexcept { return number_; }
  void reset() noexcept {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_;
};

/// A TAP interface of the kernel, and the end of it that a process holds. Linux, Documentation/networking/tuntap.rst.
class Interface {
 public:
  static constexpr const char* kTun = "/dev/net/tun";

  /// Attaches to the interface, which is made if there is none of that name, and then goes away with this.
  /// Errors: invalid_argument (the name), module_not_loaded, permission_denied, busy, not_supported, io_error.
  [[nodiscard]] static Result<Interface> open(std::string_view name, const char* tun = kTun);

  /// For reads and writes of whole frames, each behind a VirtioNetHeader, which do not wait.
  [[nodiscard]] int descriptor() const noexcept { return frames_.get(); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Of the kernel's end.
  [[nodiscard]] Result<MacAddress> mac() const;
  [[nodiscard]] bool is_up() const;
  /// Error permission_denied with the command that does it.
  [[nodiscard]] Result<void> bring_up();
  [[nodiscard]] Result<void> set_mtu(std::uint32_t bytes);
  /// Whether the kernel's end sees a cable; kernels that cannot be told go on as before.
  void set_carrier(bool on) noexcept;
  void close() noexcept;

 private:
  Interface(std::string name, Descriptor frames, Descriptor control)
      : name_(std::move(name)), frames_(std::move(frames)), control_(std::move(control)) {}

  std::string name_;
  Descriptor frames_;
  Descriptor control_;  // any socket, for the interface's flags and MTU
};

}  // namespace pollux::tap
