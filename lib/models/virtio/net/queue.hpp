// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "hw/virtio/features.hpp"
#include "hw/virtio/pci.hpp"
#include "hw/virtio/rings.hpp"
#include "models/virtio/net/fault.hpp"
#include "models/virtio/net/memory.hpp"

namespace pollux::models::virtio {

namespace hw = pollux::hw::virtio;

/// The buffers of one entry of a queue.
struct Chain {
  struct Part {
    std::uint64_t iova = 0;
    std::uint32_t length = 0;
  };
  std::uint16_t id = 0;     ///< what the used entry repeats: the first descriptor's index, or a packed ring's buffer id
  std::uint16_t slots = 1;  ///< places in the available ring, or descriptors of a packed one
  std::vector<Part> readable;
  std::vector<Part> writable;

  [[nodiscard]] std::uint64_t readable_bytes() const noexcept { return bytes(readable); }
  [[nodiscard]] std::uint64_t writable_bytes() const noexcept { return bytes(writable); }
  [[nodiscard]] static std::uint64_t bytes(const std::vector<Part>& parts) noexcept {
    std::uint64_t sum = 0;
    for (const Part& part : parts) sum += part.length;
    return sum;
  }
};

/// A virtqueue as the device sees it, in both formats. VIRTIO 1.2, 2.7 and 2.8.
class Queue {
 public:
  Queue(Memory& memory, Faults& faults, std::uint16_t number, std::uint16_t max_size);

  /// What the driver has set in the common configuration.
  struct Setup {
    std::uint16_t size = 0;
    std::uint16_t vector = hw::kNoVector;
    std::array<std::uint64_t, 3> areas{};  ///< of descriptors, driver and device
  };
  [[nodiscard]] Setup& setup() noexcept { return setup_; }
  [[nodiscard]] const Setup& setup() const noexcept { return setup_; }
  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

  /// The state after a reset of the device or of this queue.
  void reset() noexcept;
  /// Starts the queue with the format that `features` select. False if an area is not aligned.
  [[nodiscard]] bool enable(hw::Features features) noexcept;
  [[nodiscard]] bool enabled() const noexcept { return enabled_; }

  enum class Take : std::uint8_t { taken, empty, broken };
  /// The next available entry. broken: the driver has broken a rule of the ring; `why` says which.
  [[nodiscard]] Take take(Chain& chain);
  [[nodiscard]] const char* why() const noexcept { return why_; }
  /// Whether an entry is available.
  [[nodiscard]] bool available();
  /// A place in the ring to return to while nothing taken since has been used.
  struct Position {
    std::uint16_t next = 0;
    bool wrap = true;
    std::uint32_t slots = 0;  ///< up to here since the queue was enabled
  };
  [[nodiscard]] Position position() const noexcept { return taken_; }
  void rewind(Position position) noexcept { taken_ = position; }

  /// Stages a used entry. `publish` shows all staged ones to the driver, the first of them last. False if memory
  /// refuses.
  void use(const Chain& chain, std::uint32_t written) { staged_.push_back({chain.id, chain.slots, written}); }
  /// `lies`: a planned fault may befall it.
  [[nodiscard]] bool publish(bool lies = false);
  /// Whether the driver wants to be told what was published since the last call.
  [[nodiscard]] bool take_interrupt();
  /// Asks the driver to be told about new entries, or not. After asking, look at the ring once more.
  void ask_for_kicks(bool wanted);

 private:
  struct Used {
    std::uint32_t id;
    std::uint16_t slots;
    std::uint32_t length;
  };
  [[nodiscard]] bool packed() const noexcept { return (features_ & hw::feature::kRingPacked) != 0; }
  [[nodiscard]] bool has(hw::Features feature) const noexcept { return (features_ & feature) != 0; }
  [[nodiscard]] Take broken(const char* why) noexcept;
  [[nodiscard]] Take take_split(Chain& chain);
  [[nodiscard]] Take take_packed(Chain& chain);
  [[nodiscard]] Take take_indirect(Chain& chain, std::uint64_t table, std::uint32_t bytes);
  [[nodiscard]] Take add(Chain& chain, std::uint64_t iova, std::uint32_t length, bool writable);
  [[nodiscard]] bool publish_split();
  [[nodiscard]] bool publish_packed();
  [[nodiscard]] bool write_used_word();
  void merge_staged();
  void ask_for_next_entry();
  void apply_fault();
  [[nodiscard]] bool wants_interrupt(std::uint16_t used);
  [[nodiscard]] ModelAccess write_back() const noexcept {
    return number_ % 2 == 0 ? ModelAccess::receive_write_back : ModelAccess::transmit_write_back;
  }
  void step(Position& position, std::uint32_t slots) const noexcept;
  /// Whether a queue has room for `slots` besides those that were taken and not used yet.
  [[nodiscard]] bool has_room_for(std::uint32_t slots) const noexcept {
    // A planned fault may have used more than was taken.
    return static_cast<std::int32_t>(taken_.slots - used_.slots + slots) <= std::int32_t{setup_.size};
  }

  Memory& memory_;
  Faults& faults_;
  const std::uint16_t number_;
  const std::uint16_t max_size_;
  Setup setup_;
  hw::Features features_ = 0;
  bool enabled_ = false;
  Position taken_;                // split: `next` is free-running
  Position used_;                 // the same
  std::uint32_t unreported_ = 0;  // slots published since the last take_interrupt
  std::uint16_t used_flags_ = 0;
  bool asks_for_kicks_ = true;
  std::vector<Used> staged_;
  const char* why_ = "";
};

}  // namespace pollux::models::virtio
