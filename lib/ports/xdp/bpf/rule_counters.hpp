// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/placed_settings.hpp"
#include "ports/xdp/bpf/rule_code.hpp"

namespace pollux::xdp {

/// The counters of rules, and of frames that go to the kernel: memory that the XDP program writes. They outlive a
/// program.
class RuleCounters {
 public:
  /// `map`: of KernelSide::make_counters, for an interface with `queues` queues. `name` is for messages. Error
  /// io_error.
  [[nodiscard]] static Result<RuleCounters> open(const std::string& name, int map, std::uint16_t queues);
  RuleCounters(RuleCounters&& other) noexcept;
  RuleCounters& operator=(RuleCounters&&) = delete;
  ~RuleCounters();

  /// Sets the counters to 0 whose slot has another rule than before. Called before the rules are loaded.
  void assign(const std::vector<PlacedRule>& rules);
  /// The program counts by these rules already.
  void continue_with(const std::vector<PlacedRule>& rules);
  /// The sum over all queues. Any thread.
  [[nodiscard]] std::uint64_t value(std::uint32_t slot) const noexcept;

  static constexpr std::uint32_t bytes_of(std::uint16_t queues) noexcept {
    return queues * kCounterSlots * std::uint32_t{sizeof(std::uint64_t)};
  }

 private:
  RuleCounters(std::uint64_t* values, std::uint16_t queues) noexcept : values_(values), queues_(queues) {}

  std::uint64_t* values_;
  std::uint16_t queues_;
  using Owners = std::vector<std::optional<InstalledRule>>;  // by slot
  Owners owners_ = Owners(kMaxRules);
};

}  // namespace pollux::xdp
