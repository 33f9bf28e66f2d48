// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/io.hpp"

namespace pollux {

/// Registers that are accessed by function calls: those of an in-process card, or of an emulator in another process.
/// Writes may be posted (queued). A read executes after every earlier write. `flush` sends all queued writes.
class POLLUX_API RemoteRegisters {
 public:
  RemoteRegisters() = default;
  RemoteRegisters(const RemoteRegisters&) = delete;
  RemoteRegisters& operator=(const RemoteRegisters&) = delete;
  virtual ~RemoteRegisters() = default;
  [[nodiscard]] virtual std::uint32_t read32(std::uint32_t offset) noexcept = 0;
  virtual void write32(std::uint32_t offset, std::uint32_t value) noexcept = 0;
  virtual void flush() noexcept = 0;
};

/// The register window of one PCI base address register: mapped memory, or a RemoteRegisters object.
/// A value type; copies refer to the same window.
/// Ownership: the Device owns the mapping and must outlive the Bar.
/// Thread rule: several threads may access different registers of a mapped window. A remote window belongs to one
/// thread at a time unless its backend says otherwise.
class POLLUX_API Bar {
 public:
  Bar() = default;
  Bar(volatile std::uint8_t* base, std::size_t size) noexcept : base_(base), size_(size) {}
  Bar(RemoteRegisters& remote, std::size_t size) noexcept : remote_(&remote), size_(size) {}

  /// `offset` is in bytes, 4-byte aligned and below `size()`. The caller must ensure this; it is not checked.
  /// Returns all ones if the card has been removed.
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const noexcept {
    if (base_ != nullptr) [[likely]]
      return io::read32(base_ + offset);
    return remote_->read32(offset);
  }
  /// All stores to DMA memory before the call are visible to the card when it sees this write.
  void write32(std::uint32_t offset, std::uint32_t value) const noexcept {
    if (base_ != nullptr) [[likely]]
      return io::write32_ordered(base_ + offset, value);
    remote_->write32(offset, value);
  }
  /// Sends the queued writes of a remote window. Does nothing for a mapped window: there, a read of any register
  /// flushes posted writes.
  void flush() const noexcept {
    if (remote_ != nullptr) remote_->flush();
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] explicit operator bool() const noexcept { return base_ != nullptr || remote_ != nullptr; }
  /// The mapped address of a register, or nullptr for a remote window.
  [[nodiscard]] volatile std::uint32_t* mapped(std::uint32_t offset) const noexcept {
    return base_ != nullptr ? reinterpret_cast<volatile std::uint32_t*>(base_ + offset) : nullptr;
  }
  [[nodiscard]] RemoteRegisters* remote() const noexcept { return remote_; }

 private:
  volatile std::uint8_t* base_ = nullptr;
  RemoteRegisters* remote_ = nullptr;
  std::size_t size_ = 0;
};

/// The tail register of a queue. It is written once per burst and never read.
class POLLUX_API Doorbell {
 public:
  Doorbell() = default;
  Doorbell(const Bar& bar, std::uint32_t offset) noexcept
      : mapped_(bar.mapped(offset)), remote_(bar.remote()), offset_(offset) {}

  /// Writes `value`. All stores to DMA memory before the call are visible to the card when it sees this write.
  void ring(std::uint32_t value) const noexcept {
    if (mapped_ != nullptr) [[likely]]
      return io::write32_ordered(mapped_, value);
    remote_->write32(offset_, value);
  }
  /// As `ring`. Precondition: `is_mapped()`.
  void ring_mapped(std::uint32_t value) const noexcept { io::write32_ordered(mapped_, value); }
  void flush() const noexcept {
    if (remote_ != nullptr) [[unlikely]]
      remote_->flush();
  }
  [[nodiscard]] bool is_mapped() const noexcept { return mapped_ != nullptr; }
  [[nodiscard]] bool is_remote() const noexcept { return remote_ != nullptr; }

 private:
  volatile std::uint32_t* mapped_ = nullptr;
  RemoteRegisters* remote_ = nullptr;
  std::uint32_t offset_ = 0;
};

}  // namespace pollux
