// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/network_state.hpp"

namespace pollux::pci {

/// An rtnetlink client: requests, dumps, changes, attributes. Every length is checked before it is used.
namespace netlink {

using Bytes = std::span<const std::byte>;

/// Copies a structure from the front of `bytes`; nullopt if there are too few bytes.
template <class T>
[[nodiscard]] std::optional<T> read(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// The text up to the first zero byte.
[[nodiscard]] std::string read_string(Bytes bytes);

/// Calls `found` for each complete attribute in `bytes`, with its type without flag bits.
void for_each_attribute(Bytes bytes, const std::function<void(std::uint16_t type, Bytes payload)>& found);
/// The payload of the attribute `wanted`; empty if there is none.
[[nodiscard]] Bytes find_attribute(Bytes bytes, std::uint16_t wanted);

/// The part of `bytes` after a header of `size` bytes and its padding.
[[nodiscard]] Bytes after_header(Bytes bytes, std::size_t size);

/// Whether a message ends the answer to a request. Returns the error that the kernel reports in it: NLMSG_ERROR has
/// one, and so has the NLMSG_DONE of a dump that failed midway (kernel, net/netlink/af_netlink.c, netlink_dump_done).
[[nodiscard]] Result<bool> ends_answer(std::uint16_t type, Bytes payload, bool is_dump);

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

/// An rtnetlink socket. It belongs to the network namespace of the thread that opened it. It waits at most two seconds
/// for an answer. Thread rule: one thread at a time.
class Socket {
 public:
  using Handler = std::function<void(std::uint16_t type, Bytes payload)>;

  [[nodiscard]] static Result<Socket> open();

  /// Requests all objects of a type. `restart` is called before each attempt. If the kernel marks a dump as
  /// inconsistent, it is repeated, so `handler` may get an object more than once.
  [[nodiscard]] Result<void> dump(std::uint16_t type, const Payload& request, const std::function<void()>& restart,
                                  const Handler& handler);
  /// Requests one object.
  [[nodiscard]] Result<void> get(std::uint16_t type, const Payload& request, const Handler& handler);
  /// Requests a change and waits until the kernel has made it. `flags`: such as NLM_F_CREATE.
  [[nodiscard]] Result<void> change(std::uint16_t type, std::uint16_t flags, const Payload& request);
  /// Adds an object beside those that differ from it. It is no error if the same object exists.
  [[nodiscard]] Result<void> add(std::uint16_t type, const Payload& request);

 private:
  struct Progress {
    bool done = false;  ///< the answer is complete
    bool torn = false;  ///< the kernel's tables changed during the dump
  };

  explicit Socket(FileDescriptor descriptor) : descriptor_(std::move(descriptor)), buffer_(64U << 10U) {}
  [[nodiscard]] Result<void> send(std::uint16_t type, std::uint16_t flags, const Payload& request);
  [[nodiscard]] Result<Progress> receive(bool is_dump, const Handler& handler);
  [[nodiscard]] Result<Progress> collect(bool is_dump, const Handler& handler);

  FileDescriptor descriptor_;
  std::vector<std::byte> buffer_;
  std::uint32_t sequence_ = 0;
  int last_error_ = 0;  ///< what the kernel has returned last, as errno
};

}  // namespace netlink

/// Returns the id of the namespace that the current one knows as `nsid`, or `NetworkLink::kUnknownNamespace`.
using NamespaceResolver = std::function<std::uint64_t(std::int32_t nsid)>;

/// Fills links, addresses and routes from the network namespace of the calling thread.
[[nodiscard]] Result<void> read_current_namespace(NetworkNamespace& into, const NamespaceResolver& resolve);

/// The address in a message RTM_NEWADDR, or nullopt if there is no IPv4 or IPv6 address in it.
[[nodiscard]] std::optional<LinkAddress> read_address(netlink::Bytes message);

/// The destination in a message RTM_NEWROUTE, or nullopt if it is neither of IPv4 nor of IPv6.
[[nodiscard]] std::optional<IpPrefix> read_destination(netlink::Bytes message);

/// The number by which the current namespace knows the namespace of `descriptor`; negative if it has none.
[[nodiscard]] std::int32_t namespace_number(int descriptor);

}  // namespace pollux::pci
