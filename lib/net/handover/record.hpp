// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "net/json/json.hpp"
#include "pollux/base/error.hpp"

/// What passes from a program to its successor: messages of a Unix socket (SOCK_SEQPACKET), JSON with descriptors. ADR
/// 23 has their order. Whatever is received may be written by anybody, or by another version.
namespace pollux::handover {

using json::Json;

/// Of the messages. A change that another version would misread gets the next one.
inline constexpr std::uint64_t kVersion = 1;
/// Most descriptors of a message: those of a port with 64 queues, and some more. Linux allows 253.
inline constexpr std::size_t kMaxDescriptors = 100;
/// Of a Context.
inline constexpr std::uint64_t kMaxPorts = 256;
inline constexpr std::size_t kMaxMessage = std::size_t{128} << 10;

struct NamedDescriptor {
  std::string name;
  FileDescriptor file;
};

/// A port, as long as it runs.
struct PortRecord {
  std::string name;    ///< as it was opened
  std::string driver;  ///< whose own `details` and descriptors are
  Json settings;       ///< in the form of telemetry's port.settings
  Json details;
  std::vector<NamedDescriptor> descriptors;

  /// Takes the descriptor of that name. Error: there is none.
  [[nodiscard]] Result<FileDescriptor> take(std::string_view name);
};

/// A queue, or a pair of queues, that stands still.
struct QueueRecord {
  std::uint32_t posted = 0;          ///< receive buffers that the kernel has, or frames in them
  std::uint32_t in_flight = 0;       ///< buffers to be sent that the kernel has not returned
  std::vector<std::uint64_t> free;   ///< buffers for the successor to send from
  std::vector<std::uint64_t> given;  ///< such ones that are in flight
  /// What the kernel, or a card, had counted by then, in an order that is the driver's: a successor counts from there.
  std::vector<std::uint64_t> counts;
};

[[nodiscard]] Json to_json(const QueueRecord& queue);

// Error invalid_argument: what is missing or wrong.
[[nodiscard]] tl::unexpected<Error> malformed(std::string_view what);
[[nodiscard]] Result<std::uint64_t> number(const Json& object, const char* name, std::uint64_t most);
[[nodiscard]] Result<std::string> text(const Json& object, const char* name);
[[nodiscard]] Result<std::vector<std::uint64_t>> numbers(const Json& object, const char* name, std::size_t count,
                                                         std::uint64_t most);
[[nodiscard]] Result<PortRecord> read_port(Json json, std::vector<FileDescriptor> descriptors);
[[nodiscard]] Result<QueueRecord> read_queue(const Json& json);

struct Message {
  Json json;
  std::vector<FileDescriptor> descriptors;
};

/// The text of a message. Error invalid_argument: it is no object with a member "message".
[[nodiscard]] Result<Json> parse(std::string_view bytes);
/// A message of any kind, with flags of sendmsg(2). Returns 0 or errno.
[[nodiscard]] int send_bytes(int socket, std::string bytes, std::span<const int> descriptors, int flags = 0) noexcept;
/// Error io_error.
[[nodiscard]] Result<void> send(int socket, const Json& json, std::span<const int> descriptors = {}, int flags = 0);
/// Waits. A message that says "refused" is an error, the peer's. Errors: timeout, io_error (the peer has ended).
[[nodiscard]] Result<Message> receive(int socket, std::string_view expected);
[[nodiscard]] Json refusal(const Error& error);
/// Whether the process at the other end is this user's, or root's.
[[nodiscard]] bool is_trusted(int socket) noexcept;

}  // namespace pollux::handover
