// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::sim {

/// Two cards and the wire between them; or one card, and a function at the wire's other end. A frame that one card
/// sends is at the other before the register write that sent it returns. Time comes from `clock`: a ManualClock steps
/// both cards as it goes, any other one is looked at on each register access. The clock outlives the wire's use by
/// devices. Thread rule: every member may be called from any thread; whatever makes a card work holds the wire's lock,
/// so handlers are called with it and must not call back into the wire.
class Wire final : public std::enable_shared_from_this<Wire> {
 public:
  using FrameHandler = DeviceModel::WireHandler;

  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> left,
                                                    std::unique_ptr<DeviceModel> right);
  /// `far_end` gets what the card sends.
  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> card,
                                                    FrameHandler far_end);
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  ~Wire();

  /// Makes `end` (0 or 1) a device's. False if it is one's already or there is no card.
  [[nodiscard]] bool claim(unsigned end);
  void release(unsigned end);

  /// Runs `work` on the card at `end`, which exists, at the present time and with the lock held.
  template <class Work>
  auto with_card(unsigned end, Work work) {
    const std::lock_guard guard(*lock_);
    catch_up();
    return work(*ends_[end].card);
  }

  /// A frame (without FCS) from the far end of a wire with one card.
  void inject(std::span<const std::byte> frame);
  /// Plugs the wire in or out.
  void set_carrier(bool present);

  struct Counters {
    std::uint64_t carried = 0;           ///< frames handed to the card or function at the other end
    std::uint64_t dropped_unopened = 0;  ///< frames for a card that no device has
  };
  /// What came out of `end`.
  [[nodiscard]] Counters counters(unsigned end) const;

  [[nodiscard]] std::shared_ptr<std::mutex> lock() const { return lock_; }

 private:
  struct End {
    std::unique_ptr<DeviceModel> card;
    FrameHandler handler;
    bool claimed = false;
    Counters sent;
  };
  struct Frame {
    unsigned from;
    std::vector<std::byte> bytes;
  };

  explicit Wire(Clock& clock) : clock_(clock) {}
  void connect();
  void catch_up();
  void carry(unsigned from, std::span<const std::byte> frame);
  void deliver(unsigned from, std::span<const std::byte> frame);

  Clock& clock_;
  const std::shared_ptr<std::mutex> lock_ = std::make_shared<std::mutex>();
  std::array<End, 2> ends_;
  std::deque<Frame> queue_;  // sent while another frame was being delivered
  bool delivering_ = false;
};

}  // namespace pollux::sim
