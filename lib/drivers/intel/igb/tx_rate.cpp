// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/tx_rate.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint32_t kQueuesOfAPool = 2;

/// Linux, igb_main.c, igb_set_vf_rate_limit: for frames of up to 9.5 KiB.
constexpr std::uint32_t kCatchUp = 0x14;

}  // namespace

void TxRates::note_second_queue(std::uint32_t function, bool used, const Settings& settings) {
  if (uses_both_[function] == used) return;
  uses_both_[function] = used;
  if (speed_ == 0) return;
  for (const std::uint32_t queue : {function, function + card_.traits->pools}) write(queue, rate(queue, settings));
}

// A function's drivers use one queue, which has the whole limit. The second queue has next to nothing until the
// function enables it; then both have a half. So their sum never exceeds the limit by more than that.
TxRates::Rate TxRates::function_rate(std::uint32_t queue, std::uint32_t megabits) const noexcept {
  const std::uint32_t function = pool_of(card_, queue);
  if (uses_both_[function]) return {.megabits = megabits, .queues = kQueuesOfAPool};
  return {.megabits = megabits, .is_slowest = queue != function && megabits != 0};
}

// The lower one of the queue's own limit and its share of the pool's. With functions the port has the queue after
// theirs.
TxRates::Rate TxRates::rate(std::uint32_t queue, const Settings& settings) const noexcept {
  const std::uint32_t number = pool_of(card_, queue);
  const auto functions = static_cast<std::uint32_t>(settings.functions.size());
  if (number < functions) return function_rate(queue, settings.functions[number].max_rate);
  if (functions != 0 && queue != functions) return {};
  const Rate own{.megabits = rate_of(settings.tx_rates, static_cast<std::uint16_t>(queue - functions))};
  const Rate pool{.megabits = rate_of(settings.pool_tx_rates, static_cast<std::uint16_t>(number)),
                  .queues = number + card_.traits->pools < settings.queues.tx_queues() ? kQueuesOfAPool : 1};
  if (pool.megabits == 0) return own;
  return own.megabits != 0 && own.megabits * pool.queues < pool.megabits ? own : pool;
}

void TxRates::apply(const Settings& from, const Settings& to) const {
  for (std::uint32_t queue = 0; speed_ != 0 && queue < card_.traits->queues; ++queue) {
    if (const Rate wanted = rate(queue, to); wanted != rate(queue, from)) write(queue, wanted);
  }
}

void TxRates::follow(const Link& link, const Settings& settings) {
  if (!link.up || link.speed == speed_) return;
  const bool is_first = speed_ == 0;
  speed_ = link.speed;
  for (std::uint32_t queue = 0; queue < card_.traits->queues; ++queue) {
    if (const Rate wanted = rate(queue, settings); wanted.megabits != 0 || !is_first) write(queue, wanted);
  }
}

// [I-TXRATE] Linux, igb_main.c, igb_set_vf_rate_limit. A limit that the link cannot exceed is none.
void TxRates::write(std::uint32_t queue, const Rate& rate) const {
  constexpr std::uint32_t kOne = 1U << 14;
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
