// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "unit/intel_queues/tail_register.hpp"
#include "unit/mem/fake_domain.hpp"

namespace pollux::test {

/// The memory that a card may access, the buffers in it that the card owns, and the violations found.
class CardMemory {
 public:
  explicit CardMemory(const FakeDomain& domain) : domain_(domain) {}

  /// The address of `bytes` at `iova`. nullptr and a violation if they are not all mapped for the card.
  [[nodiscard]] std::byte* at(std::uint64_t iova, std::size_t bytes);
  void violate(std::string what);
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

  // Tracks armed buffers, which the card may write, and queued ones, which it has yet to read. A buffer may not be
  // both, and may be armed only once.
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

/// The receive half of a card that checks every action of the driver.
class StrictReceiver {
 public:
  struct Ring {
    std::uint64_t iova = 0;
    std::uint32_t size = 0;
    std::uint32_t buffer_bytes = 0;
    std::uint32_t headroom = 0;         ///< bytes of a buffer before the armed address
    std::uint32_t header_bytes = 0;     ///< of a header buffer; 0: frames are not split
    std::uint32_t header_headroom = 0;  ///< as `headroom`
  };
  StrictReceiver(CardMemory& memory, TailRegister& tail, const Ring& ring)
      : memory_(memory), tail_(tail), ring_(ring) {}

  /// Starts as a queue that has just been enabled: head and tail are 0.
  void start();
  void stop();
  /// Reads the tail and checks each newly armed descriptor.
  void look();
  [[nodiscard]] std::uint32_t owned() const { return owned_; }
  /// Writes the next buffer, then writes its descriptor back. `owned()` must not be 0.
  void write_back(std::span<const std::uint8_t> bytes, const hw::intel::Descriptor& back);
  /// The same with a header, which goes to the header buffer.
  void write_back(std::span<const std::uint8_t> header, std::span<const std::uint8_t> bytes,
                  const hw::intel::Descriptor& back);
  /// Makes the first of several stores of a write-back: the lower half of the status word, which has no length.
  /// `write_back` completes it.
  void begin_write_back(std::uint64_t status = hw::intel::rx::kDone);
  [[nodiscard]] bool write_back_begun() const { return begun_; }
  /// The status word of the next descriptor.
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

/// The transmit half of that card. Sends in order, and reports only descriptors with RS.
class StrictTransmitter {
 public:
  StrictTransmitter(CardMemory& memory, TailRegister& tail, std::uint64_t ring_iova, std::uint32_t size)
      : memory_(memory), tail_(tail), ring_iova_(ring_iova), size_(size), as_queued_(size) {}

  void start();
  void stop();
  void look();
  /// Adds the next frame that must be sent.
  void expect(std::vector<std::uint8_t> frame) { expected_.push_back(std::move(frame)); }
  /// Processes at most `descriptors` and returns their number.
  std::uint32_t process(std::uint32_t descriptors);
  [[nodiscard]] std::uint32_t pending() const { return pending_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// The sent frames that have been reported to the driver.
  [[nodiscard]] std::uint64_t reported() const { return reported_; }
  [[nodiscard]] std::size_t expected() const { return expected_.size(); }
  /// What the driver requested for a sent frame.
  struct Request {
    std::uint64_t flags = 0;  ///< of the data descriptors
    hw::intel::tx::Context context;
    bool operator==(const Request& other) const {
      return flags == other.flags && hw::intel::tx::context(context) == hw::intel::tx::context(other.context);
    }
  };
  /// The requests of the frames that had one, in order.
  [[nodiscard]] const std::vector<Request>& requests() const { return requests_; }
  /// The number of context descriptors.
  [[nodiscard]] std::uint32_t contexts() const { return contexts_seen_; }
  /// Accepts frames that bring their own check sequence.
  void accept_own_fcs() { required_ = hw::intel::tx::kData & ~hw::intel::tx::kInsertCrc; }
  /// Accepts requests for time stamps.
  void accept_stamps() { also_allowed_ = hw::intel::tx::kTimeStamp; }
  /// Forgets frames that a stopped card does not send.
  void expect_no_more() { expected_.clear(); }

 private:
  [[nodiscard]] hw::intel::Descriptor* slot(std::uint32_t index);
  void check_queued(std::uint32_t index);
  void check_context(std::uint32_t index, const hw::intel::Descriptor& queued);
  void check_request(std::uint64_t flags);
  void append(const hw::intel::Descriptor& queued);
  void end_of_frame(std::uint64_t flags);
  void process_one();
  void report(hw::intel::Descriptor& descriptor);

  CardMemory& memory_;
  TailRegister& tail_;
  std::uint64_t ring_iova_;
  std::uint32_t size_;
  std::uint64_t required_ = hw::intel::tx::kData;  // in each data descriptor
  std::uint64_t also_allowed_ = 0;
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
  std::array<std::optional<hw::intel::Descriptor>, 2> contexts_;
  std::uint32_t contexts_seen_ = 0;
  std::vector<Request> requests_;
};

}  // namespace pollux::test
