// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "pollux/base/api.hpp"

/// @file
/// Capabilities: optional features of a port. A capability is an interface with a stable id that a driver may
/// implement, so Port and PortDriver do not grow with each feature.

namespace pollux {

class PortCore;

/// Locks the mutex that a port's control calls share.
[[nodiscard]] POLLUX_API std::unique_lock<std::mutex> lock_port(PortCore& core);

/// What identifies a capability: the name that telemetry and tools show, and the version of its interface. An interface
/// that changes gets the next version.
struct CapabilityId {
  std::string_view name;      ///< a literal, such as "flow_control"
  std::uint32_t version = 1;  ///< of the interface, from 1 on

  friend bool operator==(const CapabilityId&, const CapabilityId&) = default;
};

/// A row of a driver's table of capabilities.
struct CapabilityEntry {
  CapabilityId id;            ///< what a program asks for
  void* interface = nullptr;  ///< the sub-object of type C with this id
};

/// The row of a driver that implements C: `offer<Nvm>(nvm_)`.
template <class C>
[[nodiscard]] CapabilityEntry offer(C& interface) noexcept {
  return {C::kId, &interface};
}

/// A reference to a capability of a port, or empty if the port does not have it:
///
///     if (const auto nvm = port.capability<Nvm>()) nvm->nvm_info();
///
/// A call through `->` holds the port's mutex until the end of the full expression. So one expression must not call the
/// port, or a capability of it, twice.
/// Ownership: refers to the Port, which outlives it.
/// Thread rule: any thread, as with control calls.
template <class C>
class Capability {
 public:
  /// Empty.
  Capability() = default;
  /// For Port::capability: `target` is what the driver implements; nullptr: the port lacks it.
  Capability(std::shared_ptr<PortCore> core, C* target) noexcept : core_(std::move(core)), target_(target) {}

  /// Whether the port has it.
  [[nodiscard]] explicit operator bool() const noexcept { return target_ != nullptr; }

  /// A call in progress, which holds the port's mutex.
  class Call {
   public:
    /// Made by Capability::operator->.
    ///@{
    Call(std::unique_lock<std::mutex> lock, C* target) noexcept : lock_(std::move(lock)), target_(target) {}
    [[nodiscard]] C* operator->() const noexcept { return target_; }
    ///@}

   private:
    std::unique_lock<std::mutex> lock_;
    C* target_;
  };
  /// Must not be empty.
  [[nodiscard]] Call operator->() const { return Call(lock_port(*core_), target_); }

 private:
  std::shared_ptr<PortCore> core_;
  C* target_ = nullptr;
};

}  // namespace pollux
