// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {

inline bool has_event(const RxQueue& queue) {
  pollfd waiting{queue.event_fd(), POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

/// A port of `queues` receive queues on a card with `vectors` MSI-X vectors.
class SleepOnACard : public testing::Test {
 protected:
  void start(std::uint16_t queues, unsigned vectors = 25) {
    fixture.emplace(models::igb::CardOptions{.vectors = vectors}, MempoolOptions{.count = 4096});
    open();
    Settings config = fixture->config();
    config.rx.resize(queues, config.rx[0]);
    ASSERT_TRUE(test::configure_port(*port, config));
    ASSERT_TRUE(port->start());
    fixture->clock->advance(std::chrono::seconds(1));
    for (std::uint16_t queue = 0; queue < queues; ++queue) {
      EXPECT_FALSE(rx(queue).arm()) << "the start is reported once";
    }
  }
  void open() {
    auto opened = probe(fixture->context, fixture->device());
    ASSERT_TRUE(opened) << opened.error().message();
    port = std::make_unique<PortMachine>(fixture->context.state(), *std::move(opened));
  }
  RxQueue& rx(std::uint16_t queue) { return *port->rx_queue(queue); }
  std::uint32_t poll(std::uint16_t queue) {
    Burst<32> burst;
    return rx(queue).rx_burst(burst);
  }
  /// A frame that RSS assigns to `queue`.
  void inject_to(std::uint16_t queue) {
    std::vector<std::byte> frame = broadcast(64);
    const std::array<std::uint8_t, 22> header{0x08, 0x00, 0x45, 0,  0, 50, 0, 0,  0, 0, 64,
                                              17,   0,    0,    10, 0, 0,  1, 10, 0, 0, 2};
    for (std::size_t i = 0; i < header.size(); ++i) frame[12 + i] = std::byte{header[i]};
    fixture->with_card([&](models::igb::Card& card) {
      for (std::uint32_t i = 0; i < 32; ++i) card.registers().set<reg::RETA>(i, reg::RETA::Value(queue * 0x01010101U));
    });
    fixture->wire->inject(frame);
  }
  [[nodiscard]] std::uint32_t unmasked() { return fixture->value<reg::EIMS>().raw(); }
  /// Vector 0, which is for the link, stays unmasked.
  [[nodiscard]] std::uint32_t unmasked_queues() { return unmasked() & ~1U; }
  /// Since the start, in which the link sent one.
  [[nodiscard]] std::uint32_t messages() { return fixture->value<reg::IAC>().raw() - 1; }

  std::optional<IgbFixture> fixture;
  std::unique_ptr<PortMachine> port;
};

}  // namespace pollux::drivers::igb
