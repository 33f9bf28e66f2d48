// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "device/record_format.hpp"
#include "pollux/device/record.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux {

/// A DMA domain without a device. It maps IOVAs of the Context's memory to addresses in this process.
/// Thread rule: any thread.
class MemoryMap final : public DmaDomain {
 public:
  [[nodiscard]] std::string_view name() const override { return "record and replay"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

  /// The address of `bytes` bytes at `iova`; nullptr if any of them is not mapped.
  [[nodiscard]] std::byte* at(std::uint64_t iova, std::size_t bytes) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, DmaSegment> segments_;
};

/// Checks that descriptors have a size which recordings hold. Error invalid_argument.
[[nodiscard]] Result<void> check_layout(const CardLayout& layout);

/// Descriptors of one size in memory that a card and a driver share.
class DescriptorArray {
 public:
  DescriptorArray() = default;
  DescriptorArray(std::byte* memory, std::uint32_t descriptor_bytes) noexcept
      : words_(reinterpret_cast<std::uint64_t*>(memory)), count_(descriptor_bytes / sizeof(std::uint64_t)) {}

  /// The words of a descriptor.
  [[nodiscard]] std::uint8_t words() const noexcept { return static_cast<std::uint8_t>(count_); }
  /// Reads the word with the status, which is the last one, first.
  [[nodiscard]] RawDescriptor load(std::size_t slot) const noexcept;
  /// Stores a write-back in the card's order: the word with the status last.
  void store(std::size_t slot, const RawDescriptor& descriptor) noexcept;

 private:
  std::uint64_t* words_ = nullptr;
  std::size_t count_ = 0;
};

/// Identifies a register of a ring.
struct RingRegister {
  enum class Role : std::uint8_t { base_low, base_high, length, tail, buffer };
  Role role = Role::tail;
  std::uint8_t kind = 0;  ///< index into CardLayout::rings
  std::uint16_t queue = 0;

  [[nodiscard]] bool is_base() const noexcept { return role == Role::base_low || role == Role::base_high; }
};
[[nodiscard]] std::optional<RingRegister> find_ring_register(const CardLayout& layout, std::uint32_t offset) noexcept;

/// The driver's view of a ring: the values that it wrote to the ring's registers, and its descriptors.
class DriverRing {
 public:
  explicit DriverRing(std::uint32_t descriptor_bytes) noexcept : descriptor_bytes_(descriptor_bytes) {}

  /// The driver writes a ring register other than the tail. A new base or length starts a new ring.
  void write(RingRegister::Role role, std::uint32_t value) noexcept;
  /// The driver writes the tail. Calls `on_armed` with each slot that this passes to the card. Does nothing if the ring
  /// is not valid or the tail is out of range.
  template <class OnArmed>
  void move_tail(const MemoryMap& memory, std::uint32_t max_descriptors, std::uint32_t tail, OnArmed on_armed) {
    if (!locate(memory, max_descriptors) || tail >= size()) return;
    for (; tail_ != tail; tail_ = (tail_ + 1) % size()) {
      armed_[tail_] = descriptors_.load(tail_);
      on_armed(static_cast<std::uint16_t>(tail_));
    }
  }

  [[nodiscard]] bool is_ready() const noexcept { return !armed_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return armed_.size(); }
  /// The descriptor as the driver armed it. Precondition: `slot` is below size().
  [[nodiscard]] const RawDescriptor& armed(std::uint16_t slot) const noexcept { return armed_[slot]; }
  [[nodiscard]] DescriptorArray& descriptors() noexcept { return descriptors_; }
  /// The value that the driver wrote to the register RingRegisters::buffer.
  [[nodiscard]] std::uint32_t buffer() const noexcept { return buffer_; }
  [[nodiscard]] std::uint32_t base(RingRegister::Role role) const noexcept {
    return role == RingRegister::Role::base_low ? base_low_ : base_high_;
  }

 private:
  [[nodiscard]] bool locate(const MemoryMap& memory, std::uint32_t max_descriptors);

  std::uint32_t descriptor_bytes_;
  std::uint32_t base_low_ = 0;
  std::uint32_t base_high_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t buffer_ = 0;
  std::size_t tail_ = 0;
  DescriptorArray descriptors_;
  std::vector<RawDescriptor> armed_;  // empty until the ring is used
};

}  // namespace pollux
