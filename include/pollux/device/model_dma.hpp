// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"

namespace pollux {

/// Kinds of memory access by a model.
enum class ModelAccess : std::uint8_t {
  descriptor_read,      ///< one descriptor of a ring
  payload_read,         ///< bytes of a frame to transmit
  payload_write,        ///< bytes of a received frame
  receive_write_back,   ///< a whole receive descriptor
  transmit_write_back,  ///< the word of a transmit descriptor that has the done bit
  head_write_back,      ///< the head of a transmit queue, if head write-back is enabled
};

/// A write by a model before it is stored. `bytes` are valid only during the call that passes it.
struct ModelWrite {
  ModelAccess what = ModelAccess::payload_write;
  std::uint32_t queue = 0;
  std::uint64_t iova = 0;
  std::span<const std::byte> bytes;
};

class ModelDma;

/// Intercepts the memory accesses of a model, for tests and fault injection. It can refuse accesses and change writes.
/// Thread rule: called on the thread that runs the model, one at a time, with the backend's lock held.
class POLLUX_API DmaInterceptor {
 public:
  DmaInterceptor() = default;
  DmaInterceptor(const DmaInterceptor&) = delete;
  DmaInterceptor& operator=(const DmaInterceptor&) = delete;
  virtual ~DmaInterceptor() = default;
  /// Called before each access. If it returns false, the access is refused and counted as one to unmapped memory.
  [[nodiscard]] virtual bool allow(ModelAccess /*what*/, std::uint32_t /*queue*/, std::uint64_t /*iova*/,
                                   std::size_t /*length*/) noexcept {
    return true;
  }
  /// Called instead of each allowed write; for a payload that spans mappings, once for each part. It may store this
  /// write, a part of it, another one or none with `memory.store`. It may also copy the bytes and store them later, as
  /// long as the model's DMA is enabled.
  virtual void write(ModelDma& memory, const ModelWrite& write) noexcept;
  /// Called with the model's new time, before the model processes its own events. Store delayed writes here.
  virtual void advance(ModelDma& /*memory*/, Duration /*now*/) noexcept {}
};

/// A model's access to memory. It reaches only what a DMA domain has mapped. The implementation rejects, counts and
/// reports every other access.
class POLLUX_API ModelDma {
 public:
  ModelDma() = default;
  ModelDma(const ModelDma&) = delete;
  ModelDma& operator=(const ModelDma&) = delete;
  virtual ~ModelDma() = default;
  /// The address in this process of `length` bytes at `iova`; nullptr if the model may not read and write all of them,
  /// or if they span mappings.
  [[nodiscard]] virtual std::byte* translate(std::uint64_t iova, std::size_t length) noexcept = 0;
  /// The same for reading only.
  [[nodiscard]] virtual const std::byte* translate_for_read(std::uint64_t iova, std::size_t length) noexcept {
    return translate(iova, length);
  }

  /// How many of the `length` bytes at `iova` `translate` may translate at once, 1 to `length`: fewer than `length` if
  /// the mapping that has the first one ends before. An access that spans adjacent mappings has to be split there.
  /// `length` if nothing is mapped at `iova`.
  [[nodiscard]] virtual std::size_t contiguous(std::uint64_t /*iova*/, std::size_t length) const noexcept {
    return length;
  }

  /// How long memory takes to answer a read. Reads of a model take no time, but a card may abandon slow ones.
  [[nodiscard]] virtual Duration read_latency() const noexcept { return Duration(0); }

  /// Stores a write. The bytes of a payload become visible in any order. A descriptor or head becomes visible after all
  /// earlier stores, in ascending order of its 8-byte words (or its only 4-byte word), each atomically. Returns false
  /// if the memory is not mapped.
  bool store(const ModelWrite& write) noexcept;

  /// Installs `interceptor`; nullptr removes it. It must stay valid until it is removed or the model no longer uses
  /// this memory. Call this only while the model is idle.
  void intercept(DmaInterceptor* interceptor) noexcept { interceptor_.store(interceptor, std::memory_order_release); }
  [[nodiscard]] DmaInterceptor* interceptor() const noexcept { return interceptor_.load(std::memory_order_acquire); }

 private:
  std::atomic<DmaInterceptor*> interceptor_{nullptr};
};

/// Copies `bytes` to `memory` in the order that ModelDma::store describes.
inline void store_as_card(std::byte* memory, ModelAccess what, std::span<const std::byte> bytes) noexcept {
  if (what == ModelAccess::payload_write) {
    std::memcpy(memory, bytes.data(), bytes.size());
  } else if (bytes.size() == sizeof(std::uint32_t)) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(memory), word, __ATOMIC_RELEASE);
  } else {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, sizeof word);
      __atomic_store_n(reinterpret_cast<std::uint64_t*>(memory + at), word, __ATOMIC_RELEASE);
    }
  }
}

inline bool ModelDma::store(const ModelWrite& write) noexcept {
  std::byte* const memory = translate(write.iova, write.bytes.size());
  if (memory == nullptr) return false;
  store_as_card(memory, write.what, write.bytes);
  return true;
}

inline void DmaInterceptor::write(ModelDma& memory, const ModelWrite& write) noexcept {
  static_cast<void>(memory.store(write));
}

}  // namespace pollux
