// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/io.hpp"

namespace pollux {

/// Registers that are reached by calls: an in-process card, or an emulator in another process.
/// Writes may be posted (queued); a read happens after every earlier write, and `flush` sends what is queued.
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

/// One base address register's window: mapped memory, or remote functions. A value; copies refer to the same window.
/// Ownership: the Device it came from owns the mapping and outlives it.
/// Thread rule: different registers may be accessed from different threads when mapped; a remote window belongs to one
/// thread at a time unless its backend says otherwise.
class POLLUX_API Bar {
 public:
  Bar() = default;
  Bar(volatile std::uint8_t* base, std::size_t size) noexcept : base_(base), size_(size) {}
  Bar(RemoteRegisters& remote, std::size_t size) noexcept : remote_(&remote), size_(size) {}

  /// `offset` in bytes, 4-byte aligned, below `size()`: the caller's duty, since register tables are constants.
  /// A card that is gone answers all ones.
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const noexcept {
    if (base_ != nullptr) [[likely]]
      return io::read32(base_ + offset);
    return remote_->read32(offset);
  }
  /// Everything stored to DMA memory before the call is visible to the card when it sees the write.
  void write32(std::uint32_t offset, std::uint32_t value) const noexcept {
    if (base_ != nullptr) [[likely]]
      return io::write32_ordered(base_ + offset, value);
    remote_->write32(offset, value);
  }
  /// Sends posted writes on their way. Does nothing for a mapped window (reading any register flushes those).
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

/// A register that is written once a burst and never read: a queue's tail.
class POLLUX_API Doorbell {
 public:
  Doorbell() = default;
  Doorbell(const Bar& bar, std::uint32_t offset) noexcept
      : mapped_(bar.mapped(offset)), remote_(bar.remote()), offset_(offset) {}

  /// Publishes `value` after everything stored to DMA memory before the call.
  void ring(std::uint32_t value) const noexcept {
    if (mapped_ != nullptr) [[likely]]
      return io::write32_ordered(mapped_, value);
    remote_->write32(offset_, value);
  }
  /// The same for a caller that knows the register to be mapped.
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
