// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <bit>
#include <concepts>
#include <cstdint>

/// Barriers and register accesses, named after what they order (Linux, Documentation/memory-barriers.txt, "Kernel I/O
/// barrier effects"). x86 keeps the order of stores to write-back memory and to uncached registers, so a compiler
/// barrier is enough. Arm needs an outer-shareable DMB; a C++ fence is weaker.
namespace pollux::io {

static_assert(std::endian::native == std::endian::little, "descriptors and registers are little-endian");

/// Orders earlier stores to DMA memory before a later register write (the doorbell, which tells the card of new
/// descriptors).
inline void io_wmb() noexcept {
#if defined(__aarch64__)
  __asm__ volatile("dmb oshst" ::: "memory");
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

/// Orders the read of a descriptor's done bit before later reads of data that the device wrote.
inline void dma_rmb() noexcept {
#if defined(__aarch64__)
  __asm__ volatile("dmb oshld" ::: "memory");
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

/// Reads 64 bits that a device may be writing. Later reads are not moved before this one.
[[nodiscard]] inline std::uint64_t load_acquire(const std::uint64_t& word) noexcept {
  const std::uint64_t value =
      __atomic_load_n(&word, __ATOMIC_ACQUIRE);  // acquire, since an in-process card may run on another thread
  dma_rmb();
  return value;
}

/// Reads a register of 8, 16 or 32 bits. `address` is a multiple of its size.
template <std::unsigned_integral Word>
[[nodiscard]] inline Word read(const volatile void* address) noexcept {
  return *static_cast<const volatile Word*>(address);
}

/// Writes a register of 8, 16 or 32 bits. It may overtake earlier stores to DMA memory; `write_ordered` does not.
template <std::unsigned_integral Word>
inline void write(volatile void* address, Word value) noexcept {
  *static_cast<volatile Word*>(address) = value;
}

/// Writes a register after all earlier stores to DMA memory.
template <std::unsigned_integral Word>
inline void write_ordered(volatile void* address, Word value) noexcept {
  io_wmb();
  write(address, value);
}

/// Tells the processor that the thread is busy waiting.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace pollux::io
