// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "pollux/base/api.hpp"

/// What some ports can do and others cannot, without a place of its own in Port and PortDriver: an interface with a
/// stable id, which a driver either has or has not.
namespace pollux {

class PortCore;

/// The mutex of a port's control calls, taken.
[[nodiscard]] POLLUX_API std::unique_lock<std::mutex> lock_port(PortCore& core);

using CapabilityId = std::uint64_t;

/// The id of a name, by the FNV-1a hash (draft-eastlake-fnv, 64 bits). The name has a version in it: an interface that
/// changes gets a new one.
[[nodiscard]] constexpr CapabilityId capability_id(std::string_view name) noexcept {
  CapabilityId hash = 0xCBF2'9CE4'8422'2325;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100'0000'01B3;
  return hash;
}

/// A port's capability, or its absence:
///
///     if (const auto vlans = port.capability<VlanFilter>()) vlans->set_vlan(7, true);
///
/// A call through `->` holds the port's mutex until the end of its full expression, as other control calls do; so one
/// expression must not call the port, or a capability of it, twice.
/// Ownership: refers to the Port, which outlives it. Thread rule: any thread, as control calls.
template <class C>
class Capability {
 public:
  /// Absent.
  Capability() = default;
  Capability(std::shared_ptr<PortCore> core, C* target) noexcept : core_(std::move(core)), target_(target) {}

  [[nodiscard]] explicit operator bool() const noexcept { return target_ != nullptr; }

  /// One call, under the port's mutex.
  class Call {
   public:
    Call(std::unique_lock<std::mutex> lock, C* target) noexcept : lock_(std::move(lock)), target_(target) {}
    [[nodiscard]] C* operator->() const noexcept { return target_; }

   private:
    std::unique_lock<std::mutex> lock_;
    C* target_;
  };
  /// The capability must be there.
  [[nodiscard]] Call operator->() const { return Call(lock_port(*core_), target_); }

 private:
  std::shared_ptr<PortCore> core_;
  C* target_ = nullptr;
};

}  // namespace pollux
