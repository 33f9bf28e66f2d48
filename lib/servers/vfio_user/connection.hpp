// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "servers/vfio_user/protocol.hpp"

namespace pollux::vfio_user {

/// The socket of one client: receives whole messages with their descriptors, and sends replies. Never blocks.
/// Thread rule: one thread at a time.
class Connection {
 public:
  /// `socket` is a connected stream socket.
  explicit Connection(FileDescriptor socket) : socket_(std::move(socket)) {}

  /// Continues to receive a message. True if it is whole: `header`, `payload` and `descriptors` are valid until the
  /// next call. False if nothing more has arrived, or the connection is closed.
  [[nodiscard]] bool receive();
  [[nodiscard]] const Header& header() const noexcept { return header_; }
  [[nodiscard]] std::span<const std::byte> payload() const noexcept { return payload_; }
  /// The caller may move descriptors out; the others are closed by the next `receive`.
  [[nodiscard]] std::vector<FileDescriptor>& descriptors() noexcept { return descriptors_; }
  /// A part of a message has arrived.
  [[nodiscard]] bool is_in_message() const noexcept { return received_ != 0 && !whole_; }

  /// Sends a reply to the current message, or as much of it as the socket takes.
  void reply(std::span<const std::byte> payload);
  void reply_error(int error);
  /// Bytes of replies that the socket has not taken yet. While there are any, the caller does not receive.
  [[nodiscard]] bool has_unsent() const noexcept { return !unsent_.empty(); }
  void send_unsent();

  [[nodiscard]] int socket() const noexcept { return socket_.get(); }
  /// The connection has ended. `why` says so in a few words.
  [[nodiscard]] bool closed() const noexcept { return !why_.empty(); }
  [[nodiscard]] std::string_view why() const noexcept { return why_; }
  void close(std::string_view why) noexcept { why_ = why; }

 private:
  [[nodiscard]] std::size_t read(std::span<std::byte> bytes, bool with_descriptors);
  [[nodiscard]] bool accept_header();
  void send(const Header& header, std::span<const std::byte> payload);

  FileDescriptor socket_;
  Header header_;
  std::vector<std::byte> payload_;
  std::vector<FileDescriptor> descriptors_;
  std::size_t received_ = 0;  // bytes of the current message, with its header
  bool whole_ = false;
  std::vector<std::byte> unsent_;
  std::string_view why_;
};

}  // namespace pollux::vfio_user
