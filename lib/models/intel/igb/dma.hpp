// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/limits.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::models::igb {

namespace hw = pollux::hw::igb;
namespace intel = pollux::hw::intel;

/// The card's access to memory. Every read and write goes through this class. It is inactive while bus mastering is off
/// or CTRL.GIO_MASTER_DISABLE is in effect.
class Dma {
 public:
  /// The longest read: the data of one transmit descriptor, whose length has 16 bits.
  static constexpr std::size_t kMaxRead = 0x10000;

  void connect(ModelDma* port) noexcept { port_ = port; }
  void set_master_enabled(bool enabled) noexcept { enabled_ = enabled; }
  [[nodiscard]] bool active() const noexcept { return port_ != nullptr && enabled_; }
  /// True if an interceptor is between card and memory. It may delay writes, so `advance` must be called.
  [[nodiscard]] bool intercepted() const noexcept { return active() && port_->interceptor() != nullptr; }
  void advance(Duration now) noexcept {
    if (!active()) return;
    if (DmaInterceptor* const between = port_->interceptor(); between != nullptr) between->advance(*port_, now);
  }

  /// The memory at `iova` for reading, or a copy of it if it spans mappings; valid until the next read. nullptr if the
  /// access is refused (counted) or abandoned (counted), or the card is not a bus master.
  [[nodiscard]] const std::byte* read(ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                                      std::size_t length) noexcept {
    if (active() && port_->read_latency() > completion_timeout_) {
      ++completion_timeouts_;
      return nullptr;
    }
    if (!allowed(what, queue, iova, length)) return nullptr;
    if (spans_mappings(what, iova, length)) [[unlikely]]
      return gather(iova, length);
    return counted(port_->translate_for_read(iova, length));
  }
  /// [I-M-COMPLETION] Sets how long the card waits for the data of a read. A slower read is abandoned and counted.
  void set_completion_timeout(Duration timeout) noexcept { completion_timeout_ = timeout; }
  [[nodiscard]] std::uint64_t completion_timeouts() const noexcept { return completion_timeouts_; }

  /// False if the access is refused (counted) or the card is not a bus master.
  bool write(ModelAccess what, std::uint32_t queue, std::uint64_t iova, std::span<const std::byte> bytes) noexcept {
    if (!allowed(what, queue, iova, bytes.size())) return false;
    if (spans_mappings(what, iova, bytes.size())) [[unlikely]]
      return scatter(what, queue, iova, bytes);
    std::byte* const memory = counted(port_->translate(iova, bytes.size()));
    if (memory == nullptr) return false;
    if (DmaInterceptor* const between = port_->interceptor(); between != nullptr) [[unlikely]] {
      between->write(*port_, {what, queue, iova, bytes});
    } else {
      store_as_card(memory, what, bytes);
    }
    return true;
  }
  /// Writes a whole receive descriptor: its low word first, then the word with the done bit.
  bool write_back(std::uint32_t queue, std::uint64_t iova, const intel::Descriptor& descriptor) noexcept {
    return write(ModelAccess::receive_write_back, queue, iova, std::as_bytes(std::span(&descriptor, 1)));
  }

  /// Copies a descriptor. A concurrent write by software is a race, as on hardware.
  [[nodiscard]] static intel::Descriptor load(const std::byte* memory) noexcept {
    intel::Descriptor descriptor;
    std::memcpy(&descriptor, memory, sizeof descriptor);
    return descriptor;
  }

  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  [[nodiscard]] bool allowed(ModelAccess what, std::uint32_t queue, std::uint64_t iova, std::size_t length) noexcept {
    if (!active()) return false;
    DmaInterceptor* const between = port_->interceptor();
    if (between == nullptr || between->allow(what, queue, iova, length)) return true;
    ++refused_;
    return false;
  }
  // Descriptors and heads are aligned, so they never span mappings.
  [[nodiscard]] bool spans_mappings(ModelAccess what, std::uint64_t iova, std::size_t length) const noexcept {
    const bool payload = what == ModelAccess::payload_read || what == ModelAccess::payload_write;
    return payload && port_->contiguous(iova, length) < length;
  }
  [[nodiscard]] const std::byte* gather(std::uint64_t iova, std::size_t length) noexcept;
  [[nodiscard]] bool scatter(ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                             std::span<const std::byte> bytes) noexcept;
  template <class Byte>
  [[nodiscard]] Byte* counted(Byte* memory) noexcept {
    if (memory == nullptr) ++refused_;
    return memory;
  }

  ModelDma* port_ = nullptr;
  bool enabled_ = true;
  Duration completion_timeout_ = std::chrono::microseconds(500);
  std::uint64_t completion_timeouts_ = 0;
  std::uint64_t refused_ = 0;
  std::unique_ptr<std::byte[]> gathered_ = std::make_unique_for_overwrite<std::byte[]>(kMaxRead);
};

/// A queue's pending write-backs. If WTHRESH is above 1, several are performed together.
/// [I-M-WTHRESH] They are performed when the threshold is reached, on SWFLUSH, when the queue is disabled, and when the
/// moderation interval of the queue's vector has passed since the first of them. An interval of zero performs them at
/// once. Without a vector there is no interval. I210 datasheet, 7.1.4.4 and 7.2.2.6.
class WriteBacks {
 public:
  /// Adds a write-back of 8 or 16 bytes, depending on `what`.
  void add(ModelAccess what, std::uint64_t iova, std::span<const std::byte> bytes) {
    Entry& entry = entries_.emplace_back();
    entry.what = what;
    entry.iova = iova;
    entry.size = bytes.size();
    std::memcpy(entry.bytes.data(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Performs all pending write-backs in order. False if there were none.
  bool flush(Dma& dma, std::uint32_t queue) {
    if (entries_.empty()) return false;
    for (const Entry& entry : entries_) {
      dma.write(entry.what, queue, entry.iova, std::span(entry.bytes).first(entry.size));
    }
    entries_.clear();
    return true;
  }
  void discard() noexcept { entries_.clear(); }

 private:
  struct Entry {
    ModelAccess what = ModelAccess::receive_write_back;
    std::uint64_t iova = 0;
    std::size_t size = 0;
    std::array<std::byte, hw::kDescriptorBytes> bytes{};
  };
  std::vector<Entry> entries_;
};

}  // namespace pollux::models::igb
