// SPDX-License-Identifier: BSD-3-Clause
// A port that a keeper holds, and what is left of one after a crash: ADR 25. The card is as the program left it, and
// its queues run, into memory that stays pinned by the mappings. So they are disabled first, the frames are counted,
// and the mappings exchanged; then the queues get new rings, as after a handover.
#include <algorithm>

#include <fmt/format.h>

#include "device/device_handover.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "net/handover/device_record.hpp"

namespace pollux::drivers::igb {
namespace {

using handover::Json;
using handover::KeptCard;

constexpr const char* kArea = "area";
constexpr const char* kLosses = "losses";
constexpr const char* kReceiving = "receiving";
constexpr const char* kRx = "rx";
constexpr const char* kTx = "tx";
static_assert(kCardCounters.size() + gigabit::CardStatistics::kMaxQueues <= intel::KeptQueues::kMaxCounters);
constexpr std::size_t kMostNumbers = intel::KeptQueues::kMaxQueues * intel::KeptQueues::kNumbers;

}  // namespace

// The queues are not in the memory that tells of the program before.
IgbPort::KeptParts::KeptParts(std::shared_ptr<KeptCard> of) : card(std::move(of)) {
  if (card == nullptr) return;
  if (card->record) {
    const auto theirs = handover::number(card->record->details, kArea, KeptCard::kAreas - 1);
    area = theirs && *theirs == 0 ? 1 : 0;
  }
  queues = std::make_shared<intel::KeptQueues>(card, card->area(area), KeptCard::kArea);
}

Result<void> IgbPort::recover_card() {
  const auto recover = [&]() -> Result<void> {
    if (auto used = use_card_of(*kept_.card->record); !used) return used;
    if (auto halted = halt_left_queues(); !halted) return halted;
    if (auto counted = count_losses(kept_.card->record->details); !counted) return counted;
    return device_->handover()->exchange_memory();
  };
  auto recovered = recover();
  if (recovered) return {};
  handover::report_anew(*context(), card_.name, recovered.error());
  kept_.card->record.reset();
  kept_.left.reset();
  if (auto owned = device_->handover()->own(); !owned) return owned;
  if (auto off = device_->set_bus_master(false); !off) return off;
  if (auto exchanged = device_->handover()->exchange_memory(); !exchanged) return exchanged;
  return take_card();
}

// All of the card's, whichever that program had. What was given to the card is sent first, as at any stop.
Result<void> IgbPort::halt_left_queues() {
  const std::uint32_t queues = card_.traits->queues;
  const auto each = [queues](auto does) {
    for (std::uint32_t queue = 0; queue < queues; ++queue) {
      if (!does(queue)) return false;
    }
    return true;
  };
  const auto receives = [&](std::uint32_t queue) {
    return card_.regs.read<reg::RXDCTL>(queue).has(reg::RXDCTL::ENABLE);
  };
  const auto sends = [&](std::uint32_t queue) { return card_.regs.read<reg::TXDCTL>(queue).has(reg::TXDCTL::ENABLE); };
  for (std::uint32_t queue = 0; queue < queues; ++queue) {
    if (receives(queue)) intel::clear<reg::RXDCTL>(card_, reg::RXDCTL::ENABLE, queue);
  }
  if (card_.regs.read<reg::STATUS>().has(reg::STATUS::LU)) {
    intel::wait_for_transmit(card_, [&] {
      return each([&](std::uint32_t queue) {
        return !sends(queue) || card_.regs.read<reg::TDH>(queue).raw() == card_.regs.read<reg::TDT>(queue).raw();
      });
    });
  }
  for (std::uint32_t queue = 0; queue < queues; ++queue) {
    if (sends(queue)) intel::clear<reg::TXDCTL>(card_, reg::TXDCTL::ENABLE, queue);
  }
  auto halted =
      intel::wait_for(card_, "the end of the queues of a program that crashed", intel::kQueueEnableLimit,
                      [&] { return each([&](std::uint32_t queue) { return !receives(queue) && !sends(queue); }); });
  card_.clock().sleep_for(intel::kQueueQuietTime);
  return halted;
}

// Nothing of it changes what that program left, but that the counters of the card are added to its own. So a successor
// that ends before `record_kept` is followed by one that finds the same.
Result<void> IgbPort::count_losses(const Json& details) {
  const auto area = handover::number(details, kArea, KeptCard::kAreas - 1);
  const auto losses = handover::numbers(details, kLosses, 3, ~std::uint64_t{0});
  gigabit::CardStatistics::Receiving left{};
  const auto receiving = handover::numbers(details, kReceiving, left.missed.size() + 1, ~std::uint64_t{0});
  const auto rx = handover::numbers(details, kRx, kMostNumbers, ~std::uint64_t{0});
  const auto tx = handover::numbers(details, kTx, kMostNumbers, ~std::uint64_t{0});
  if (!area || !losses || losses->size() != 3 || !receiving || receiving->size() != left.missed.size() + 1 || !rx ||
      !tx)
    return handover::malformed("it does not tell of the queues");
  std::byte* const words = kept_.card->area(static_cast<unsigned>(*area));
  const auto received = intel::KeptQueues::find(words, KeptCard::kArea, true, *rx);
  if (!received) return tl::unexpected<Error>(received.error());
  const auto sent = intel::KeptQueues::find(words, KeptCard::kArea, false, *tx);
  if (!sent) return tl::unexpected<Error>(sent.error());
  statistics_.count_in(intel::KeptQueues::counters(words, statistics_.words()), true);
  attach_to_counters(gigabit::CardStatistics::Before::counts);
  statistics_.accumulate();
  std::copy_n(receiving->begin(), left.missed.size(), left.missed.begin());
  left.before = receiving->back();
  kept_.losses = {.lost = (*losses)[0], .received = (*losses)[1], .sent = (*losses)[2]};
  for (std::uint32_t queue = 0; queue < received->size(); ++queue) {
    const std::uint64_t lost = (*received)[queue].unreturned(card_.regs.read<reg::RDH>(queue).raw());
    left.before += (*received)[queue].all + lost;
    kept_.losses.lost += lost;
    kept_.losses.received += (*received)[queue].all;
  }
  for (std::uint32_t queue = 0; queue < sent->size(); ++queue) {
    const std::uint32_t head = card_.regs.read<reg::TDH>(queue).raw();
    kept_.losses.lost += (*sent)[queue].unsent(head);
    kept_.losses.sent += (*sent)[queue].sent(head);
  }
  if (card_.regs.removed()) return fail_removed(card_.name);
  kept_.left = left;
  return {};
}

Result<void> IgbPort::check_kept(const Settings& settings) const {
  const std::uint32_t longest = limit_bytes(card_, receive_limit(settings));
  for (const PlacedRxQueue& queue : config().rx) {
    if (queue.buffer_bytes >= longest) continue;
    return fail(ErrorCode::not_supported,
                fmt::format("{}: cannot be kept: frames of {} bytes need several buffers", card_.name, longest),
                "choose a smaller mtu, or a pool with larger buffers; or leave out keep=");
  }
  return check_states(settings, "kept");
}

Result<bool> IgbPort::continue_after_crash() {
  if (auto can = check_kept(settings()); !can) return pass_on(std::move(can));
  const auto left = std::exchange(kept_.left, std::nullopt);
  const auto record = std::exchange(kept_.card->record, std::nullopt);
  if (!left || !record) return false;
  if (auto same = check_same(record->settings); !same) {
    handover::report_anew(*context(), card_.name, same.error());
    statistics_.go_on(*left, false, nullptr);
    statistics_.end_receive(0);
    auto owned = device_->handover()->own();
    return owned ? Result<bool>(false) : pass_on(std::move(owned));
  }
  follow_settings(settings());
  begin_receive(&*left);
  start_kept_queues(false);
  statistics_.count_in(kept_.queues->counters(statistics_.words()), false);
  kept_.is_running = true;
  record_kept(settings());
  // From here on a successor that crashes in turn leaves no frames of its own, until the queues have started.
  for (std::uint32_t queue = 0; queue < card_.traits->queues; ++queue) {
    card_.regs.write<reg::RDH>(queue, {});
    card_.regs.write<reg::TDH>(queue, {});
  }
  start_kept_queues(true);
  if (auto started = start_queues(); !started) return pass_on(std::move(started));
  handover::report_crash(*context(), card_.name, kept_.losses);
  store_kept();
  return true;
}

void IgbPort::begin_keeping() {
  start_kept_queues(true);
  statistics_.count_in(kept_.queues->counters(statistics_.words()), false);
  kept_.is_running = true;
  record_kept(settings());
  store_kept();
}

void IgbPort::start_kept_queues(bool started) {
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue)
    kept_.queues->set_started(QueueId::rx(queue), *queues(), started);
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue)
    kept_.queues->set_started(QueueId::tx(queue), *queues(), started);
}

void IgbPort::record_kept(const PlacedSettings& settings) {
  if (!check_kept(settings)) return kept_.card->memory.write_record({});
  Offer offer = offer_card();
  const auto receiving = statistics_.receiving();
  std::vector<std::uint64_t> missed(receiving.missed.begin(), receiving.missed.end());
  missed.push_back(receiving.before);
  offer.details[kArea] = kept_.area;
  offer.details[kLosses] = std::vector{kept_.losses.lost, kept_.losses.received, kept_.losses.sent};
  offer.details[kReceiving] = std::move(missed);
  offer.details[kRx] = kept_.queues->describe(*queues(), true, config().rx_queues());
  offer.details[kTx] = kept_.queues->describe(*queues(), false, config().tx_queues());
  handover::write_kept(kept_.card->memory, info(), settings, offer.details);
}

void IgbPort::store_kept() {
  if (!kept_.card->keeper.must_store()) return;
  Offer offer = offer_card();
  offer.descriptors.emplace_back(handover::kStateFile, kept_.card->file.get());
  kept_.card->keeper.store(*context(), card_.name, std::move(offer.descriptors), handover::kStateFile);
}

void IgbPort::end_keeping() noexcept {
  if (kept_.card == nullptr) return;
  kept_.is_running = false;
  kept_.card->memory.write_record({});
  kept_.card->keeper.end();
}

}  // namespace pollux::drivers::igb
