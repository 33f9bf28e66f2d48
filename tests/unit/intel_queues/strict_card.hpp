// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "unit/intel_queues/tail_register.hpp"
#include "unit/mem/fake_domain.hpp"

namespace pollux::test {

/// The memory a card may reach, what it holds of it, and what a driver did wrong with it.
class CardMemory {
 public:
  explicit CardMemory(const FakeDomain& domain) : domain_(domain) {}

  /// Where `bytes` at `iova` are; nullptr and a violation if the card may not reach them all.
  [[nodiscard]] std::byte* at(std::uint64_t iova, std::size_t bytes);
  void violate(std::string what);
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

  // Buffers that the card may write, and pieces that it has yet to read. A buffer is one or the other, and armed once.
  void arm(std::uint64_t iova, std::uint32_t bytes, std::uint32_t headroom);
  void disarm(std::uint64_t iova) { armed_.erase(iova); }
  void disarm_all() { armed_.clear(); }
  void queue(std::uint64_t iova, std::uint32_t bytes);
  void unqueue(std::uint64_t iova);
  void unqueue_all() { queued_.clear(); }
  [[nodiscard]] std::size_t armed() const { return armed_.size(); }

 private:
  const FakeDomain& domain_;
  std::vector<std::string> violations_;
  std::map<std::uint64_t, std::uint64_t> armed_;   // first and one past the last address
  std::map<std::uint64_t, std::uint32_t> queued_;  // address and how often
};

/// The receive half of a card that takes nothing on trust.
class StrictReceiver {
 public:
  struct Ring {
    std::uint64_t iova = 0;
    std::uint32_t size = 0;
    std::uint32_t buffer_bytes = 0;
    std::uint32_t headroom = 0;  ///< bytes of a buffer in front of what is armed
  };
  StrictReceiver(CardMemory& memory, TailRegister& tail, const Ring& ring)
      : memory_(memory), tail_(tail), ring_(ring) {}

  /// As an enabled queue: head and tail are 0, and the tail is about to be written.
  void start();
  void stop();
  /// Takes note of tail writes and looks at each newly armed descriptor.
  void look();
  [[nodiscard]] std::uint32_t owned() const { return owned_; }
  /// Writes into the next buffer and back over its descriptor. `owned()` must not be 0.
  void write_back(std::span<const std::uint8_t> bytes, const hw::intel::Descriptor& back);
  /// The first of several stores of a write-back: some status and no length yet. `write_back` completes it.
  void begin_write_back(std::uint64_t status = hw::intel::rx::kDone);
  [[nodiscard]] bool write_back_begun() const { return begun_; }
  /// What stands in the status of the next descriptor.
  [[nodiscard]] std::uint64_t begun_status() { return slot(head_)->hi; }
  /// The next descriptor to be written back.
  [[nodiscard]] std::uint32_t head() const { return head_; }

 private:
  [[nodiscard]] hw::intel::Descriptor* slot(std::uint32_t index);
  void check_armed(std::uint32_t index);

  CardMemory& memory_;
  TailRegister& tail_;
  Ring ring_;
  std::uint32_t head_ = 0;
  std::uint32_t tail_seen_ = 0;
  std::uint32_t owned_ = 0;
  bool begun_ = false;
  std::vector<hw::intel::Descriptor> as_armed_;
};

/// The transmit half: sends in order, and reports only what it was asked to report.
class StrictTransmitter {
 public:
  StrictTransmitter(CardMemory& memory, TailRegister& tail, std::uint64_t ring_iova, std::uint32_t size)
      : memory_(memory), tail_(tail), ring_iova_(ring_iova), size_(size), as_queued_(size) {}

  void start();
  void stop();
  void look();
  /// Frames to expect, in order.
  void expect(std::vector<std::uint8_t> frame) { expected_.push_back(std::move(frame)); }
  /// Goes through at most `descriptors`; returns how many.
  std::uint32_t process(std::uint32_t descriptors);
  [[nodiscard]] std::uint32_t pending() const { return pending_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// Of the frames sent, those that the driver can know of.
  [[nodiscard]] std::uint64_t reported() const { return reported_; }
  [[nodiscard]] std::size_t expected() const { return expected_.size(); }
  /// Forgets frames that a stopped card does not send.
  void expect_no_more() { expected_.clear(); }

 private:
  [[nodiscard]] hw::intel::Descriptor* slot(std::uint32_t index);
  void check_queued(std::uint32_t index);
  void end_of_frame(std::uint32_t packet_bytes);
  void process_one();

  CardMemory& memory_;
  TailRegister& tail_;
  std::uint64_t ring_iova_;
  std::uint32_t size_;
  std::uint32_t head_ = 0;
  std::uint32_t tail_seen_ = 0;
  std::uint32_t pending_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t reported_ = 0;
  std::uint64_t noise_ = 0x9E3779B97F4A7C15;
  std::vector<std::uint8_t> frame_;
  std::uint32_t frame_bytes_ = 0;  // as the frame's descriptors say
  std::deque<std::vector<std::uint8_t>> expected_;
  std::vector<hw::intel::Descriptor> as_queued_;
};

}  // namespace pollux::test
