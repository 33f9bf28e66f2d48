// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/tx_rate.hpp"

#include <algorithm>

#include "net/config_check.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint32_t kFastest = 1000;  // Mb/s

/// Linux, igb_main.c, igb_set_vf_rate_limit: for frames of up to 9.5 KiB.
constexpr std::uint32_t kCatchUp = 0x14;

}  // namespace

Result<void> TxRates::set_tx_rate(std::uint16_t queue, std::uint32_t megabits) {
  if (!card_.regs.bar()) {
    return fail(ErrorCode::bad_state, fmt::format("{}: the port is closed", card_.name), "open it again");
  }
  if (queue >= megabits_.size() || queue >= card_.traits->queues) {
    return refuse(card_.name, fmt::format("rate limit: there is no transmit queue {}", queue),
                  fmt::format("the card has {} of them, counted from 0", card_.traits->queues));
  }
  if (megabits > kFastest) {
    return refuse(card_.name, fmt::format("rate limit: {} Mb/s is more than {} Mb/s", megabits, kFastest),
                  "use 0 for no limit");
  }
  if (card_.regs.removed()) return fail_removed(card_.name);
  megabits_[queue] = megabits;
  if (speed_ != 0) write(queue);
  return {};
}

std::uint32_t TxRates::tx_rate(std::uint16_t queue) const { return queue < megabits_.size() ? megabits_[queue] : 0; }

void TxRates::follow(const Link& link) {
  if (!link.up || link.speed == speed_) return;
  const bool is_first = speed_ == 0;
  speed_ = link.speed;
  for (std::uint32_t queue = 0; queue < megabits_.size(); ++queue) {
    if (megabits_[queue] != 0 || !is_first) write(queue);
  }
}

// [I-TXRATE] Linux, igb_main.c, igb_set_vf_rate_limit. A limit that the link cannot exceed is none.
void TxRates::write(std::uint32_t queue) const {
  constexpr std::uint32_t kOne = 1U << 14;
  const std::uint32_t rate = megabits_[queue];
  card_.regs.write<reg::RTTDQSEL>(reg::RTTDQSEL::QUEUE(queue));
  card_.regs.write<reg::RTTBCNRM>(reg::RTTBCNRM::MMW_SIZE(kCatchUp));
  if (rate == 0 || rate >= speed_) {
    card_.regs.write<reg::RTTBCNRC>({});
  } else {
    card_.regs.write<reg::RTTBCNRC>(reg::RTTBCNRC::RS_ENA | reg::RTTBCNRC::RF_INT(speed_ / rate) |
                                    reg::RTTBCNRC::RF_DEC(speed_ % rate * kOne / rate));
  }
  card_.regs.flush();
}

}  // namespace pollux::drivers::igb
