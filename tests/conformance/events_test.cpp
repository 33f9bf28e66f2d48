// SPDX-License-Identifier: BSD-3-Clause
// Events of a port, from the Context's Control: the link goes up and down.
#include <algorithm>
#include <array>

#include "conformance/fixture.hpp"

namespace pollux::conformance {
namespace {

class Events : public Conformance {
 protected:
  void listen() {
    right().on_event([this](const PortEvent& event) { seen_.push_back(event); });
  }
  /// Waits for the Control's descriptor, as an event loop does, and runs what is due, until there is an event.
  [[nodiscard]] bool is_seen(PortEventKind kind) {
    const Time until = context_->clock().now() + kLimit;
    do {
      const auto found =
          std::find_if(seen_.begin(), seen_.end(), [&](const auto& event) { return event.kind == kind; });
      if (found != seen_.end()) {
        EXPECT_EQ(found->link.up, kind == PortEventKind::link_up);
        seen_.clear();
        return true;
      }
      pass_time();
      std::array waiting{pollfd{context_->control().event_fd(), POLLIN, 0}};
      const auto waited = context_->clock().wait(waiting, context_->clock().now() + kSlice);
      const auto due = context_->control().run_due();
      EXPECT_TRUE(waited && due);
      if (!waited || !due) return false;
    } while (context_->clock().now() < until);
    return false;
  }

  static constexpr Duration kSlice = std::chrono::milliseconds(10);
  static constexpr Duration kLimit = std::chrono::seconds(20);
  std::vector<PortEvent> seen_;
};

CONFORMANCE_TEST(Events, ReportTheLinkOfAStartedPort) {
  start_both();
  listen();
  EXPECT_TRUE(is_seen(PortEventKind::link_up)) << "a new handler learns that the link is up";
  ASSERT_TRUE(right().stop());
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_TRUE(is_seen(PortEventKind::link_down));
  ASSERT_TRUE(right().start());
  EXPECT_TRUE(is_seen(PortEventKind::link_up));
  right().on_event({});
  ASSERT_TRUE(right().stop());
  EXPECT_TRUE(seen_.empty());
}

// A card's link stays up when the other card is stopped. `igb.CardEvents` and `qemu.LinkInterrupt` change one.
CONFORMANCE_TEST_WHERE(Events, FollowTheOtherEndOfARing, traits.is_zero_copy) {
  start_both();
  listen();
  EXPECT_TRUE(is_seen(PortEventKind::link_up));
  ASSERT_TRUE(left().stop());
  EXPECT_TRUE(is_seen(PortEventKind::link_down));
  ASSERT_TRUE(left().start());
  EXPECT_TRUE(is_seen(PortEventKind::link_up));
}

}  // namespace
}  // namespace pollux::conformance
