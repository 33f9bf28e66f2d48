// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"
#include "servers/vfio_user/client_memory.hpp"
#include "servers/vfio_user/interrupts.hpp"
#include "servers/vfio_user/protocol.hpp"
#include "servers/vfio_user/regions.hpp"

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

/// One client's use of a device: its commands, memory and interrupts. A command with invalid content gets an error as
/// its reply. A client that breaks the framing of messages, stops in the middle of one, or takes away memory that it
/// has passed is disconnected. Thread rule: one thread at a time. Nothing blocks.
class Session {
 public:
  /// A client that has sent a part of a message, or does not take its replies, is disconnected after this time.
  static constexpr Duration kMaxStall = std::chrono::seconds(5);
  /// Commands processed before the caller serves others, and the time after which no further one is begun. The writes
  /// of one command may take several turns.
  static constexpr unsigned kMaxCommands = 256;
  static constexpr Duration kMaxTurn = std::chrono::milliseconds(2);

  /// `device`, `regions` and `interrupts` outlive the session. They belong to it meanwhile. `clock` outlives it, too.
  Session(FileDescriptor socket, Device& device, Regions& regions, Interrupts& interrupts, const Clock& clock);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Takes memory and interrupts from the card. The caller has disabled bus mastering.
  ~Session();

  /// Processes the commands that have arrived. False if the client is gone or was disconnected.
  [[nodiscard]] bool work();
  /// Why the session ended.
  [[nodiscard]] std::string_view why() const noexcept { return connection_.why(); }
  /// What to wait for before the next call of `work`: events of poll(2), and the time when a stalled client is
  /// disconnected; Time::min() while a command is not done.
  [[nodiscard]] int socket() const noexcept { return connection_.socket(); }
  [[nodiscard]] short events() const noexcept;
  [[nodiscard]] Time deadline() const noexcept {
    if (!writes_.empty()) return Time::min();
    return stalled_since_ ? *stalled_since_ + kMaxStall : Time::max();
  }

 private:
  /// The functions for commands return 0, with the reply's content in `reply_`, or an errno value.
  [[nodiscard]] int process();
  [[nodiscard]] int version(std::span<const std::byte> payload);
  [[nodiscard]] int dma_map(std::span<const std::byte> payload);
  [[nodiscard]] int dma_unmap(std::span<const std::byte> payload);
  [[nodiscard]] int device_info(std::span<const std::byte> payload);
  [[nodiscard]] int region_info(std::span<const std::byte> payload);
  [[nodiscard]] int irq_info(std::span<const std::byte> payload);
  [[nodiscard]] int set_irqs(std::span<const std::byte> payload);
  [[nodiscard]] int region_read(std::span<const std::byte> payload);
  [[nodiscard]] int region_write(std::span<const std::byte> payload);
  [[nodiscard]] int region_write_multi(std::span<const std::byte> payload);
  [[nodiscard]] int reset();
  [[nodiscard]] bool has_time() const { return clock_.now() < turn_ends_; }
  /// Goes on with `writes_` until the turn ends.
  [[nodiscard]] int continue_writes();
  [[nodiscard]] int write_some();
  void update_stall(Time now, bool progress);

  template <class T>
  void put(const T& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    reply_.insert(reply_.end(), bytes.begin(), bytes.end());
  }

  Connection connection_;
  Device& device_;
  Regions& regions_;
  Interrupts& interrupts_;
  const Clock& clock_;
  ClientMemory memory_;
  bool has_version_ = false;
  std::optional<Time> stalled_since_;
  std::vector<std::byte> reply_;
  Time turn_ends_{};
  std::span<const std::byte> writes_;  // that are left of the current command: bytes, or SingleWrites
  std::optional<RegionAccess> write_;  // where the bytes go
};

}  // namespace pollux::vfio_user
