// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

/// Record and replay. A recorded Device stands between a driver and its card and writes down, in order, each register
/// access, each descriptor that the card wrote back with the frame in its buffer, and each interrupt. A replayed Device
/// gives a driver the same again without any card; a driver that does something else is told so.
///
/// The card works on rings of the recorder's own, which copies descriptors to the card when the driver writes a tail
/// register, and back to the driver when it accesses any register or polls in vain. So the driver sees nothing that is
/// not in the file yet, whatever the card does meanwhile. Frames stay where they are: only descriptors are copied.
namespace pollux {

/// Registers of a card's rings, as arrays of one for each queue. Descriptors are 16 bytes, and the first 8 of an armed
/// one are its buffer's address.
struct RingRegisters {
  bool receive = false;
  std::uint32_t base_low = 0;  ///< offsets of queue 0's, in bytes
  std::uint32_t base_high = 0;
  std::uint32_t length = 0;  ///< in bytes of ring
  std::uint32_t tail = 0;
  std::uint32_t buffer = 0;  ///< says how large receive buffers are; 0 where there is none
  std::uint32_t stride = 0;  ///< bytes from one queue's to the next one's
  std::uint32_t queues = 0;
};

/// What record and replay have to know of a kind of card.
struct CardLayout {
  unsigned bar = 0;  ///< of the registers
  std::span<const RingRegisters> rings;
  std::uint32_t most_descriptors = 4096;  ///< in a ring
  /// Bytes that the card may write into a buffer, by the value of RingRegisters::buffer.
  std::uint32_t (*buffer_bytes)(std::uint32_t value) noexcept = nullptr;
  /// Bytes that a written-back receive descriptor says are in its buffer; 0 while it is not done.
  std::uint32_t (*payload)(std::uint64_t low, std::uint64_t high) noexcept = nullptr;
  /// Whether the register is a counter that reading clears. A replay answers such reads with the sum of what was
  /// recorded, so statistics may be asked for at other times.
  bool (*is_counter)(std::uint32_t offset) noexcept = nullptr;
  /// Whether reading the register changes nothing and drivers do so at any time, to see whether the card is there and
  /// its link up. A replay answers such reads with what was recorded last, if they come at another time.
  bool (*is_status)(std::uint32_t offset) noexcept = nullptr;
  /// Its name for a message.
  std::string (*name)(std::uint32_t offset) = nullptr;
};

/// Passes everything on to `inner` and writes it to `file`, which is replaced if it exists. It is complete when the
/// Device goes away; what a crashed process leaves can be replayed, too. A full disk ends the recording with a logged
/// error, and the Device goes on.
/// `layout` and what it refers to outlive the Device. Thread rule: that of Device.
/// Errors: io_error and permission_denied (the file), no_memory (the rings).
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> record_device(Context& context, const std::string& file,
                                                                       const CardLayout& layout,
                                                                       std::unique_ptr<Device> inner);

/// How far a replay has come. Thread rule: any thread.
class POLLUX_API ReplayProgress {
 public:
  /// What the driver did that the recorded one did not; empty as long as it did the same.
  [[nodiscard]] std::string divergence() const {
    const std::lock_guard lock(mutex_);
    return divergence_;
  }
  [[nodiscard]] bool at_end() const noexcept { return at_end_.load(std::memory_order_acquire); }

 private:
  friend class ReplayDevice;
  mutable std::mutex mutex_;
  std::string divergence_;
  std::atomic<bool> at_end_{false};
};

/// The layout for a card; nullptr for an unknown one.
using FindLayout = std::function<const CardLayout*(const PciIdentity& card)>;

/// The card of a recording. A driver that does anything else than the recorded one finds it removed from then on; the
/// first difference is logged as an error, with the access that was expected. What may differ, since it depends on
/// time: how often a register is read in a row, how often the driver polls, and when it looks at counters and status.
/// Errors: not_found, permission_denied, io_error (the file), invalid_argument (no recording, of another version,
/// damaged), not_supported (a card that `find` does not know).
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> replay_device(
    Context& context, const std::string& file, const FindLayout& find,
    std::shared_ptr<ReplayProgress> progress = nullptr);

}  // namespace pollux
