// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "device/decorator.hpp"
#include "device/record_format.hpp"
#include "device/record_rings.hpp"
#include "mem/context_state.hpp"

namespace pollux {

/// One queue's ring as the card knows it, in the recorder's memory.
class CardRing {
 public:
  CardRing(std::span<RawDescriptor> memory, std::uint64_t iova) : memory_(memory), iova_(iova) {}

  [[nodiscard]] std::uint64_t iova() const noexcept { return iova_; }
  /// A new ring: the card has nothing of it.
  void clear() noexcept;
  /// The card gets `slot` as the driver armed it.
  void give(std::uint16_t slot, const RawDescriptor& armed) noexcept;
  /// Calls `changed` with each slot that the card changed since, and what it wrote.
  template <class Changed>
  void look(std::size_t size, Changed changed) {
    for (std::size_t slot = 0; slot < size; ++slot) {
      const RawDescriptor now = load_descriptor(memory_[slot]);
      if (now == seen_[slot]) continue;
      seen_[slot] = now;
      changed(static_cast<std::uint16_t>(slot), now);
    }
  }
  /// What the driver's slot holds as long as the driver has not taken it back.
  [[nodiscard]] RawDescriptor& shown(std::uint16_t slot) noexcept { return shown_[slot]; }

 private:
  std::span<RawDescriptor> memory_;
  std::uint64_t iova_;
  std::vector<RawDescriptor> seen_ = std::vector<RawDescriptor>(memory_.size());
  std::vector<RawDescriptor> shown_ = std::vector<RawDescriptor>(memory_.size());
};

/// See record_device.
class RecordDevice final : public DeviceDecorator {
 public:
  RecordDevice(std::shared_ptr<ContextState> context, std::unique_ptr<Device> inner, const CardLayout& layout,
               RecordWriter writer);
  ~RecordDevice() override;
  /// Gets the rings' memory and finds out where all other memory is.
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

  [[nodiscard]] std::uint32_t read_register(unsigned bar, std::uint32_t offset) noexcept override;
  void write_register(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override;
  void flush_registers(unsigned bar) noexcept override;

  [[nodiscard]] Queue& queue_of(const RingRegister& which) noexcept;
  [[nodiscard]] std::optional<RingRegister> ring_register(unsigned bar, std::uint32_t offset) const noexcept;
  /// What the card is to be told instead of what the driver writes.
  [[nodiscard]] std::uint32_t write_ring(const RingRegister& which, std::uint32_t value) noexcept;
  /// Writes an event down, and before it the flushes since the last one.
  void add(const RecordEvent& event) noexcept;
  /// Shows the driver what the card has done, and writes it down.
  void bring_news() noexcept;
  void show(std::uint8_t kind, std::uint16_t number, Queue& queue, std::uint16_t slot,
            const RawDescriptor& now) noexcept;
  void look_at_interrupts() noexcept;

  std::shared_ptr<ContextState> context_;
  const CardLayout& layout_;
  std::mutex mutex_;
  RecordWriter writer_;
  bool complained_ = false;
  std::uint32_t flushes_ = 0;  // not written down yet
  std::shared_ptr<MemoryMap> memory_ = std::make_shared<MemoryMap>();
  bool attached_ = false;
  DmaMemory ring_memory_;
  std::vector<std::vector<Queue>> queues_;  // by kind of ring
  std::vector<int> events_;                 // of enabled vectors
  std::vector<bool> raised_;                // as of the last look
  bool removed_ = false;
};

}  // namespace pollux
