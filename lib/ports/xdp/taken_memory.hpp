// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_xdp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/file_descriptor.hpp"
#include "net/handover/record.hpp"
#include "pollux/base/error.hpp"

namespace pollux::xdp {

/// Where a program's memory for frames lies in its file, for another one that maps it.
struct MemoryPlace {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  /// Of a buffer to send from: from its address to the data, and from there on.
  std::uint64_t data = 0;
  std::uint64_t room = 0;

  [[nodiscard]] handover::Json to_json() const;
  [[nodiscard]] static Result<MemoryPlace> read(const handover::Json& json);
};

/// The area of another program's sockets, mapped here: its mbufs are nothing but buffers of so many bytes, so it does
/// not matter how that program's version and pools lay them out. Only what the kernel returns is read, and only what
/// the program has given is written.
class TakenMemory {
 public:
  /// `name` is for messages. Errors: invalid_argument (it is no memory of such a size), no_memory.
  [[nodiscard]] static Result<std::shared_ptr<const TakenMemory>> map(const std::string& name, FileDescriptor file,
                                                                      const MemoryPlace& place);
  TakenMemory(const TakenMemory&) = delete;
  TakenMemory& operator=(const TakenMemory&) = delete;
  ~TakenMemory();

  [[nodiscard]] std::byte* first() const noexcept { return first_; }
  [[nodiscard]] const MemoryPlace& place() const noexcept { return place_; }
  [[nodiscard]] int file() const noexcept { return file_.get(); }
  /// A received frame, or a part of one. What the kernel says about it is trusted.
  [[nodiscard]] const std::uint8_t* data_of(const xdp_desc& piece) const noexcept {
    return reinterpret_cast<const std::uint8_t*>(first_) + (piece.addr & XSK_UNALIGNED_BUF_ADDR_MASK) +
           (piece.addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
  }
  /// Whether frames may be sent from there.
  [[nodiscard]] bool has_buffer(std::uint64_t address) const noexcept;

 private:
  TakenMemory(std::byte* first, FileDescriptor file, const MemoryPlace& place) noexcept
      : first_(first), file_(std::move(file)), place_(place) {}

  std::byte* first_;
  FileDescriptor file_;
  MemoryPlace place_;
};

}  // namespace pollux::xdp
