// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/peer_socket.hpp"
#include "pollux/net/placed_settings.hpp"
#include "ports/xdp/interface.hpp"

/// The messages between a port and `pollux xdp-helper`: packets of a Unix socket (SOCK_SEQPACKET). A request is a call
/// and its arguments, an answer a result; each may carry descriptors. Both ends are of one build: open has a version.
namespace pollux::xdp {

inline constexpr std::uint32_t kHelperVersion = 6;

enum class HelperCall : std::uint32_t {
  open,
  socket,
  counters,
  load,
  attach,
  replace,
  detach,
  join,
  program,
  route,
  state,
  subscribe,
};

/// Writes a message: numbers of 32 bits, and bytes with their length in front.
class MessageWriter {
 public:
  void number(std::uint32_t value);
  void bytes(std::span<const std::uint8_t> data);
  void text(std::string_view data) { bytes({reinterpret_cast<const std::uint8_t*>(data.data()), data.size()}); }
  void rules(const std::vector<PlacedRule>& rules);
  void interface(const InterfaceFacts& facts);
  void state(const InterfaceState& state);
  [[nodiscard]] std::span<const std::uint8_t> all() const noexcept { return all_; }

 private:
  std::vector<std::uint8_t> all_;
};

/// Reads one that anybody may have written: nullopt if the message ends too early, or a value is out of range.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::uint8_t> message) noexcept : left_(message) {}

  [[nodiscard]] std::optional<std::uint32_t> number() noexcept;
  [[nodiscard]] std::optional<std::vector<std::uint8_t>> bytes();
  [[nodiscard]] std::optional<std::string> text();
  /// Each valid (check_rule), with a slot of its own.
  [[nodiscard]] std::optional<std::vector<PlacedRule>> rules();
  [[nodiscard]] std::optional<MacAddress> mac();
  [[nodiscard]] std::optional<InterfaceFacts> interface();
  [[nodiscard]] std::optional<InterfaceState> state();

 private:
  [[nodiscard]] std::optional<MatchItem> item();

  std::span<const std::uint8_t> left_;
};

struct HelperMessage {
  std::vector<std::uint8_t> bytes;
  std::vector<FileDescriptor> descriptors;
};

/// Most descriptors of a message.
inline constexpr std::size_t kMaxDescriptors = 4;

/// Returns 0 or errno; EAGAIN if there is no room.
[[nodiscard]] int send_message(int socket, std::span<const std::uint8_t> bytes, std::span<const int> descriptors);
/// The next message; without bytes at the end of the connection. nullopt: errno says why.
[[nodiscard]] std::optional<HelperMessage> receive_message(int socket);

/// A request, which has no descriptors. nullopt: the connection has ended, or there is none.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> receive_request(const PeerSocket& socket);

}  // namespace pollux::xdp
