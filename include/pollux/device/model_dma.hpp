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

/// What a model wants of memory when it accesses it.
enum class ModelAccess : std::uint8_t {
  descriptor_read,      ///< one descriptor of a ring
  payload_read,         ///< a frame's bytes, to send them
  payload_write,        ///< a received frame's bytes
  receive_write_back,   ///< a receive descriptor, whole
  transmit_write_back,  ///< the part of a transmit descriptor that says done
  head_write_back,      ///< a transmit queue's head, where that is asked for instead
};

/// A write of a model's before it is made. `bytes` are valid during the call that hands it over.
struct ModelWrite {
  ModelAccess what = ModelAccess::payload_write;
  std::uint32_t queue = 0;
  std::uint64_t iova = 0;
  std::span<const std::byte> bytes;
};

class ModelDma;

/// Stands between a model and memory, for tests and faults: refuses accesses, and carries writes out as it likes.
/// Thread rule: called by whoever makes the model work, one thread at a time, with the backend's lock held.
class POLLUX_API DmaInterceptor {
 public:
  DmaInterceptor() = default;
  DmaInterceptor(const DmaInterceptor&) = delete;
  DmaInterceptor& operator=(const DmaInterceptor&) = delete;
  virtual ~DmaInterceptor() = default;
  /// Asked before each access. False refuses it as memory that is not mapped would, and it counts as that.
  [[nodiscard]] virtual bool allow(ModelAccess /*what*/, std::uint32_t /*queue*/, std::uint64_t /*iova*/,
                                   std::size_t /*length*/) noexcept {
    return true;
  }
  /// In place of a write that was allowed. `memory.store` carries out this one, a part of it, another one or none; a
  /// copy of the bytes can be stored later, as long as the model has its way to memory.
  virtual void write(ModelDma& memory, const ModelWrite& write) noexcept;
  /// Time as the model is told it, before the model does what is due: the moment for what was put off.
  virtual void advance(ModelDma& /*memory*/, Duration /*now*/) noexcept {}
};

/// How a model reaches memory: only what a DMA domain has mapped. A refused access is counted and reported by whoever
/// implements this, never carried out.
class POLLUX_API ModelDma {
 public:
  ModelDma() = default;
  ModelDma(const ModelDma&) = delete;
  ModelDma& operator=(const ModelDma&) = delete;
  virtual ~ModelDma() = default;
  /// The process's address of `length` bytes at `iova`, or nullptr if any of them is not mapped.
  [[nodiscard]] virtual std::byte* translate(std::uint64_t iova, std::size_t length) noexcept = 0;

  /// Carries a write out. Payload appears in any order; anything else in ascending order of its words of 8 bytes (or
  /// its only 4), each as a whole, and after everything that was stored before. False if it is not mapped.
  bool store(const ModelWrite& write) noexcept;

  /// Puts `interceptor`, which outlives the model's use of this memory or is taken out again with nullptr, between the
  /// model and memory. Call it while the model is at rest.
  void intercept(DmaInterceptor* interceptor) noexcept { interceptor_.store(interceptor, std::memory_order_release); }
  [[nodiscard]] DmaInterceptor* interceptor() const noexcept { return interceptor_.load(std::memory_order_acquire); }

 private:
  std::atomic<DmaInterceptor*> interceptor_{nullptr};
};

/// Copies `bytes` to `memory` as ModelDma::store says.
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
