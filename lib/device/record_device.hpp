// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/file_descriptor.hpp"
#include "device/decorator.hpp"
#include "device/record_format.hpp"
#include "device/record_rings.hpp"
#include "mem/context_state.hpp"

namespace pollux {

/// The ring that the recorder gives to the card for one queue. It lies in the recorder's memory.
class CardRing {
 public:
  CardRing(DescriptorArray memory, std::size_t size, std::uint64_t iova)
      : memory_(memory), iova_(iova), last_seen_(size), driver_copy_(size) {}

  [[nodiscard]] std::uint64_t iova() const noexcept { return iova_; }
  /// Resets the ring: the card owns no descriptor.
  void clear() noexcept;
  /// Copies a descriptor that the driver armed to the card's ring.
  void arm(std::uint16_t slot, const RawDescriptor& armed) noexcept;
  /// Calls `on_change` with each slot that the card wrote since the last poll, and with its descriptor.
  template <class OnChange>
  void poll(std::size_t size, OnChange on_change) {
    for (std::size_t slot = 0; slot < size; ++slot) {
      const RawDescriptor now = memory_.load(slot);
      if (now == last_seen_[slot]) continue;
      last_seen_[slot] = now;
      on_change(static_cast<std::uint16_t>(slot), now);
    }
  }
  /// The descriptor that the driver's slot holds until the driver arms the slot again.
  [[nodiscard]] RawDescriptor& driver_copy(std::uint16_t slot) noexcept { return driver_copy_[slot]; }

 private:
  DescriptorArray memory_;
  std::uint64_t iova_;
  std::vector<RawDescriptor> last_seen_;
  std::vector<RawDescriptor> driver_copy_;
};

/// See record_device.
class RecordDevice final : public DeviceDecorator {
 public:
  RecordDevice(std::shared_ptr<ContextState> context, std::unique_ptr<Device> inner, const CardLayout& layout,
               RecordWriter writer);
  ~RecordDevice() override;
  /// Allocates the card's rings and attaches the map of all other memory.
  [[nodiscard]] Result<void> prepare();

  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override;
  [[nodiscard]] Result<void> reset() override;
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override;

 private:
  struct Queue {
    DriverRing driver;
    CardRing card;
  };

  [[nodiscard]] std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept override;
  void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override;
  void flush_registers(unsigned bar) noexcept override;

  [[nodiscard]] Queue& queue_of(const RingRegister& which) noexcept;
  [[nodiscard]] std::optional<RingRegister> ring_register(unsigned bar, std::uint32_t offset,
                                                          unsigned width) const noexcept;
  /// Handles a write to a ring register. Returns the value to write to the card instead of the driver's.
  [[nodiscard]] std::uint32_t write_ring(const RingRegister& which, std::uint32_t value) noexcept;
  /// Records the flushes since the last event, then `event`.
  void add(const RecordEvent& event) noexcept;
  /// Logs the first failure to write, once.
  void log_error() noexcept;
  /// Records all events of the card since the last poll, and copies its write-backs to the driver's rings.
  void poll_card() noexcept;
  void deliver(std::uint8_t kind, std::uint16_t number, Queue& queue, std::uint16_t slot,
               const RawDescriptor& now) noexcept;
  void watch_interrupts(std::span<const int> events) noexcept;
  void poll_interrupts() noexcept;

  std::shared_ptr<ContextState> context_;
  const CardLayout& layout_;
  std::mutex mutex_;
  RecordWriter writer_;
  bool error_logged_ = false;
  std::uint32_t flushes_ = 0;  // not recorded yet
  std::shared_ptr<MemoryMap> memory_ = std::make_shared<MemoryMap>();
  bool attached_ = false;
  DmaMemory ring_memory_;
  std::vector<std::vector<Queue>> queues_;  // by kind of ring
  FileDescriptor interrupts_;               // an epoll instance with the eventfds of the enabled vectors
  bool removed_ = false;
};

}  // namespace pollux
