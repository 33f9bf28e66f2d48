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

/// @file
/// Record and replay of everything that passes between a driver and its card.
///
/// A recording Device writes each register access, each descriptor write-back with the frame in its buffer, and each
/// interrupt to a file, in order. A replaying Device repeats the recording to a driver without a card. It reports the
/// first difference between the driver and the recording.
///
/// The recorder gives the card rings of its own. When the driver writes a tail register, it copies armed descriptors to
/// the card's ring. When the driver accesses a register, other than to read a counter or a status, or polls a queue and
/// finds it empty, it copies write-backs to the driver's ring. So each write-back is in the file before the driver sees
/// it. Only descriptors are copied; frames stay in their buffers.

namespace pollux {

/// The registers of one kind of ring of a card: arrays with one element for each queue. The first 8 bytes of an armed
/// descriptor are the address of its buffer, the next 8 that of a buffer for headers (CardLayout::header); the last 8
/// bytes of a write-back say that it is done.
struct RingRegisters {
  bool receive = false;                ///< true: the card writes frames into the buffers
  std::uint32_t descriptor_bytes = 0;  ///< a multiple of 8, at most 64
  std::uint32_t base_low = 0;          ///< this and the following: offset of the register of queue 0, in bytes
  std::uint32_t base_high = 0;         ///< the upper 32 bits of the ring's IOVA
  std::uint32_t length = 0;            ///< the register has the length of the ring in bytes
  std::uint32_t tail = 0;              ///< the doorbell
  std::uint32_t buffer = 0;            ///< the register has the size of receive buffers; 0 if there is none
  std::uint32_t stride = 0;            ///< bytes from the register of one queue to that of the next
  std::uint32_t queues = 0;            ///< elements of each array
};

/// The properties of a card that record and replay need. All registers that it names have 32 bits. Accesses of another
/// width are recorded and replayed unchanged, and are never taken for accesses to these registers.
struct CardLayout {
  unsigned bar = 0;                      ///< the BAR with the registers
  std::span<const RingRegisters> rings;  ///< empty: only registers are recorded, and no DMA
  std::uint32_t max_descriptors = 4096;  ///< in a ring
  /// The number of bytes that the card may write into a buffer, from the value of the register RingRegisters::buffer.
  std::uint32_t (*buffer_bytes)(std::uint32_t value) noexcept = nullptr;
  /// The number of bytes in the buffer of a receive descriptor, as its write-back says; 0 if it is not done.
  std::uint32_t (*payload)(std::span<const std::uint64_t> write_back) noexcept = nullptr;
  /// As buffer_bytes, of the buffer for a frame's headers. Null for a card that writes a frame into one kind of
  /// buffers.
  std::uint32_t (*header_buffer_bytes)(std::uint32_t value) noexcept = nullptr;
  /// As payload, of the buffer for a frame's headers.
  std::uint32_t (*header)(std::span<const std::uint64_t> write_back) noexcept = nullptr;
  /// Whether the register is a clear-on-read counter. A replay returns the sum of the recorded values up to that point,
  /// so a driver may read statistics at other times than the recorded driver.
  bool (*is_counter)(std::uint32_t offset) noexcept = nullptr;
  /// Whether the register is a status register: reading it has no side effects, and a driver reads it at any time to
  /// check for removal and link. A replay returns the last recorded value, so a driver may read it at other times.
  bool (*is_status)(std::uint32_t offset) noexcept = nullptr;
  /// The name of a register, for messages.
  std::string (*name)(std::uint32_t offset) = nullptr;
};

/// Wraps `inner` in a device that records to `file`. An existing file is replaced. The recording is complete when the
/// Device is destroyed; the partial recording of a crashed process can also be replayed. A full disk ends the recording
/// with a logged error, and the Device continues to work.
/// `layout` and everything it refers to must outlive the Device. Thread rule: that of Device.
/// Errors: not_found, permission_denied, io_error, invalid_argument (not a regular file), busy (another recording is
/// written to the file), no_memory (the rings).
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> record_device(Context& context, const std::string& file,
                                                                       const CardLayout& layout,
                                                                       std::unique_ptr<Device> inner);

/// The progress of a replay. Thread rule: any thread.
class POLLUX_API ReplayProgress {
 public:
  /// Describes the first difference between the driver and the recording; empty if there is none so far.
  [[nodiscard]] std::string divergence() const {
    const std::lock_guard lock(mutex_);
    return divergence_;
  }
  /// Whether the driver has done all that was recorded.
  [[nodiscard]] bool at_end() const noexcept { return at_end_.load(std::memory_order_acquire); }

 private:
  friend class ReplayDevice;
  mutable std::mutex mutex_;
  std::string divergence_;
  std::atomic<bool> at_end_{false};
};

/// Returns the layout of a card; nullptr for an unknown card.
using FindLayout = std::function<const CardLayout*(const PciIdentity& card)>;

/// Opens a Device that replays a recording. If the driver does anything that the recorded driver did not, the card is
/// removed from then on; this difference is logged as an error, with the access that was expected. These may differ,
/// because they depend on time: how often the driver reads one register in a row, how often it polls, when it reads
/// counters and status registers, and how long it goes on: from where the recorded port was stopped until this one is,
/// doorbells have no effect.
/// The recording is read into memory; it may have up to 1 GiB. Errors: not_found, permission_denied, io_error (the
/// file), invalid_argument (not a regular file, not a recording, longer, of another version, or damaged),
/// not_supported (a card that `find` does not know).
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> replay_device(
    Context& context, const std::string& file, const FindLayout& find,
    std::shared_ptr<ReplayProgress> progress = nullptr);

}  // namespace pollux
