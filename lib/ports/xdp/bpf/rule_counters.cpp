// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/bpf/rule_counters.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

namespace pollux::xdp {

Result<RuleCounters> RuleCounters::open(const std::string& name, int map, std::uint16_t queues) {
  void* const values = ::mmap(nullptr, bytes_of(queues), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  if (values != MAP_FAILED) return RuleCounters(static_cast<std::uint64_t*>(values), queues);
  return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot map the counters of rules", name), errno);
}

RuleCounters::RuleCounters(RuleCounters&& other) noexcept
    : values_(std::exchange(other.values_, nullptr)), queues_(other.queues_), owners_(std::move(other.owners_)) {}

RuleCounters::~RuleCounters() {
  if (values_ != nullptr) ::munmap(values_, bytes_of(queues_));
}

// An id may name another rule than before.
void RuleCounters::assign(const std::vector<PlacedRule>& rules) {
  Owners before(kMaxRules);
  before.swap(owners_);
  for (const PlacedRule& rule : rules) {
    owners_[*rule.slot] = rule;
    if (before[*rule.slot] == owners_[*rule.slot]) continue;
    for (std::uint32_t queue = 0; queue < queues_; ++queue) {
      __atomic_store_n(&values_[queue * kCounterSlots + *rule.slot], 0, __ATOMIC_RELAXED);
    }
  }
}

void RuleCounters::continue_with(const std::vector<PlacedRule>& rules) {
  for (const PlacedRule& rule : rules) owners_[*rule.slot] = rule;
}

std::uint64_t RuleCounters::value(std::uint32_t slot) const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t queue = 0; queue < queues_; ++queue) {
    sum += __atomic_load_n(&values_[queue * kCounterSlots + slot], __ATOMIC_RELAXED);
  }
  return sum;
}

}  // namespace pollux::xdp
