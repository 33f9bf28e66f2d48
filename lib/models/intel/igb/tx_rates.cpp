// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/tx_rates.hpp"

#include <algorithm>

namespace pollux::models::igb {

TxRates::TxRates(RegisterFile& registers, Timers& timers) : registers_(registers), timers_(timers) {
  registers_.on_write<hw::RTTDQSEL>(
      [this](std::uint32_t, std::uint32_t value) { selected_ = hw::RTTDQSEL::Value(value).get(hw::RTTDQSEL::QUEUE); });
  registers_.on_write<hw::RTTBCNRC>([this](std::uint32_t, std::uint32_t value) {
    rate_[selected_] = hw::RTTBCNRC::Value(value);
    if (!rate_[selected_].has(hw::RTTBCNRC::RS_ENA)) next_[selected_] = timers_.now();
  });
}

void TxRates::reset() {
  selected_ = 0;
  rate_.fill({});
  next_.fill(Duration(0));
}

void TxRates::sent(std::uint32_t queue, std::size_t bytes) {
  const hw::RTTBCNRC::Value rate = rate_[queue];
  if (!rate.has(hw::RTTBCNRC::RS_ENA)) return;
  constexpr std::array<std::int64_t, 3> kNanosecondsPerByte{800, 80, 8};
  constexpr std::size_t kPreambleAndGap = 20;
  constexpr std::int64_t kOne = 1 << 14;
  const auto on_wire = static_cast<std::int64_t>(bytes + hw::kCrcBytes + kPreambleAndGap) * kNanosecondsPerByte[speed_];
  const std::int64_t factor = std::int64_t{rate.get(hw::RTTBCNRC::RF_INT)} * kOne + rate.get(hw::RTTBCNRC::RF_DEC);
  next_[queue] = std::max(next_[queue], timers_.now()) + Duration(on_wire * factor / kOne);
}

}  // namespace pollux::models::igb
