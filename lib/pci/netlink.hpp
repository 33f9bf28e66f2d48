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

/// Just enough rtnetlink to read: questions, dumps, attributes. Every length is checked before it is used.
namespace pollux::pci::netlink {

using Bytes = std::span<const std::byte>;

/// A plain structure at the front of `bytes`; nothing if they are too few.
template <class T>
[[nodiscard]] std::optional<T> read(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// The text up to its first zero.
[[nodiscard]] std::string read_string(Bytes bytes);

/// Calls `found` for each attribute that lies whole within `bytes`; flag bits are taken off its type.
void for_each_attribute(Bytes bytes, const std::function<void(std::uint16_t type, Bytes payload)>& found);

/// `bytes` behind a fixed header of `size` bytes and its padding.
[[nodiscard]] Bytes after_header(Bytes bytes, std::size_t size);

/// A fixed header with attributes behind it, as the payload of a question.
class Payload {
 public:
  template <class T>
  explicit Payload(const T& header) {
    append(&header, sizeof header);
  }
  Payload& add(std::uint16_t type, std::uint32_t value);
  [[nodiscard]] Bytes bytes() const { return bytes_; }

 private:
  void append(const void* data, std::size_t size);
  std::vector<std::byte> bytes_;
};

/// One rtnetlink socket, in the network namespace that the thread was in when it was opened. Answers are waited for at
/// most two seconds. Thread rule: one thread at a time.
class Socket {
 public:
  using Handler = std::function<void(std::uint16_t type, Bytes payload)>;

  [[nodiscard]] static Result<Socket> open();

  /// Asks for all objects of a kind. A dump that the kernel marks as torn by a change is taken again; `handler` may
  /// then see an object twice, and `restart` is called before.
  [[nodiscard]] Result<void> dump(std::uint16_t type, const Payload& question, const std::function<void()>& restart,
                                  const Handler& handler);
  /// Asks for one object.
  [[nodiscard]] Result<void> get(std::uint16_t type, const Payload& question, const Handler& handler);

 private:
  struct Progress {
    bool done = false;  ///< the answer is complete
    bool torn = false;  ///< the kernel's tables changed while it was given
  };

  explicit Socket(FileDescriptor descriptor) : descriptor_(std::move(descriptor)), buffer_(64U << 10U) {}
  [[nodiscard]] Result<void> send(std::uint16_t type, std::uint16_t flags, const Payload& question);
  [[nodiscard]] Result<Progress> receive(bool is_dump, const Handler& handler);
  [[nodiscard]] Result<Progress> collect(bool is_dump, const Handler& handler);

  FileDescriptor descriptor_;
  std::vector<std::byte> buffer_;
  std::uint32_t sequence_ = 0;
};

}  // namespace pollux::pci::netlink
