// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// What another program needs of an open card to go on with it: the descriptors by name, and how they were opened.
struct DeviceRecord {
  std::string name;             ///< Device::name
  std::string access;           ///< the kind of access, in the backend's words
  std::uint32_t space = 0;      ///< number of the address space, where a descriptor has several
  std::vector<IovaRange> used;  ///< addresses that are mapped for the card
  bool ended = false;           ///< that program has ended without a word: ADR 25
  std::vector<std::pair<std::string, FileDescriptor>> files = {};

  /// Takes the descriptor of that name. Error invalid_argument: there is none.
  [[nodiscard]] Result<FileDescriptor> take(std::string_view wanted) {
    const auto found = std::ranges::find_if(files, [&](const auto& one) { return one.first == wanted && one.second; });
    if (found != files.end()) return std::move(found->second);
    return fail(ErrorCode::invalid_argument,
                name + ": the other program gives no descriptor '" + std::string(wanted) + "'",
                "start the new program without a handover, after the old one has ended");
  }
};

/// A Device that can go on in another program. From `describe` until one of both gives it up both have it open; it is
/// the drivers' task that only one of them uses it.
class DeviceHandover {
 public:
  struct Offer {
    std::string access;
    std::uint32_t space = 0;
    std::vector<std::pair<std::string, int>> descriptors = {};  ///< the Device's own
  };
  virtual ~DeviceHandover() = default;
  [[nodiscard]] virtual Offer describe() const = 0;
  /// Whether the Device was taken over from a program that has not given it up. It is as that program has it, and stays
  /// so if it is destroyed.
  [[nodiscard]] virtual bool is_shared() const noexcept = 0;
  /// The other program has given it up: it is this program's. Its events signal this program; of its vectors none is
  /// enabled.
  [[nodiscard]] virtual Result<void> own() = 0;
  /// The other program has ended, and the driver has made the card leave all memory alone: what that program mapped is
  /// unmapped, and the Context's memory is mapped. The card is this program's; `own` follows.
  [[nodiscard]] virtual Result<void> exchange_memory() = 0;
  /// The other program has it: the destructor leaves the card as it is.
  virtual void leave() noexcept = 0;
};

/// The devices that a Context takes over: a service of it. Thread rule: one thread at a time.
class TakenDevices {
 public:
  void add(DeviceRecord record) { records_.push_back(std::move(record)); }
  void clear() noexcept { records_.clear(); }
  void remove(std::string_view name) noexcept {
    std::erase_if(records_, [&](const DeviceRecord& one) { return one.name == name; });
  }
  /// nullptr: there is none of that name.
  [[nodiscard]] DeviceRecord* find(std::string_view name) noexcept {
    const auto found = std::ranges::find(records_, name, &DeviceRecord::name);
    return found == records_.end() ? nullptr : &*found;
  }

 private:
  std::vector<DeviceRecord> records_;
};

[[nodiscard]] inline TakenDevices& taken_devices(ContextState& context) {
  return *static_cast<TakenDevices*>(context.service_slot(
      typeid(TakenDevices), [] { return std::shared_ptr<void>(std::make_shared<TakenDevices>()); }));
}

}  // namespace pollux
