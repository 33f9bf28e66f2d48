// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "faked_card.hpp"

namespace pollux::bench {

/// The three areas of a virtqueue, as the driver has told the device of them. All addresses are this process's.
struct VirtioAreas {
  std::byte* descriptors = nullptr;
  std::byte* driver = nullptr;
  std::byte* device = nullptr;
  std::uint32_t size = 0;
  std::uint64_t delta = 0;  ///< from the driver's IOVAs to addresses
};

/// The device's side of one virtqueue of a network device, as FakedCard is a card's: it works on the rings outside the
/// timed part. It takes buffers in the order in which they were made available, uses them in the same order, each
/// with an entry of its own, and asks for no doorbells.
class FakedVirtqueue {
 public:
  FakedVirtqueue() = default;
  FakedVirtqueue(const VirtioAreas& areas, bool packed) : areas_(areas), packed_(packed) {}

  /// Makes the device flush each cache line that it writes or reads, as if the data came from memory.
  void set_cold(bool cold) { cold_ = cold; }
  void ask_for_no_doorbells() const;

  /// Writes a header and `length` bytes into each of the next `count` buffers, and uses them. Returns how many there
  /// were.
  std::uint32_t receive(std::uint32_t count, std::uint32_t length);
  /// Reads all frames that the driver has made available, and uses their buffers. Returns their number.
  std::uint32_t finish_transmits();

 private:
  struct Buffer {
    std::byte* data = nullptr;
    std::uint32_t length = 0;
    std::uint32_t id = 0;
    std::uint32_t entries = 1;  // of a packed ring
  };
  template <class T>
  [[nodiscard]] T* at(std::byte* area, std::size_t offset = 0) const {
    return reinterpret_cast<T*>(area + offset);
  }
  [[nodiscard]] bool take(Buffer& buffer);
  [[nodiscard]] std::byte* frame_of(std::uint64_t iova) const {
    return reinterpret_cast<std::byte*>(iova + areas_.delta);
  }
  void use(const Buffer& buffer, std::uint32_t length);
  /// Ends a round: shows the driver what was used.
  void show();
  [[nodiscard]] bool wrap(std::uint32_t position) const { return (position & areas_.size) == 0; }

  VirtioAreas areas_;
  bool packed_ = false;
  bool cold_ = false;
  std::uint32_t next_ = 0;  // position of the next available entry
  std::uint32_t used_ = 0;  // position of the next used entry
  volatile std::uint64_t sink_ = 0;
};

/// A network device of several pairs of queues that keeps what finds no buffer, as FakedCard does.
class FakedVirtioCard {
 public:
  void add(FakedVirtqueue& receiver, FakedVirtqueue& sender) { pairs_.push_back({&receiver, &sender}); }
  void offer(std::uint32_t queue, std::uint32_t count) { backlog_.offer(queue, count); }
  void deliver(std::uint32_t queue, std::uint32_t length) {
    backlog_.take(queue, pairs_[queue].receiver->receive(backlog_.waiting(queue), length));
  }
  std::uint32_t finish_transmits(std::uint32_t queue) { return pairs_[queue].sender->finish_transmits(); }
  [[nodiscard]] std::uint64_t lost() const { return backlog_.lost(); }

 private:
  struct Pair {
    FakedVirtqueue* receiver;
    FakedVirtqueue* sender;
  };
  std::vector<Pair> pairs_;
  Backlog backlog_{FakedCard::kPacketBuffer};
};

}  // namespace pollux::bench
