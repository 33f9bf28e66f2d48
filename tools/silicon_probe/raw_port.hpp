// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/link.hpp"

namespace pollux::silicon {

namespace reg = hw::igb;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using Frame = std::vector<std::uint8_t>;

/// A descriptor that the card wrote back, with the bytes of its buffer.
struct Received {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  Frame bytes;
  Frame headers = {};  ///< of the header buffer, as many as the write-back says
};

struct RxSetup {
  std::uint32_t armed = 16;  ///< descriptors that the card gets, below RawPort::kSlots
  std::uint32_t buffer_kib = 10;
  std::uint32_t threshold = 1;  ///< RXDCTL.WTHRESH
  reg::SRRCTL::Setting format = reg::SRRCTL::ONE_BUFFER;
  bool has_headers = false;  ///< each descriptor has a buffer for headers, too; `buffer_kib` is at most 8 then
};

/// A port without a driver's queues: registers, and rings that a probe fills and reads itself. It uses the steps of the
/// driver that have nothing to do with queues. Every wait is bounded.
class RawPort {
 public:
  static constexpr std::uint32_t kSlots = 32;
  static constexpr std::uint32_t kQueues = 4;
  static constexpr std::uint32_t kBufferBytes = 10240;
  static constexpr std::uint32_t kHeadersAt = 8192;  ///< in a receive buffer, of the header buffer
  static constexpr Duration kLinkLimit = std::chrono::seconds(15);
  /// How long a probe waits for a frame before it says that none arrived.
  static constexpr Duration kFrameLimit = milliseconds(50);

  /// Errors: not_supported (not an 82576 with copper ports), device_fault (a window that is too small), device_removed.
  [[nodiscard]] static Result<std::unique_ptr<RawPort>> open(Context& context, std::unique_ptr<Device> device);
  ~RawPort();
  RawPort(const RawPort&) = delete;
  RawPort& operator=(const RawPort&) = delete;

  [[nodiscard]] const drivers::igb::IgbCard& card() const { return card_; }
  [[nodiscard]] const reg::Registers& regs() const { return card_.regs; }
  [[nodiscard]] Device& device() { return *device_; }
  [[nodiscard]] Clock& clock() const { return card_.clock(); }
  [[nodiscard]] const MacAddress& mac() const { return mac_; }

  /// Allocates the memory for rings and buffers. Call it after all ports of the Context are open. Errors: no_memory.
  [[nodiscard]] Result<void> allocate();
  /// Resets the card, clears its filters and counters, and lets it use memory. Errors: those of the driver's reset.
  [[nodiscard]] Result<void> reset();
  /// Ends all DMA. Errors: those of the driver's quiesce and reset.
  [[nodiscard]] Result<void> quiet();
  /// Starts the link, without waiting for it.
  [[nodiscard]] Result<void> start_link();
  [[nodiscard]] Result<void> wait_for_link();

  /// Programs a receive ring without enabling the queue; and the same with enabling it and handing it its descriptors.
  void program_rx(std::uint32_t queue, const RxSetup& setup);
  [[nodiscard]] Result<void> open_rx(std::uint32_t queue, const RxSetup& setup);
  void program_tx();
  [[nodiscard]] Result<void> open_tx();
  /// Sets RCTL to these bits and RXEN, with the modes that accept every frame.
  void receive_all(reg::RCTL::Setting more = {0, 0});

  /// Puts a frame into the transmit ring. Returns its slot, or nullopt if the frame is too long. Without `flush` the
  /// card is not told yet.
  std::optional<std::uint32_t> put(std::span<const std::uint8_t> frame, std::uint64_t flags, std::uint32_t offset = 0);
  void ring_doorbell();
  /// Sends a frame and waits until the card reports it as sent. Errors: timeout.
  [[nodiscard]] Result<void> send(std::span<const std::uint8_t> frame, std::uint64_t without = 0);
  [[nodiscard]] bool sent(std::uint32_t slot) const;
  /// Whether the descriptor at `slot` of a receive ring is done.
  [[nodiscard]] bool done(std::uint32_t queue, std::uint32_t slot) const;
  /// The done descriptors of a queue, at most `count`, each waited for at most `limit`; their slots are armed again.
  [[nodiscard]] std::vector<Received> receive(std::uint32_t queue, std::size_t count, Duration limit = kFrameLimit);

  /// How long until `condition` holds; nullopt if it does not within `limit`.
  [[nodiscard]] std::optional<Duration> time_until(Duration limit, const std::function<bool()>& condition) const;
  void sleep(Duration span) const { clock().sleep_for(span); }
  /// Clears the counters that a copper port may read.
  void clear_counters() const;

 private:
  RawPort(Context& context, std::unique_ptr<Device> device, const reg::CardTraits& traits);
  [[nodiscard]] hw::intel::Descriptor* rx_ring(std::uint32_t queue) const;
  [[nodiscard]] hw::intel::Descriptor* tx_ring() const;
  [[nodiscard]] std::byte* rx_buffer(std::uint32_t queue, std::uint32_t slot) const;
  [[nodiscard]] std::byte* tx_buffer(std::uint32_t slot) const;
  [[nodiscard]] std::uint64_t iova_of(const void* address) const;
  [[nodiscard]] hw::intel::Descriptor armed(std::uint32_t queue, std::uint32_t slot) const;

  Context& context_;
  std::unique_ptr<Device> device_;
  drivers::igb::IgbCard card_;
  MacAddress mac_{};
  DmaMemory memory_;
  std::uint32_t tx_next_ = 0;
  std::array<std::uint32_t, kQueues> rx_next_{};
  std::array<std::uint32_t, kQueues> rx_tail_{};
  std::array<bool, kQueues> has_headers_{};
};

}  // namespace pollux::silicon
