// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "netlink/messages.hpp"
#include "pollux/base/error.hpp"

namespace pollux::netlink {

/// Asks the kernel. It belongs to the network namespace of the thread that opened it, waits at most two seconds for
/// each part of an answer, and takes no descriptors. Errors: `timeout`, `io_error` with the kernel's own words, if it
/// has any. After an error it can be used again. Thread rule: one thread at a time.
class Socket {
 public:
  using Handler = std::function<void(std::uint16_t type, Bytes payload)>;

  /// `family`: NETLINK_ROUTE, NETLINK_GENERIC.
  [[nodiscard]] static Result<Socket> open(int family = NETLINK_ROUTE);

  /// Requests all objects of a type. `restart` is called before each attempt. If the kernel marks a dump as
  /// inconsistent, it is repeated, so `handler` may get an object more than once. Further error: `busy`.
  [[nodiscard]] Result<void> dump(std::uint16_t type, const Payload& request, const std::function<void()>& restart,
                                  const Handler& handler);
  /// Requests one object.
  [[nodiscard]] Result<void> get(std::uint16_t type, const Payload& request, const Handler& handler);
  /// Requests a change and waits until the kernel has made it. `flags`: such as NLM_F_CREATE.
  [[nodiscard]] Result<void> change(std::uint16_t type, std::uint16_t flags, const Payload& request);
  /// Adds an object beside those that differ from it. It is no error if the same object exists.
  [[nodiscard]] Result<void> add(std::uint16_t type, const Payload& request);

  /// Of the last request, as errno; 0: it had none.
  [[nodiscard]] int last_error() const noexcept { return last_error_; }

 private:
  explicit Socket(FileDescriptor descriptor) : descriptor_(std::move(descriptor)), buffer_(64U << 10U) {}
  [[nodiscard]] Result<void> send(std::uint16_t type, std::uint16_t flags, const Payload& request);
  /// Returns whether the kernel's tables changed during the answer.
  [[nodiscard]] Result<bool> receive(bool is_dump, const Handler& handler);
  [[nodiscard]] Result<Bytes> receive_datagram();
  [[nodiscard]] tl::unexpected<Error> failed(const char* what, int error);

  FileDescriptor descriptor_;
  std::vector<std::byte> buffer_;
  std::uint32_t sequence_ = 0;
  int last_error_ = 0;
};

}  // namespace pollux::netlink
