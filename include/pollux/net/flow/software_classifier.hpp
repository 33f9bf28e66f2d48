// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/packet/toeplitz.hpp"

namespace pollux {

/// Executes flow rules in software, for frames of any port: it sorts the frames of a burst into several bursts.
///
///     SoftwareClassifier classifier(4);
///     auto rule = classifier.add({match::ipv4().udp().destination_port(53), to_queue(3)});
///     std::array<Burst<32>, 4> queues;
///     port.rx(0).rx_burst(burst);
///     classifier.sort(burst, queues);
///
/// A frame that no rule sends elsewhere goes to queue 0. Rules that only mark are applied together with the first rule
/// that decides where the frame goes; of several marks the one of the rule that takes precedence is stored.
/// Thread rule: one thread at a time.
class POLLUX_API SoftwareClassifier {
 public:
  /// `queues`: 1 to 65,535.
  explicit SoftwareClassifier(std::uint16_t queues) : queues_(queues) {}

  /// Errors: invalid_argument (see check_rule, or a queue that does not exist).
  [[nodiscard]] Result<FlowRuleId> add(const FlowRule& rule);
  /// Error not_found.
  [[nodiscard]] Result<void> remove(FlowRuleId id);
  /// In the order in which they were added.
  [[nodiscard]] std::vector<InstalledRule> rules() const;

  /// What becomes of a frame.
  struct Decision {
    bool drop = false;                       ///< true: the caller shall drop it
    std::uint16_t queue = 0;                 ///< the receive queue for it, if it is not dropped
    std::optional<std::uint32_t> mark = {};  ///< what the caller shall store in Mbuf::user

    [[nodiscard]] bool operator==(const Decision&) const noexcept = default;
  };
  /// What the rules say about a frame. The frame is not changed. Any content is allowed.
  [[nodiscard]] Decision decide(const Mbuf& frame) const noexcept;

  /// Moves each frame to the burst of its queue, in order, stores marks in Mbuf::user, and drops frames as rules say
  /// (counter `dropped()`). `queues` is an array, vector or span of bursts. Frames whose burst is full, or is missing
  /// in `queues`, stay in `burst`, in order.
  template <std::uint32_t N, class Bursts>
  void sort(Burst<N>& burst, Bursts& queues) noexcept {
    Burst<N> dropped;
    burst.take_each([&](MbufPtr frame) {
      const Decision decision = decide(*frame);
      if (decision.mark) frame->set_user(*decision.mark);
      if (decision.drop) {
        static_cast<void>(dropped.push(frame));  // as large as `burst`
      } else if (decision.queue >= queues.size() || !queues[decision.queue].push(frame)) {
        static_cast<void>(burst.push(frame));
      }
    });
    dropped.drop(dropped_);
  }

  /// The frames that rules dropped.
  [[nodiscard]] const DropCounter& dropped() const noexcept { return dropped_; }

 private:
  /// A rule in order of precedence.
  struct Compiled {
    FlowRuleId id;
    FlowRule rule;
    packet::ToeplitzHash hash;  // of an rss action
  };

  std::uint16_t queues_;
  std::uint64_t next_id_ = 1;
  std::vector<Compiled> compiled_;
  DropCounter dropped_{"flow_rule"};
};

}  // namespace pollux
