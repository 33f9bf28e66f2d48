// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// Turns a card's interrupt messages into eventfd signals, without a thread or polling. It uses QEMU's ivshmem-doorbell
/// device: a write to that device's doorbell register signals an eventfd of another process. An MSI-X message is a
/// 32-bit write to an address. So each MSI-X table entry contains the address of the doorbell register and the value
/// for its eventfd. The device gets its eventfds from a server on a socket. This class is the server, and sends all its
/// messages before QEMU starts. QEMU, docs/specs/ivshmem-spec.rst.
class DoorbellServer {
 public:
  static constexpr std::uint32_t kDoorbellRegister = 12;

  /// Events for `cards` cards with `vectors` vectors each. Error: io_error (descriptors).
  [[nodiscard]] static Result<DoorbellServer> create(unsigned cards, unsigned vectors);

  /// QEMU's end of the socket. Closed here once QEMU has inherited it.
  [[nodiscard]] int client() const noexcept { return client_.get(); }
  void close_client() noexcept { client_ = FileDescriptor(); }

  /// The eventfds of a card, one per vector.
  [[nodiscard]] std::span<const int> events(unsigned card) const noexcept { return numbers_[card]; }
  /// The value that signals `vector` of `card` when written to the doorbell register.
  [[nodiscard]] static std::uint32_t message(unsigned card, unsigned vector) noexcept {
    return (card + 1) << 16 | vector;
  }
  /// Clears all signals of the card's eventfds.
  void drain(unsigned card) const noexcept;

 private:
  [[nodiscard]] Result<void> send_events(unsigned vectors);

  FileDescriptor server_;
  FileDescriptor client_;
  FileDescriptor memory_;  // required by the protocol, but not used
  std::vector<FileDescriptor> events_;
  std::vector<std::vector<int>> numbers_;
};

}  // namespace pollux::qtest
