// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::xdp {

/// Where the kernel runs an XDP program.
enum class Attach : std::uint8_t {
  native,   ///< in the driver
  generic,  ///< in the stack, for drivers without XDP; each frame has been copied to a socket buffer before
};

/// The XDP program of an interface: it gives each frame of a queue to the socket in the queue's slot of a map, and
/// frames of other queues to the kernel's stack. It is attached by a bpf_link, so the kernel detaches it when this
/// object is destroyed or the process dies. Linux, Documentation/bpf/map_xskmap.rst.
class Program {
 public:
  /// Loads the program with a map of `queues` slots. `name` is for messages. Errors: permission_denied, not_supported,
  /// io_error.
  [[nodiscard]] static Result<Program> load(const std::string& name, std::uint16_t queues);

  /// Attaches it. Returns 0 or errno.
  [[nodiscard]] int attach(unsigned interface, Attach where);
  /// Frames of `queue` go to `socket` from now on. Returns 0 or errno.
  [[nodiscard]] int redirect(std::uint16_t queue, int socket);

 private:
  Program(FileDescriptor map, FileDescriptor program) : map_(std::move(map)), program_(std::move(program)) {}

  FileDescriptor map_;
  FileDescriptor program_;
  FileDescriptor link_;
};

}  // namespace pollux::xdp
