// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/handover/record.hpp"

namespace pollux::handover {

/// Who holds descriptors by name while programs come and go: `pollux keeper`, or systemd by its descriptor store. Both
/// take the same datagram (sd_pid_notify_with_fds(3)). What they hold comes back from a keeper at its socket, and from
/// systemd as descriptors that the process has from its start (sd_listen_fds_with_names(3)), once.
/// Thread rule: one thread at a time.
class Keeper {
 public:
  /// `where`: the path of a keeper's socket, or kSystemd: that of $NOTIFY_SOCKET.
  explicit Keeper(std::string where) : where_(std::move(where)) {}
  static constexpr std::string_view kSystemd = "systemd";

  /// What is held whose name begins with `prefix`; from now on it is this program's, until it ends. Errors: not_found
  /// (nobody listens), busy (a program that runs has them), permission_denied, io_error.
  [[nodiscard]] Result<std::vector<NamedDescriptor>> take(const std::string& prefix);
  /// In place of what has that name. Errors as above.
  [[nodiscard]] Result<void> store(const std::string& name, int descriptor) const;
  /// Nobody has to be there.
  void remove(const std::string& name) const noexcept;
  [[nodiscard]] const std::string& where() const noexcept { return where_; }

  /// A datagram. Errors as above.
  [[nodiscard]] Result<void> tell(const std::string& text, std::span<const int> descriptors) const;
  /// Sends a question, and returns the answer "held".
  [[nodiscard]] Result<Message> ask(const std::string& question) const;

 private:
  std::string where_;
};

}  // namespace pollux::handover
