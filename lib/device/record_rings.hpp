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

#include "pollux/device/record.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux {

/// A domain without a device, which knows where all memory is.
/// Thread rule: any thread.
class MemoryMap final : public DmaDomain {
 public:
  [[nodiscard]] std::string_view name() const override { return "record and replay"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

  /// Where `bytes` at `iova` are; nullptr if any of them is not mapped.
  [[nodiscard]] std::byte* at(std::uint64_t iova, std::size_t bytes) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, DmaSegment> segments_;
};

/// A descriptor, in any format that has its buffer's address in front when it is armed.
struct RawDescriptor {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  [[nodiscard]] bool operator==(const RawDescriptor&) const noexcept = default;
};
static_assert(sizeof(RawDescriptor) == 16);

/// A register of a ring, found by its offset.
struct RingRegister {
  enum class Role : std::uint8_t { base_low, base_high, length, tail, buffer };
  Role role = Role::tail;
  std::uint8_t kind = 0;  ///< index into CardLayout::rings
  std::uint16_t queue = 0;
};
[[nodiscard]] std::optional<RingRegister> find_ring_register(const CardLayout& layout, std::uint32_t offset) noexcept;

/// A ring as the driver knows it: what it wrote into the card's registers, and where its descriptors are.
class DriverRing {
 public:
  /// What the driver wrote anywhere but to the tail; a new base or length begins a new ring.
  void write(RingRegister::Role role, std::uint32_t value) noexcept;
  /// The driver writes the tail: `give` is called with each slot that goes to the card by that. Does nothing for a ring
  /// that is not there, or a tail that is not in it.
  template <class Give>
  void move_tail(const MemoryMap& memory, std::uint32_t most, std::uint32_t tail, Give give) {
    if (!find(memory, most) || tail >= descriptors_.size()) return;
    for (; tail_ != tail; tail_ = (tail_ + 1) % descriptors_.size()) {
      given_[tail_] = descriptors_[tail_];
      give(static_cast<std::uint16_t>(tail_));
    }
  }

  [[nodiscard]] bool is_ready() const noexcept { return !descriptors_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return descriptors_.size(); }
  /// `slot` as the driver armed it. Below size().
  [[nodiscard]] const RawDescriptor& given(std::uint16_t slot) const noexcept { return given_[slot]; }
  [[nodiscard]] RawDescriptor load(std::uint16_t slot) const noexcept;
  /// As a card writes back: the word with the status last.
  void store(std::uint16_t slot, const RawDescriptor& descriptor) noexcept;
  /// What the driver wrote to RingRegisters::buffer.
  [[nodiscard]] std::uint32_t buffer() const noexcept { return buffer_; }
  [[nodiscard]] std::uint32_t base(RingRegister::Role role) const noexcept {
    return role == RingRegister::Role::base_low ? base_low_ : base_high_;
  }

 private:
  [[nodiscard]] bool find(const MemoryMap& memory, std::uint32_t most);

  std::uint32_t base_low_ = 0;
  std::uint32_t base_high_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t buffer_ = 0;
  std::size_t tail_ = 0;
  std::span<RawDescriptor> descriptors_;  // empty until the ring is used
  std::vector<RawDescriptor> given_;
};

[[nodiscard]] RawDescriptor load_descriptor(const RawDescriptor& from) noexcept;
void store_descriptor(RawDescriptor& to, const RawDescriptor& descriptor) noexcept;

}  // namespace pollux
