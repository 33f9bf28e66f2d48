// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <string>

namespace pollux::conformance {

/// Carries the suite's frames between the kernel's ends of two TAP interfaces, by packet sockets, so that two `tap:`
/// ports are joined.
class Relay {
 public:
  /// The ports must be open. Throws.
  Relay(const std::string& left_uri, const std::string& right_uri);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  /// Carries all that waits.
  void run();

 private:
  std::array<int, 2> sockets_{-1, -1};
};

}  // namespace pollux::conformance
