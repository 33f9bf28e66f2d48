// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/io.hpp"

namespace pollux {

/// The offset of the 32-bit word that contains the byte at `offset`.
[[nodiscard]] constexpr std::uint32_t word_of(std::uint32_t offset) noexcept { return offset & ~std::uint32_t{3}; }
/// The `width` bytes at `offset` of that word. `width` is 1, 2 or 4, and `offset` is a multiple of it.
[[nodiscard]] constexpr std::uint32_t part_of_word(std::uint32_t word, std::uint32_t offset, unsigned width) noexcept {
  return width >= 4 ? word : word >> (8 * (offset & 3)) & ((std::uint32_t{1} << 8 * width) - 1);
}

/// Registers that are accessed by function calls: those of an in-process card, or of an emulator in another process.
/// Writes may be posted (queued). A read executes after every earlier write. `flush` sends all queued writes.
class POLLUX_API RemoteRegisters {
 public:
  RemoteRegisters() = default;
  RemoteRegisters(const RemoteRegisters&) = delete;
  RemoteRegisters& operator=(const RemoteRegisters&) = delete;
  virtual ~RemoteRegisters() = default;
  /// A 32-bit access at `offset`, in bytes, a multiple of 4. A read of a removed card returns all ones.
  ///@{
  [[nodiscard]] virtual std::uint32_t read32(std::uint32_t offset) noexcept = 0;
  virtual void write32(std::uint32_t offset, std::uint32_t value) noexcept = 0;
  ///@}
  /// An access of `width` bytes, 1 or 2, at a multiple of `width`. Values have no bits above the width.
  /// The default is for windows that have only 32-bit registers: a read accesses the aligned word and returns
  /// the requested part; a write has no effect.
  [[nodiscard]] virtual std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept {
    return part_of_word(read32(word_of(offset)), offset, width);
  }
  /// As `read_narrow`.
  virtual void write_narrow(std::uint32_t /*offset*/, unsigned /*width*/, std::uint32_t /*value*/) noexcept {}
  /// Sends all queued writes, and returns without waiting for their effect.
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
  /// A mapped window: `base` is the address of its first register, `size` is in bytes. The mapping outlives all copies.
  Bar(volatile std::uint8_t* base, std::size_t size) noexcept : base_(base), size_(size) {}
  /// A window of function calls; `remote` outlives all copies. `size` is in bytes.
  Bar(RemoteRegisters& remote, std::size_t size) noexcept : remote_(&remote), size_(size) {}

  /// `offset` is in bytes, a multiple of the width of the access and below `size()`. The caller must ensure this; it is
  /// not checked. Reads return all ones if the card has been removed.
  ///@{
  [[nodiscard]] std::uint8_t read8(std::uint32_t offset) const noexcept { return load<std::uint8_t>(offset); }
  [[nodiscard]] std::uint16_t read16(std::uint32_t offset) const noexcept { return load<std::uint16_t>(offset); }
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const noexcept { return load<std::uint32_t>(offset); }
  ///@}
  /// All stores to DMA memory before the call are visible to the card when it sees this write.
  ///@{
  void write8(std::uint32_t offset, std::uint8_t value) const noexcept { store(offset, value); }
  void write16(std::uint32_t offset, std::uint16_t value) const noexcept { store(offset, value); }
  void write32(std::uint32_t offset, std::uint32_t value) const noexcept { store(offset, value); }
  ///@}
  /// The same, with the width as a parameter: 1, 2 or 4 bytes. Values have no bits above the width.
  ///@{
  [[nodiscard]] std::uint32_t read(std::uint32_t offset, unsigned width) const noexcept {
    if (width == 4) return read32(offset);
    return width == 2 ? read16(offset) : read8(offset);
  }
  void write(std::uint32_t offset, unsigned width, std::uint32_t value) const noexcept {
    if (width == 4) return write32(offset, value);
    width == 2 ? write16(offset, static_cast<std::uint16_t>(value)) : write8(offset, static_cast<std::uint8_t>(value));
  }
  ///@}
  /// Sends the queued writes of a remote window. Does nothing for a mapped window: there, a read of any register
  /// flushes posted writes.
  void flush() const noexcept {
    if (remote_ != nullptr) remote_->flush();
  }

  /// Bytes of the window; 0 if there is none.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Whether there is a window: not for a default-constructed Bar.
  [[nodiscard]] explicit operator bool() const noexcept { return base_ != nullptr || remote_ != nullptr; }
  /// The mapped address of a register, or nullptr for a remote window.
  [[nodiscard]] volatile std::uint32_t* mapped(std::uint32_t offset) const noexcept {
    return base_ != nullptr ? reinterpret_cast<volatile std::uint32_t*>(base_ + offset) : nullptr;
  }
  /// The object behind a remote window; nullptr for a mapped one. The backend owns it.
  [[nodiscard]] RemoteRegisters* remote() const noexcept { return remote_; }

 private:
  template <class Word>
  [[nodiscard]] Word load(std::uint32_t offset) const noexcept {
    if (base_ != nullptr) [[likely]]
      return io::read<Word>(base_ + offset);
    if constexpr (sizeof(Word) == 4) return remote_->read32(offset);
    return static_cast<Word>(remote_->read_narrow(offset, sizeof(Word)));
  }
  template <class Word>
  void store(std::uint32_t offset, Word value) const noexcept {
    if (base_ != nullptr) [[likely]]
      return io::write_ordered(base_ + offset, value);
    if constexpr (sizeof(Word) == 4) return remote_->write32(offset, value);
    remote_->write_narrow(offset, sizeof(Word), value);
  }

  volatile std::uint8_t* base_ = nullptr;
  RemoteRegisters* remote_ = nullptr;
  std::size_t size_ = 0;
};

/// The doorbell of a queue: a register of 16 or 32 bits, which is written once per burst and never read.
template <class Word>
class BasicDoorbell {
  static_assert(sizeof(Word) == 2 || sizeof(Word) == 4);

 public:
  BasicDoorbell() = default;
  /// `offset` in bytes, a multiple of the register's width. The window outlives all copies.
  BasicDoorbell(const Bar& bar, std::uint32_t offset) noexcept
      : mapped_(bar.mapped(offset)), remote_(bar.remote()), offset_(offset) {}

  /// Writes `value`. All stores to DMA memory before the call are visible to the card when it sees this write.
  void ring(Word value) const noexcept {
    if (mapped_ != nullptr) [[likely]]
      return ring_mapped(value);
    if constexpr (sizeof(Word) == 2) return remote_->write_narrow(offset_, 2, value);
    if constexpr (sizeof(Word) == 4) return remote_->write32(offset_, value);
  }
  /// As `ring`. Precondition: `is_mapped()`.
  void ring_mapped(Word value) const noexcept { io::write_ordered(mapped_, value); }
  /// Sends the queued writes of a remote window. Does nothing for a mapped one.
  void flush() const noexcept {
    if (remote_ != nullptr) [[unlikely]]
      remote_->flush();
  }
  /// Which kind of window it lies in; neither for a default-constructed one, which must not be rung.
  ///@{
  [[nodiscard]] bool is_mapped() const noexcept { return mapped_ != nullptr; }
  [[nodiscard]] bool is_remote() const noexcept { return remote_ != nullptr; }
  ///@}

 private:
  volatile void* mapped_ = nullptr;
  RemoteRegisters* remote_ = nullptr;
  std::uint32_t offset_ = 0;
};

/// One of 32 bits, as Intel's tail registers are.
using Doorbell = BasicDoorbell<std::uint32_t>;

}  // namespace pollux
