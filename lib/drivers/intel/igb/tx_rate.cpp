// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/tx_rate.hpp"

#include <algorithm>

#include "net/config_check.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint32_t kFastest = 1000;  // Mb/s
constexpr std::uint32_t kQueuesOfAPool = 2;

/// Linux, igb_main.c, igb_set_vf_rate_limit: for frames of up to 9.5 KiB.
constexpr std::uint32_t kCatchUp = 0x14;

}  // namespace

Result<void> TxRates::check(std::uint32_t megabits) const {
  if (megabits > kFastest) {
    return refuse(card_.name, fmt::format("rate limit: {} Mb/s is more than {} Mb/s", megabits, kFastest),
                  "use 0 for no limit");
  }
  if (card_.regs.removed()) return fail_removed(card_.name);
  return {};
}

Result<void> TxRates::set_tx_rate(std::uint16_t queue, std::uint32_t megabits) {
  if (auto is_open = expect_open(card_); !is_open) return is_open;
  // The other queues belong to the functions, or to no pool.
  const std::uint32_t queues = functions_ == 0 ? card_.traits->queues : 1;
  if (queue >= queues) {
    return refuse(card_.name, fmt::format("rate limit: there is no transmit queue {}", queue),
                  fmt::format("the port has {} of them, counted from 0", queues));
  }
  if (auto valid = check(megabits); !valid) return valid;
  megabits_[queue] = megabits;
  if (speed_ != 0) write(functions_ + queue);
  return {};
}

std::uint32_t TxRates::tx_rate(std::uint16_t queue) const { return queue < megabits_.size() ? megabits_[queue] : 0; }

Result<void> TxRates::set_pool_tx_rate(std::uint16_t pool, std::uint32_t megabits) {
  if (auto is_open = expect_open(card_); !is_open) return is_open;
  if (pool >= pools_) {
    return refuse(card_.name, fmt::format("rate limit: there is no pool {}", pool),
                  "set the pools first (QueuePools); they are counted from 0");
  }
  return limit_pool(pool, megabits);
}

Result<void> TxRates::set_function_rate(std::uint16_t function, std::uint32_t megabits) {
  return limit_pool(function, megabits);
}

Result<void> TxRates::limit_pool(std::uint16_t pool, std::uint32_t megabits) {
  if (auto valid = check(megabits); !valid) return valid;
  pool_megabits_[pool] = megabits;
  if (speed_ != 0) write_pool(pool);
  return {};
}

void TxRates::write_pool(std::uint32_t pool) const {
  for (std::uint32_t queue = pool; queue < megabits_.size(); queue += hw::igb::kPools) write(queue);
}

std::uint32_t TxRates::pool_tx_rate(std::uint16_t pool) const { return pool < pools_ ? pool_megabits_[pool] : 0; }

void TxRates::set_pools(std::size_t pools) noexcept {
  pools_ = pools;
  for (std::size_t pool = pools; pool < pool_megabits_.size(); ++pool) pool_megabits_[pool] = 0;
}

void TxRates::set_functions(std::uint32_t functions) noexcept {
  functions_ = functions;
  pool_megabits_.fill(0);
  uses_both_.reset();
}

TxRates::Rate TxRates::own_rate_of(std::uint32_t queue) const noexcept {
  if (functions_ == 0) return {.megabits = megabits_[queue]};
  return {.megabits = queue == functions_ ? megabits_[0] : 0};
}

// A function's drivers use one queue, which has the whole limit. The second queue has next to nothing until the
// function enables it; then both have a half. So their sum never exceeds the limit by more than that.
TxRates::Rate TxRates::function_rate_of(std::uint32_t queue) const noexcept {
  const std::uint32_t function = hw::igb::pool_of(queue);
  const std::uint32_t megabits = pool_megabits_[function];
  if (uses_both_[function]) return {.megabits = megabits, .queues = kQueuesOfAPool};
  return {.megabits = megabits, .is_slowest = queue != function && megabits != 0};
}

void TxRates::note_second_queue(std::uint32_t function, bool used) {
  if (uses_both_[function] == used) return;
  uses_both_[function] = used;
  if (speed_ != 0) write_pool(function);
}

// The lower one of the queue's own limit and its share of the pool's.
TxRates::Rate TxRates::rate_of(std::uint32_t queue) const noexcept {
  const std::uint32_t number = hw::igb::pool_of(queue);
  if (number < functions_) return function_rate_of(queue);
  const Rate own = own_rate_of(queue);
  const Rate pool{.megabits = pool_megabits_[number],
                  .queues = number + hw::igb::kPools < queues_ ? kQueuesOfAPool : 1};
  if (pool.megabits == 0) return own;
  return own.megabits != 0 && own.megabits * pool.queues < pool.megabits ? own : pool;
}

void TxRates::follow(const Link& link) {
  if (!link.up || link.speed == speed_) return;
  const bool is_first = speed_ == 0;
  speed_ = link.speed;
  for (std::uint32_t queue = 0; queue < megabits_.size(); ++queue) {
    if (rate_of(queue).megabits != 0 || !is_first) write(queue);
  }
}

// [I-TXRATE] Linux, igb_main.c, igb_set_vf_rate_limit. A limit that the link cannot exceed is none.
void TxRates::write(std::uint32_t queue) const {
  constexpr std::uint32_t kOne = 1U << 14;
  const Rate rate = rate_of(queue);
  const std::uint32_t shares = speed_ * rate.queues;
  card_.regs.write<reg::RTTDQSEL>(reg::RTTDQSEL::QUEUE(queue));
  card_.regs.write<reg::RTTBCNRM>(reg::RTTBCNRM::MMW_SIZE(kCatchUp));
  if (rate.is_slowest) {
    card_.regs.write<reg::RTTBCNRC>(reg::RTTBCNRC::RS_ENA | reg::RTTBCNRC::RF_INT(kOne - 1));
  } else if (rate.megabits == 0 || rate.megabits >= shares) {
    card_.regs.write<reg::RTTBCNRC>({});
  } else {
    card_.regs.write<reg::RTTBCNRC>(reg::RTTBCNRC::RS_ENA | reg::RTTBCNRC::RF_INT(shares / rate.megabits) |
                                    reg::RTTBCNRC::RF_DEC(shares % rate.megabits * kOne / rate.megabits));
  }
  card_.regs.flush();
}

}  // namespace pollux::drivers::igb
