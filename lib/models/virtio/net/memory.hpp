// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "pollux/device/device_model.hpp"

namespace pollux::models::virtio {

/// The device's access to memory. Every read and write goes through this class. It is inactive while bus mastering is
/// off.
class Memory {
 public:
  void connect(ModelDma* port) noexcept { port_ = port; }
  [[nodiscard]] bool active() const noexcept { return port_ != nullptr; }
  /// True if an interceptor is between device and memory. It may delay writes, so `advance` must be called.
  [[nodiscard]] bool intercepted() const noexcept { return active() && port_->interceptor() != nullptr; }
  void advance(Duration now) noexcept {
    if (intercepted()) port_->interceptor()->advance(*port_, now);
  }

  /// Copies memory, which may span mappings. False if an access is refused; what was copied before stays.
  [[nodiscard]] bool read(ModelAccess what, std::uint32_t queue, std::uint64_t iova, std::span<std::byte> to) noexcept {
    if (!allowed(what, queue, iova, to.size())) return false;
    for (std::size_t done = 0; done < to.size();) {
      const std::size_t part = next_part(iova + done, to.size() - done);
      const std::byte* const from = port_->translate_for_read(iova + done, part);
      if (from == nullptr) return false;
      std::memcpy(to.data() + done, from, part);
      done += part;
    }
    return true;
  }
  template <class T>
  [[nodiscard]] std::optional<T> read(std::uint32_t queue, std::uint64_t iova) noexcept {
    T value;
    if (!read(ModelAccess::descriptor_read, queue, iova, std::as_writable_bytes(std::span(&value, 1))))
      return std::nullopt;
    return value;
  }
  /// Reads a word that the driver publishes: what it wrote before is visible afterwards. `iova` is aligned.
  template <class Word = std::uint16_t>
  [[nodiscard]] std::optional<Word> acquire(std::uint32_t queue, std::uint64_t iova) noexcept {
    if (!allowed(ModelAccess::descriptor_read, queue, iova, sizeof(Word))) return std::nullopt;
    const std::byte* const from = port_->translate_for_read(iova, sizeof(Word));
    if (from == nullptr) return std::nullopt;
    return __atomic_load_n(reinterpret_cast<const Word*>(from), __ATOMIC_ACQUIRE);
  }

  /// Writes memory in the order of ModelDma::store. A payload may span mappings; words of 4 or 8 bytes are aligned.
  [[nodiscard]] bool write(ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                           std::span<const std::byte> bytes) noexcept {
    if (!allowed(what, queue, iova, bytes.size())) return false;
    for (std::size_t done = 0; done < bytes.size();) {
      const std::size_t part = next_part(iova + done, bytes.size() - done);
      std::byte* const to = port_->translate(iova + done, part);
      if (to == nullptr) return false;
      const auto piece = bytes.subspan(done, part);
      if (DmaInterceptor* const between = port_->interceptor(); between != nullptr) [[unlikely]] {
        between->write(*port_, {what, queue, iova + done, piece});
      } else {
        store_as_card(to, what, piece);
      }
      done += part;
    }
    return true;
  }
  /// Writes a word of 2 bytes, which ModelDma::store does not know, without an interceptor. `iova` is even.
  [[nodiscard]] bool store(std::uint32_t queue, std::uint64_t iova, std::uint16_t value) noexcept {
    if (!allowed(ModelAccess::head_write_back, queue, iova, sizeof value)) return false;
    std::byte* const to = port_->translate(iova, sizeof value);
    if (to != nullptr) __atomic_store_n(reinterpret_cast<std::uint16_t*>(to), value, __ATOMIC_RELEASE);
    return to != nullptr;
  }

 private:
  [[nodiscard]] bool allowed(ModelAccess what, std::uint32_t queue, std::uint64_t iova, std::size_t length) noexcept {
    if (port_ == nullptr || (length != 0 && length - 1 > ~iova)) return false;
    DmaInterceptor* const between = port_->interceptor();
    return between == nullptr || between->allow(what, queue, iova, length);
  }
  [[nodiscard]] std::size_t next_part(std::uint64_t iova, std::size_t left) const noexcept {
    return std::clamp<std::size_t>(port_->contiguous(iova, left), 1, left);
  }

  ModelDma* port_ = nullptr;
};

}  // namespace pollux::models::virtio
