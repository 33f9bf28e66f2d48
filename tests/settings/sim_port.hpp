// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/sim/wire.hpp"
#include "models/intel/igb/card.hpp"
#include "pollux/mem/context.hpp"
#include "settings/card_port.hpp"

namespace pollux::test::settings {

/// What ports of a test have in common: time that the test advances, memory, pools.
struct SimLab {
  SimLab();

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::vector<std::string> log;
  Context context;
  Pools pools;
};

/// A port on an in-process card of its own, which an earlier driver has used.
class SimPort final : public CardPort {
 public:
  SimPort(SimLab& lab, std::uint64_t seed);

  [[nodiscard]] Image image_asleep() override;
  /// A frame (without FCS) arrives from the wire.
  void inject(std::span<const std::byte> frame) { wire_->inject(frame); }
  /// The frames that left the card since the last call.
  [[nodiscard]] std::vector<std::vector<std::byte>> take_sent() { return std::exchange(sent_, {}); }

 private:
  template <class Work>
  auto with_card(Work work) {
    return wire_->with_card(0, [&](DeviceModel& card) { return work(static_cast<models::igb::Card&>(card)); });
  }
  [[nodiscard]] std::unique_ptr<Device> open_device() override;
  void send(unsigned function, const std::vector<std::uint32_t>& words) override;
  void wait(Duration time) override { lab_.clock->advance(time); }
  [[nodiscard]] bool hang(unsigned queue) override;
  void append_hidden(Image& image) override;

  SimLab& lab_;
  std::vector<std::vector<std::byte>> sent_;
  std::shared_ptr<sim::Wire> wire_;
};

}  // namespace pollux::test::settings
