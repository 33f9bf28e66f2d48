// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "environment.hpp"
#include "servers/vfio_user/server.hpp"

namespace pollux::tool {

/// Virtual functions of an in-process card whose physical function this process drives, exported by the vfio-user
/// protocol: each is a card of its own for a virtual machine.
class ExportedFunctions {
 public:
  /// The functions belong to cards of `environment.context`, which outlives the object.
  explicit ExportedFunctions(const Environment& environment);

  /// Exports functions of the card `port`, such as "sim:0", as each of `texts` says (see parse_function_socket).
  /// Errors: invalid_argument, not_supported (the card is not in this process), and those of the device and the socket.
  [[nodiscard]] Result<void> open(const std::string& port, const std::vector<std::string>& texts);
  [[nodiscard]] std::span<const std::unique_ptr<vfio_user::Server>> servers() const noexcept { return servers_; }

 private:
  [[nodiscard]] Result<void> open_one(const std::string& port, const std::string& text);

  const Environment& environment_;
  Context context_;  // without memory of its own: see vfio_user::Server::create
  std::vector<std::unique_ptr<vfio_user::Server>> servers_;
};

}  // namespace pollux::tool
