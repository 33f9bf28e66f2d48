// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "explorer/scenario.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/device/bar.hpp"

namespace pollux::test {

/// A tail register. If its writes are posted, the card sees them only after a flush.
struct Tail {
  std::uint32_t visible = 0;
  std::uint32_t posted = 0;
  bool is_posted = false;

  /// The value that the driver wrote last.
  [[nodiscard]] std::uint32_t written() const noexcept { return is_posted ? posted : visible; }
};

class TailWindow final : public RemoteRegisters {
 public:
  explicit TailWindow(Tail& tail) : tail_(tail) {}
  [[nodiscard]] std::uint32_t read32(std::uint32_t) noexcept override {
    flush();
    return tail_.visible;
  }
  void write32(std::uint32_t, std::uint32_t value) noexcept override {
    tail_.posted = value;
    tail_.is_posted = true;
  }
  void flush() noexcept override {
    if (tail_.is_posted) tail_.visible = tail_.posted;
    tail_.is_posted = false;
  }

 private:
  Tail& tail_;
};

/// The state of the receiving card. Plain values, so that it can be saved and restored.
struct ReceivingCard {
  enum class Phase : std::uint8_t { idle, filled, descriptor_stored, status_stored };

  std::uint32_t head = 0;     ///< the slot that it fills now or next
  std::uint32_t tail = 0;     ///< the tail that it last saw
  std::uint32_t fetched = 0;  ///< descriptors that it has read, from `head` on
  std::array<hw::intel::Descriptor, kRing> read{};
  Phase phase = Phase::idle;
  std::uint64_t status = 0;          ///< of the current write-back
  bool in_frame = false;             ///< the first half of a frame has been written back
  std::array<bool, kRing> echoed{};  ///< the status word was stored a second time, perhaps over an armed slot

  [[nodiscard]] std::uint32_t owned() const noexcept { return (tail - head) & kRingMask; }
};

/// The state of the sending card.
struct SendingCard {
  std::uint32_t reported = 0;  ///< the first slot that has not been reported done
  std::uint32_t sent = 0;      ///< slots from `reported` on that have been sent
  std::uint32_t fetched = 0;   ///< slots after those whose descriptors have been read
  std::uint32_t tail = 0;
  std::array<hw::intel::Descriptor, kRing> read{};
  bool in_frame = false;
  std::array<hw::intel::Descriptor, 2> contexts{};

  [[nodiscard]] std::uint32_t owned() const noexcept { return (tail - reported) & kRingMask; }
  [[nodiscard]] std::uint32_t next_to_send() const noexcept { return (reported + sent) & kRingMask; }
  [[nodiscard]] std::uint32_t next_to_fetch() const noexcept { return (reported + sent + fetched) & kRingMask; }
};

// Lengths of a frame in one buffer, and of the two halves of a frame in two buffers.
inline constexpr std::uint32_t kWholeBytes = 60;
inline constexpr std::uint32_t kFirstBytes = 64;
inline constexpr std::uint32_t kLastBytes = 10;
inline constexpr std::uint32_t kShortBytes = 10;  ///< too short to be sent
/// The value that a card writes into words on which a driver must not rely.
inline constexpr std::uint64_t kNoise = 0x5A5A5A5A00000000;

[[nodiscard]] constexpr std::uint64_t content_of(std::uint64_t frame, std::uint32_t half) noexcept {
  return frame << 1 | half;
}

}  // namespace pollux::test
