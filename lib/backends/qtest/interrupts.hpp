// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// Turns a card's interrupt messages into eventfds, without a thread and without anybody polling: QEMU has a device
/// (ivshmem-doorbell) with a register that signals an eventfd of another process when it is written. A message is a
/// write of 32 bits to an address, so each entry of a card's MSI-X table carries that register's address and the value
/// that means the entry's eventfd. The device takes its eventfds from a server on a socket: this is that server. All
/// it has to say is said before QEMU starts. QEMU, docs/specs/ivshmem-spec.rst.
class DoorbellServer {
 public:
  static constexpr std::uint32_t kDoorbellRegister = 12;

  /// Events for `cards` cards with `vectors` vectors each. Error: io_error (descriptors).
  [[nodiscard]] static Result<DoorbellServer> create(unsigned cards, unsigned vectors);

  /// The end that QEMU takes; given up once it has.
  [[nodiscard]] int client() const noexcept { return client_.get(); }
  void close_client() noexcept { client_ = FileDescriptor(); }

  /// The eventfds of a card, one a vector.
  [[nodiscard]] std::span<const int> events(unsigned card) const noexcept { return numbers_[card]; }
  /// What is written to the register to signal `vector` of `card`.
  [[nodiscard]] static std::uint32_t message(unsigned card, unsigned vector) noexcept {
    return (card + 1) << 16 | vector;
  }
  /// Forgets what has been signalled so far.
  void drain(unsigned card) const noexcept;

 private:
  [[nodiscard]] Result<void> introduce(unsigned vectors);

  FileDescriptor server_;
  FileDescriptor client_;
  FileDescriptor memory_;  // the device wants some; nobody uses it
  std::vector<FileDescriptor> events_;
  std::vector<std::vector<int>> numbers_;
};

}  // namespace pollux::qtest
