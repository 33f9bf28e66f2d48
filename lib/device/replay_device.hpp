// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "device/record_format.hpp"
#include "device/record_rings.hpp"
#include "mem/context_state.hpp"

namespace pollux {

/// See replay_device.
class ReplayDevice final : public Device {
 public:
  ReplayDevice(std::shared_ptr<ContextState> context, std::string name, RecordReader reader, const CardLayout& layout,
               std::shared_ptr<ReplayProgress> progress);
  ~ReplayDevice() override;
  /// Attaches the memory map to the Context.
  [[nodiscard]] Result<void> prepare();

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override { return reader_.header().identity; }
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  [[nodiscard]] Result<Bar> bar(unsigned index) override;
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override;
  [[nodiscard]] Result<void> reset() override;
  [[nodiscard]] DmaDomain& dma_domain() override { return *memory_; }
  [[nodiscard]] unsigned interrupt_vectors() const override { return reader_.header().vectors; }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override;
  [[nodiscard]] bool removed() const override { return removed_.load(std::memory_order_acquire); }

 private:
  class Window final : public RemoteRegisters {
   public:
    Window(ReplayDevice& owner, unsigned bar) : owner_(owner), bar_(static_cast<std::uint8_t>(bar)) {}
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override { return owner_.read(bar_, offset, 4); }
    void write32(std::uint32_t offset, std::uint32_t value) noexcept override { owner_.write(bar_, offset, 4, value); }
    [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
      return owner_.read(bar_, offset, width);
    }
    void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
      owner_.write(bar_, offset, width, value);
    }
    void flush() noexcept override { owner_.flush(); }

   private:
    ReplayDevice& owner_;
    std::uint8_t bar_;
  };

  [[nodiscard]] std::uint32_t read(std::uint8_t bar, std::uint32_t offset, unsigned width) noexcept;
  void write(std::uint8_t bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept;
  void flush() noexcept;

  /// The recorded event that matches the driver's request. If none does: marks the card as removed, returns nullopt.
  [[nodiscard]] std::optional<RecordEvent> answer(const RecordEvent& request);
  [[nodiscard]] Result<RecordEvent> answer_call(const RecordEvent& request);
  /// Whether it accesses a 32-bit register of the window that the layout describes.
  [[nodiscard]] bool is_word(const RecordEvent& event) const noexcept;
  [[nodiscard]] std::optional<RingRegister> ring_register(const RecordEvent& event) const noexcept;
  [[nodiscard]] bool is_ring_base(const RecordEvent& request) const noexcept;
  [[nodiscard]] bool is_counter(const RecordEvent& event) const noexcept;
  [[nodiscard]] bool is_status(const RecordEvent& event) const noexcept;
  /// Whether `event` reads the same register as the previous request.
  [[nodiscard]] bool repeats_last_read(const RecordEvent& event) const noexcept;
  void skip_counters();
  [[nodiscard]] std::uint32_t read_status(std::uint32_t offset);
  /// Skips events that the driver need not repeat: polls, and reads of counters and status registers.
  void skip_optional_events();
  /// Consumes the event and applies all card events that follow it.
  void consume();
  void apply_card_event(const RecordEvent& event);
  void diverge(const RecordEvent& request);
  [[nodiscard]] std::string describe(const RecordEvent& event) const;
  [[nodiscard]] std::string describe_register(const RecordEvent& event) const;

  std::shared_ptr<ContextState> context_;
  std::string name_;
  std::mutex mutex_;
  RecordReader reader_;
  const CardLayout& layout_;
  std::shared_ptr<ReplayProgress> progress_;
  std::shared_ptr<MemoryMap> memory_ = std::make_shared<MemoryMap>();
  bool attached_ = false;
  std::atomic<bool> removed_{false};
  bool diverged_ = false;
  std::optional<RecordEvent> last_read_;
  std::uint32_t last_read_value_ = 0;
  std::uint32_t flushes_ = 0;                        // made by the driver since the last event
  std::vector<std::vector<DriverRing>> rings_;       // by kind
  std::map<std::uint32_t, std::uint32_t> statuses_;  // last recorded value, by offset
  std::map<std::uint32_t, std::uint32_t> counters_;  // sum of recorded values not read yet, by offset
  std::array<std::unique_ptr<Window>, 6> windows_;
  std::vector<FileDescriptor> events_;
  std::vector<int> event_fds_;
};

}  // namespace pollux
