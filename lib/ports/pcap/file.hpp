// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "pollux/base/error.hpp"

namespace pollux::pcap {

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

struct File {
  Descriptor descriptor;
  std::uint64_t device = 0;  ///< device and inode identify the file
  std::uint64_t inode = 0;
};

/// Opens a regular file with close-on-exec. `name` is the port's name, for messages. Errors: not_found,
/// permission_denied, invalid_argument (not a regular file), io_error.
[[nodiscard]] Result<File> open_file(const std::string& path, int flags, std::string_view name);

}  // namespace pollux::pcap
