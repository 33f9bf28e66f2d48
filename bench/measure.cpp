// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include <algorithm>

#include "cycles.hpp"
#include "faked_card.hpp"

namespace pollux::bench {

double cycles_of_round(Workload& workload, double overhead) {
  double cycles = 0;
  for (std::uint32_t piece = 0; piece < workload.pieces(); ++piece) {
    workload.prepare();
    const std::uint64_t start = start_cycles();
    workload.run();
    cycles += std::max(0.0, static_cast<double>(stop_cycles() - start) - overhead);
  }
  return cycles;
}

Counts counts_of(const Case& one, Setup setup) {
  setup.eighths = 4;
  setup.cold = false;
  const std::unique_ptr<Workload> made = one.make(setup);
  Workload& workload = *made;
  // Warm up rings and caches.
  for (std::uint32_t round = 0; round < 2 * workload.rounds(); ++round) {
    workload.prepare();
    workload.run();
  }
  const FakedCard* const card = workload.card();
  InstructionCounter counter(card == nullptr ? nullptr : card->rx_tail(workload.card_queue()),
                             card == nullptr ? nullptr : card->tx_tail(workload.card_queue()));
  std::uint64_t instructions = 0;
  FakedCard::Sent before;
  for (std::uint32_t round = 0; round < workload.rounds(); ++round) {
    workload.prepare();  // the card sends the frames of the previous round
    if (round == 0 && card != nullptr) before = card->sent(workload.card_queue());
    counter.start();
    workload.run();
    instructions += counter.stop();
  }
  const double operations = static_cast<double>(workload.rounds()) * workload.operations();
  Counts counts{.instructions = static_cast<double>(instructions) / operations};
  if (card == nullptr) return counts;
  workload.prepare();
  const FakedCard::Sent& after = card->sent(workload.card_queue());
  counts.doorbells = static_cast<double>(InstructionCounter::changes()) / operations;
  counts.descriptors = static_cast<double>(after.descriptors - before.descriptors) / operations;
  counts.write_backs = static_cast<double>(after.write_backs - before.write_backs) / operations;
  return counts;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace pollux::bench
