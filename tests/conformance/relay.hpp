// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <string>

namespace pollux::conformance {

/// Connects two `tap:` ports: it copies the suite's frames between the kernel's ends of the two TAP interfaces, with
/// packet sockets.
class Relay {
 public:
  /// The ports must be open. Throws.
  Relay(const std::string& left_uri, const std::string& right_uri);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  /// Copies all waiting frames.
  void run();

 private:
  std::array<int, 2> sockets_{-1, -1};
};

}  // namespace pollux::conformance
