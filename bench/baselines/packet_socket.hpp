// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace baselines {

/// A packet socket of an interface. It bypasses the queueing disciplines, and does not receive its own frames.
class PacketSocket {
 public:
  /// `protocol` (<net/ethernet.h>) selects the received frames after bind(); 0 selects none.
  PacketSocket(const std::string& interface, std::uint16_t protocol);
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;
  ~PacketSocket();

  [[nodiscard]] int descriptor() const noexcept { return socket_; }

  /// Sets an option of SOL_PACKET. `what` names the option in the error message.
  template <class Value>
  void set(int option, const Value& value, const char* what) const {
    set(option, &value, sizeof value, what);
  }
  /// Enables sending and receiving.
  void bind() const;

  /// Prints what failed, the kernel's error and a remedy, and ends the program.
  [[noreturn]] void give_up(const char* what, const char* remedy) const;

 private:
  void set(int option, const void* value, std::size_t size, const char* what) const;

  std::string interface_;
  std::uint16_t protocol_;
  int socket_;
};

}  // namespace baselines
