// SPDX-License-Identifier: BSD-3-Clause
// The port's handover to another program, and from one: ADR 23. One of both has the card at any time. It goes from the
// one to the other with its queues disabled, and all else as it is.
#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "device/device_handover.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "net/handover/device_record.hpp"
#include "net/json/settings_json.hpp"

namespace pollux::drivers::igb {
namespace {

using handover::Json;

/// Settings with a state in the driver that no register has.
constexpr std::array kKeptInside{"functions",       "rules", "stamps",   "packet_buffers",
                                 "clock_frequency", "pools", "loopback", "led"};
/// Settings that concern the program alone.
constexpr std::array kOfTheProgram{"rx", "tx", "burst_mode", "count_bytes", "tx_timeout", "rx_timeout", "wake"};

/// How long a thread may take to end its burst.
constexpr Duration kPauseLimit = std::chrono::milliseconds(100);
constexpr const char* kMac = "mac";
constexpr const char* kRestart = "end this program, then start the new one";

}  // namespace

bool IgbPort::is_shared() noexcept {
  const DeviceHandover* const handover = device_ != nullptr ? device_->handover() : nullptr;
  return handover != nullptr && handover->is_shared();
}

Result<void> IgbPort::check_states(const Settings& settings, const char* what) const {
  const Json own = json::settings_json(settings);
  const Json initial = json::settings_json(Settings{});
  for (const char* const name : kKeptInside) {
    if (own.at(name) == initial.at(name)) continue;
    return fail(ErrorCode::not_supported,
                fmt::format("{}: cannot be {}: '{}' is set, and the driver has a part of it", card_.name, what, name),
                kRestart);
  }
  return {};
}

Result<handover::PortHandover::Offer> IgbPort::describe() {
  if (kept_.card != nullptr) {
    return fail(ErrorCode::not_supported, fmt::format("{}: cannot be handed over: it is kept", card_.name),
                "end this program, then start the new one; or open the port without keep=");
  }
  if (auto can = check_states(settings(), "handed over"); !can) return pass_on(std::move(can));
  for (std::uint32_t queue = 0; queue < std::max(config().rx_queues(), config().tx_queues()); ++queue) {
    if ((queue < config().rx_queues() && queues()->rx(queue)->is_borrowed()) ||
        (queue < config().tx_queues() && queues()->tx(queue)->is_borrowed())) {
      return fail(ErrorCode::not_supported,
                  fmt::format("{}: cannot be handed over: a forward path has queue {}", card_.name, queue), kRestart);
    }
  }
  return offer_card();
}

handover::PortHandover::Offer IgbPort::offer_card() {
  const MacAddress mac = permanent_mac();
  Offer offer;
  offer.details = {{"queues", 0U}, {kMac, std::vector<std::uint64_t>(mac.begin(), mac.end())}};
  handover::add_device(offer, *device_, *context());
  return offer;
}

// A frame that comes from now on waits in the packet buffer, or is counted as missed: it is good, and reaches no ring.
// The heads stay where they are, and the frames before them are in the rings.
Result<bool> IgbPort::stop_receiving() {
  if (!std::exchange(stopped_receiving_, true)) {
    auto closed = queues()->pause_receive(card_.clock(), kPauseLimit);
    if (closed) queues()->for_each_rx([](intel::IntelRxQueue& queue) { queue.ignore_tail(); });
    queues()->resume_receive();
    if (!closed) return pass_on(std::move(closed));
    for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
      if (auto halted = halt_queue({QueueDirection::receive, queue}); !halted) return pass_on(std::move(halted));
    }
  }
  for (std::uint32_t queue = 0; queue < config().rx_queues(); ++queue) {
    const std::uint32_t head = card_.regs.read<reg::RDH>(card_.first_queue + queue).raw();
    if (card_.regs.removed()) return fail_removed(card_.name);
    const intel::IntelRxQueue& rx = *queues()->rx(queue);
    if ((head & rx.slot_mask()) != rx.next_slot()) return false;
  }
  return true;
}

Result<std::vector<handover::QueueRecord>> IgbPort::freeze() {
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) {
    if (auto halted = halt_queue({QueueDirection::transmit, queue}); !halted) return pass_on(std::move(halted));
  }
  if (!intel::queues_disabled(card_, config().rx_queues(), config().tx_queues())) {
    return fail(ErrorCode::busy, fmt::format("{}: a queue was started during the handover", card_.name),
                "start the new program again");
  }
  // A read clears the counters, so the successor counts from here.
  statistics_.accumulate();
  statistics_.detach();
  return std::vector<handover::QueueRecord>();
}

bool IgbPort::thaw() noexcept {
  stopped_receiving_ = false;
  if (running()) attach_to_counters(gigabit::CardStatistics::Before::counts);
  return true;
}

void IgbPort::leave() noexcept {
  has_card_ = false;
  device_->handover()->leave();
}

std::shared_ptr<handover::TakenPort> IgbPort::find_taken() const {
  return handover::inheritance(*context()).find("igb", [this](const handover::PortRecord& record) {
    return handover::device_of(record) == device_->name();
  });
}

Result<void> IgbPort::share_card() {
  has_card_ = false;
  const auto from = find_taken();
  if (from == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: another driver has the card in the program that hands it over", card_.name),
                "end that program, then start this one");
  }
  return use_card_of(from->record);
}

Result<void> IgbPort::use_card_of(const handover::PortRecord& record) {
  const auto mac = handover::numbers(record.details, kMac, MacAddress().size(), 0xFF);
  if (!mac) return tl::unexpected<Error>(mac.error());
  if (mac->size() != MacAddress().size()) return handover::malformed("the card has no address");
  auto bar = device_->bar(reg::kRegisterBar);
  if (!bar) return pass_on(std::move(bar));
  card_.regs = reg::Registers(*bar);
  if (card_.regs.removed()) return fail_removed(card_.name);
  MacAddress own{};
  std::ranges::transform(*mac, own.begin(), [](std::uint64_t byte) { return static_cast<std::uint8_t>(byte); });
  use_permanent_mac(own);
  return {};
}

// What differs is not written: a change of a running port is a step of its own.
Result<void> IgbPort::check_same(const Json& theirs) const {
  const Json own = json::settings_json(settings());
  const auto differs = [this](std::string_view what) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} from the program that hands it over", card_.name, what),
                "start it with the same ones; change them afterwards, or restart without a handover");
  };
  for (const char* const direction : {"rx", "tx"}) {
    if (!theirs.contains(direction) || theirs.at(direction).size() != own.at(direction).size())
      return differs("the numbers of queues differ");
  }
  for (const auto& [name, value] : own.items()) {
    if (std::ranges::find(kOfTheProgram, name) != kOfTheProgram.end()) continue;
    if (!theirs.contains(name) || theirs.at(name) != value)
      return differs(fmt::format("the setting '{}' differs", name));
  }
  if (theirs.size() != own.size()) return differs("it knows other settings, as it differs in version,");
  return {};
}

Result<void> IgbPort::take_over(const std::shared_ptr<handover::TakenPort>& from) {
  if (auto same = check_same(from->record.settings); !same) return same;
  if (auto frozen = handover::inheritance(*context()).freeze(); !frozen) return frozen;
  follow_settings(settings());
  from->started = true;
  from->continue_with = [this] { return continue_card(); };
  return {};
}

// The card's queues are disabled, and its link, filters and interrupt causes are as the settings say. The queues come
// first: they are waited for. The kernel writes PCI_COMMAND when it exchanges the vectors, at which a card of QEMU's
// loses the frame that waits for a queue (hw/net/igb.c, igb_write_config).
Result<void> IgbPort::continue_card() {
  has_card_ = true;
  attach_to_counters(gigabit::CardStatistics::Before::counts);
  begin_receive();
  return start_queues();
}

Result<void> IgbPort::start_queues() {
  dma_ended_ = false;
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) {
    if (auto started = start_queue({QueueDirection::transmit, queue}); !started) return started;
  }
  write_split_types(card_, config());
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    const std::uint32_t tail = card_.regs.read<reg::RDT>(card_.first_queue + queue).raw();
    auto started = intel::start_queue(card_, {QueueDirection::receive, queue}, *queues(), rings(), config(),
                                      tail < rings().rx(queue).size);
    if (!started) return started;
  }
  if (auto owned = device_->handover()->own(); !owned) return owned;
  enable_interrupts(card_, *queues(), config().rx_queues());
  moderate(settings());
  return flush_registers(card_);
}

}  // namespace pollux::drivers::igb
