// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "net/queue_event.hpp"
#include "netlink/socket.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"

namespace pollux::xdp {

/// Of an interface, in the whole system.
struct InterfaceId {
  std::uint64_t network = 0;  ///< its network namespace; 0 before Linux 5.14, which does not say
  unsigned index = 0;
  [[nodiscard]] auto operator<=>(const InterfaceId&) const = default;
};

/// What an interface keeps.
struct InterfaceFacts {
  InterfaceId id;
  MacAddress mac{};
  std::string driver;        ///< the kernel's, such as "veth"; empty if it does not say
  std::uint16_t queues = 1;  ///< pairs
};

/// What may change.
struct InterfaceState {
  bool exists = true;  ///< false once it was deleted or moved to another network namespace
  bool is_up = false;
  Link link;
  std::uint32_t mtu = 0;
  bool is_known = true;  ///< false: this is how it was when somebody last knew
};

/// An interface of the kernel, which stays as it is: this class only reads.
class Interface {
 public:
  /// Errors: invalid_argument (the name), not_found, not_supported (not an Ethernet interface), io_error.
  [[nodiscard]] static Result<Interface> find(std::string_view name);
  /// One of another network namespace, where `ask` knows about it. Any thread calls it.
  Interface(std::string name, InterfaceFacts facts, std::function<InterfaceState()> ask)
      : name_(std::move(name)), facts_(std::move(facts)), ask_(std::move(ask)) {}

  /// As it was found: it may have been renamed since.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const InterfaceFacts& facts() const noexcept { return facts_; }
  [[nodiscard]] unsigned index() const noexcept { return facts_.id.index; }
  [[nodiscard]] InterfaceId id() const noexcept { return facts_.id; }
  [[nodiscard]] const MacAddress& mac() const noexcept { return facts_.mac; }
  [[nodiscard]] const std::string& driver() const noexcept { return facts_.driver; }
  [[nodiscard]] std::uint16_t queues() const noexcept { return facts_.queues; }
  [[nodiscard]] InterfaceState state() const;
  [[nodiscard]] Result<std::uint32_t> mtu() const;
  [[nodiscard]] Link link() const;
  /// Whether it is set up; without a link then if its other end is not.
  [[nodiscard]] bool is_up() const;
  [[nodiscard]] bool exists() const;

 private:
  Interface(std::string name, FileDescriptor control) : name_(std::move(name)), control_(std::move(control)) {}
  void read_network();
  void read_driver();
  [[nodiscard]] std::string present_name() const;
  [[nodiscard]] std::uint32_t speed() const;
  [[nodiscard]] bool has_carrier(const std::string& name, bool is_running) const;

  std::string name_;
  InterfaceFacts facts_;
  FileDescriptor control_;  // a socket for ioctls, in the network namespace of the thread that opened the port
  std::unique_ptr<netlink::Socket> netlink_;  // in the same one
  std::function<InterfaceState()> ask_;       // instead of both
};

/// What the driver of an interface lets through besides its own address, while this object exists: the kernel undoes it
/// when the process dies. packet(7), PACKET_ADD_MEMBERSHIP.
class Membership {
 public:
  Membership() = default;
  /// `mac`: an address of the port.
  [[nodiscard]] static Result<Membership> join(const Interface& interface, const MacAddress& mac, bool promiscuous,
                                               bool all_multicast);

 private:
  FileDescriptor socket_;
};

/// Becomes readable when the interface is deleted or leaves the network namespace. A netlink socket: rtnetlink(7),
/// RTM_DELLINK, which a bridge sends, too, for an interface that leaves it. Or what a helper sends (HelperSession).
class DeletionEvents {
 public:
  [[nodiscard]] static Result<DeletionEvents> subscribe(const Interface& interface);
  /// By a socket that does not block.
  explicit DeletionEvents(FileDescriptor socket) : socket_(std::move(socket)) {}
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  /// Reads all events. Returns whether there were any.
  bool clear() const noexcept;

 private:
  FileDescriptor socket_;
};

/// Wakes all that sleep on an interface's queues when it is deleted: the kernel does not wake those that sleep on a
/// socket of it. Thread rule: `check` and `is_deleted` may be called from any thread.
class DeletionNotifier {
 public:
  /// `exists`: whether the interface does.
  DeletionNotifier(std::function<bool()> exists, DeletionEvents events)
      : exists_(std::move(exists)), events_(std::move(events)) {}

  /// Readable when it is time to `check`.
  [[nodiscard]] int descriptor() const noexcept { return events_.descriptor(); }
  void add(std::shared_ptr<QueueEvent> sleeper) { sleepers_.push_back(std::move(sleeper)); }
  void check() noexcept;
  [[nodiscard]] bool is_deleted() const noexcept { return deleted_.load(std::memory_order_relaxed); }

 private:
  std::function<bool()> exists_;
  DeletionEvents events_;
  std::vector<std::shared_ptr<QueueEvent>> sleepers_;
  std::atomic<bool> deleted_{false};
};

}  // namespace pollux::xdp
