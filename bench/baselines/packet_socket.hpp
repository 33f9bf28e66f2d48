// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace baselines {

/// A packet socket of an interface. It sends past the queueing disciplines, and does not receive what it sends.
class PacketSocket {
 public:
  /// `protocol` as in <net/ethernet.h>: what it receives, once it is bound; 0 is nothing.
  PacketSocket(const std::string& interface, std::uint16_t protocol);
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;
  ~PacketSocket();

  [[nodiscard]] int descriptor() const noexcept { return socket_; }

  /// Sets an option of SOL_PACKET; `what` names it where the kernel refuses.
  template <class Value>
  void set(int option, const Value& value, const char* what) const {
    set(option, &value, sizeof value, what);
  }
  /// Frames come and go from here on.
  void bind() const;

  /// Ends the program: what failed, the kernel's reason, and what mends it.
  [[noreturn]] void give_up(const char* what, const char* remedy) const;

 private:
  void set(int option, const void* value, std::size_t size, const char* what) const;

  std::string interface_;
  std::uint16_t protocol_;
  int socket_;
};

}  // namespace baselines
