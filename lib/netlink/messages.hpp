// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// Requests to the kernel and its answers: netlink(7), rtnetlink(7). Every length is checked before it is used.
namespace pollux::netlink {

using Bytes = std::span<const std::byte>;

/// Copies a value from the front of `bytes`; nullopt if there are too few bytes.
template <class T>
[[nodiscard]] std::optional<T> read(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// The text up to the first zero byte.
[[nodiscard]] std::string read_string(Bytes bytes);

/// The part of `bytes` after a header of `size` bytes and its padding.
[[nodiscard]] Bytes after_header(Bytes bytes, std::size_t size);

/// Calls `found` for each complete attribute in `bytes`, with its type without flag bits.
void for_each_attribute(Bytes bytes, const std::function<void(std::uint16_t type, Bytes payload)>& found);
/// The payload of the last attribute `wanted`; empty if there is none.
[[nodiscard]] Bytes find_attribute(Bytes bytes, std::uint16_t wanted);

/// Calls `found` with each complete next hop in the payload of RTA_MULTIPATH: a rtnexthop, and its attributes.
void for_each_next_hop(Bytes bytes, const std::function<void(Bytes hop)>& found);

/// Calls `found` for each message of a datagram. False: the last one is not complete.
[[nodiscard]] bool for_each_message(Bytes datagram,
                                    const std::function<void(const nlmsghdr& header, Bytes payload)>& found);

/// How an answer ends.
struct Ending {
  int error = 0;       ///< as errno; 0: none
  std::string remark;  ///< the kernel's own words (NLMSGERR_ATTR_MSG); empty: it has none
};

/// The end of an answer, if this message is that. NLMSG_ERROR has an error or acknowledges; NLMSG_DONE has the error of
/// a dump that failed midway (Linux, net/netlink/af_netlink.c, netlink_dump_done).
[[nodiscard]] std::optional<Ending> read_ending(const nlmsghdr& header, Bytes payload, bool is_dump);

/// The payload of a request: a fixed header, then attributes.
class Payload {
 public:
  template <class T>
  explicit Payload(const T& header) {
    append(&header, sizeof header);
  }
  /// A payload with header and attributes, as a dump returned it.
  explicit Payload(Bytes message) : bytes_(message.begin(), message.end()) {}
  Payload& add(std::uint16_t type, std::uint32_t value) { return add(type, std::as_bytes(std::span(&value, 1))); }
  Payload& add(std::uint16_t type, Bytes value);
  [[nodiscard]] Bytes bytes() const { return bytes_; }

 private:
  void append(const void* data, std::size_t size);
  std::vector<std::byte> bytes_;
};

}  // namespace pollux::netlink
