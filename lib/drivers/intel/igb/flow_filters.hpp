// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/card_filter.hpp"
#include "pollux/net/flow/flow_rules.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::igb {

/// Whether stamps of these messages need an EtherType filter, or a five-tuple filter.
[[nodiscard]] bool uses_ethernet(StampedMessages messages) noexcept;
[[nodiscard]] bool uses_udp(StampedMessages messages) noexcept;

/// The flow rules of one port: keeps them, and writes them to the card's filters: eight EtherType filters (ETQF), eight
/// five-tuple filters (FTQF and others), one SYN filter (SYNQF).
class FlowFilters final : public FlowRules {
 public:
  /// `card` and `settings`, the port's, outlive this object. `may_add`: whether the port's other features allow rules.
  FlowFilters(const drivers::igb::Card& card, const Settings& settings, std::function<Result<void>()> may_add)
      : card_(card), settings_(settings), may_add_(std::move(may_add)) {}

  /// Whether all rules fit a port with `queues` receive queues. Error invalid_argument.
  [[nodiscard]] Result<void> check(std::uint32_t queues) const;
  /// The EtherType filter and the five-tuple filter that select frames for time stamps (StampLatches).
  static constexpr std::uint32_t kStampFilter = 7;
  static constexpr std::uint32_t kPtpType = 0x88F7;  ///< PTP over Ethernet: IEEE 1588, annex F
  /// Whether rules leave the filters for these stamps. Error busy.
  [[nodiscard]] Result<void> check_stamps(StampedMessages messages) const;
  /// Writes the rules. Called at each start, after a reset. Changes reach the card at once from now on.
  void start();
  void stop() noexcept { running_ = false; }

  [[nodiscard]] Result<FlowRuleId> add(const FlowRule& rule) override;
  [[nodiscard]] Result<void> remove(FlowRuleId id) override;
  [[nodiscard]] std::vector<InstalledRule> rules() const override;

 private:
  struct Entry {
    InstalledRule installed;
    CardFilter filter;
    std::uint32_t slot = 0;  // of the card's filters of its kind

    /// Whether this rule takes precedence over the other one.
    [[nodiscard]] bool precedes(const Entry& other) const noexcept;
  };
  /// The values of the registers.
  struct FiveTuple {
    std::uint32_t filter = 0, source = 0, destination = 0, source_port = 0, priority_and_port = 0, more = 0;

    [[nodiscard]] bool operator==(const FiveTuple&) const noexcept = default;
  };
  struct Image {
    std::array<std::uint32_t, reg::ETQF::kCount> ether_types{};
    std::array<FiveTuple, reg::FTQF::kCount> tuples{};
    std::uint32_t syn = 0;
    bool syn_first = false;
  };

  [[nodiscard]] Result<Entry> make_entry(const FlowRule& rule) const;
  [[nodiscard]] Result<std::uint32_t> free_slot(CardFilter::Kind kind) const;
  [[nodiscard]] bool is_reserved(CardFilter::Kind kind, std::uint32_t slot) const noexcept;
  [[nodiscard]] Result<void> check_conflicts(const Entry& added) const;
  [[nodiscard]] Image image() const;
  [[nodiscard]] FiveTuple five_tuple(const Entry& entry) const;
  void write();
  void write_tuple(std::uint32_t slot, const FiveTuple& wanted, const FiveTuple& present);
  [[nodiscard]] bool goes_first(const Entry& syn) const;

  const drivers::igb::Card& card_;
  const Settings& settings_;
  std::function<Result<void>()> may_add_;
  std::vector<Entry> entries_;  // in the order of their ids
  Image written_;
  std::uint64_t next_id_ = 1;
  bool running_ = false;
};

}  // namespace pollux::drivers::igb
