// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/wire.hpp"

#include <algorithm>
#include <utility>

namespace pollux::sim {
namespace {

/// Bytes without FCS that a MAC pads short frames to.
constexpr std::size_t kMinFrame = 60;
/// Maximum number of frames taken from a link partner while the lock is held. Bounds how long the lock is held.
constexpr unsigned kMaxFramesPerPoll = 256;
/// The work to deliver a frame, besides that of the card (WorkBudget).
constexpr std::int64_t kArrivalWork = 16;

}  // namespace

Wire::Wire(Clock& clock, const WireOptions& options) : clock_(clock), options_(options) {
  if (options.is_transparent()) return;
  for (unsigned end = 0; end < ends_.size(); ++end) ends_[end].channel.emplace(options, end);
}

std::shared_ptr<Wire> Wire::create(Clock& clock, std::unique_ptr<DeviceModel> left, std::unique_ptr<DeviceModel> right,
                                   const WireOptions& options) {
  std::shared_ptr<Wire> wire(new Wire(clock, options));
  wire->ends_[0].card = std::move(left);
  wire->ends_[1].card = std::move(right);
  wire->ends_[1].card->share_package(*wire->ends_[0].card);
  wire->connect();
  return wire;
}

std::shared_ptr<Wire> Wire::create(Clock& clock, std::unique_ptr<DeviceModel> card, FrameHandler link_partner,
                                   const WireOptions& options) {
  std::shared_ptr<Wire> wire(new Wire(clock, options));
  wire->ends_[0].card = std::move(card);
  wire->ends_[1].handler = std::move(link_partner);
  wire->connect();
  return wire;
}

std::shared_ptr<Wire> Wire::create(Clock& clock, std::unique_ptr<DeviceModel> card,
                                   std::unique_ptr<LinkPartner> link_partner, const WireOptions& options) {
  std::shared_ptr<Wire> wire(new Wire(clock, options));
  wire->ends_[0].card = std::move(card);
  wire->ends_[1].link_partner = std::move(link_partner);
  wire->connect();
  return wire;
}

Wire::~Wire() {
  if (runner_ != nullptr) runner_->stop();
}

void Wire::connect() {
  for (unsigned end = 0; end < ends_.size(); ++end) {
    if (ends_[end].card == nullptr) continue;
    ends_[end].card->set_work_budget(*budget_);
    ends_[end].card->on_transmit([this, end](std::span<const std::byte> frame) { carry(end, frame); });
    ends_[end].card->on_transmit_corrupt([this, end](std::span<const std::byte> frame) { carry(end, frame, true); });
    ends_[end].card->set_carrier(true);
  }
  connect_phys();
  if (auto* const manual = dynamic_cast<ManualClock*>(&clock_)) {
    manual->follow(
        [weak = weak_from_this()](Duration) {
          if (const std::shared_ptr<Wire> wire = weak.lock()) wire->flush();
        },
        [weak = weak_from_this()] {
          const std::shared_ptr<Wire> wire = weak.lock();
          return wire == nullptr ? Time::max() : Time(wire->due_.load(std::memory_order_relaxed));
        },
        weak_from_this());
  }
}

void Wire::connect_phys() {
  if (ends_[0].card == nullptr || ends_[1].card == nullptr) return;
  for (unsigned end = 0; end < ends_.size(); ++end) {
    DeviceModel& from = *ends_[end].card;
    DeviceModel& to = *ends_[1 - end].card;
    to.set_link_partner(from.link_signal());
    from.on_link_signal([&from, &to](Duration now) {
      to.advance(now);
      to.set_link_partner(from.link_signal());
    });
  }
}

DeviceModel* Wire::card_at(unsigned place) const noexcept {
  if (place < ends_.size()) return ends_[place].card.get();
  DeviceModel* const physical = ends_[(place - ends_.size()) / kMaxFunctions].card.get();
  return physical == nullptr ? nullptr : physical->function((place - ends_.size()) % kMaxFunctions);
}

bool Wire::claim(unsigned place) {
  {
    const std::lock_guard guard(*lock_);
    bool& claimed = place < ends_.size() ? ends_[place].claimed : functions_claimed_[place - ends_.size()];
    if (card_at(place) == nullptr || std::exchange(claimed, true)) return false;
  }
  start_or_stop_runner();
  return true;
}

void Wire::release(unsigned place) {
  {
    const std::lock_guard guard(*lock_);
    (place < ends_.size() ? ends_[place].claimed : functions_claimed_[place - ends_.size()]) = false;
    collect_reports(place < ends_.size());
  }
  start_or_stop_runner();
}

// Must not hold the wire's lock: the thread takes it, so waiting for the thread would deadlock.
void Wire::start_or_stop_runner() {
  if (runner_ == nullptr) return;
  const std::lock_guard guard(runner_lock_);
  claimed() ? runner_->start() : runner_->stop();
}

bool Wire::claimed() const {
  const std::lock_guard guard(*lock_);
  const auto& functions = functions_claimed_;
  return ends_[0].claimed || ends_[1].claimed || std::find(functions.begin(), functions.end(), true) != functions.end();
}

Result<void> Wire::run_threaded() {
  if (dynamic_cast<ManualClock*>(&clock_) != nullptr) {
    return fail(ErrorCode::invalid_argument, "a card with its own thread needs a clock in real time",
                "omit `thread`, or give the Context a clock other than ManualClock");
  }
  auto runner = Runner::create(*this);
  if (!runner) return pass_on(std::move(runner));
  runner_ = *std::move(runner);
  return {};
}

void Wire::write_register(const Runner::Write& write) noexcept {
  if (runner_ != nullptr && runner_->post(write)) return;
  with_card(write.place, [&](DeviceModel& card) { card.write(write.bar, write.offset, write.width, write.value); });
}

void Wire::flush() noexcept {
  if (runner_ != nullptr || clock_.now().count() < due_.load(std::memory_order_relaxed)) return;
  const std::lock_guard guard(*lock_);
  catch_up();
  settle();
}

void Wire::write(const Runner::Write& write) noexcept {
  budget_->start(WorkBudget::kPerAccess);
  card_at(write.place)->write(write.bar, write.offset, write.width, write.value);
}

Duration Wire::run() {
  const std::lock_guard guard(*lock_);
  catch_up();
  settle();
  const Duration next = std::min(next_on_cards(), next_from_link_partner());
  return next <= now_ ? Duration(0) : next - now_;
}

void Wire::catch_up() {
  run_until(clock_.now());
  if (runner_ != nullptr) runner_->process_posted();
}

void Wire::run_until(Duration now) {
  process_arrivals(now);
  if (ends_[1].link_partner != nullptr) poll_link_partner(now);
  advance_cards(now);
}

// Returns the work that this was (WorkBudget).
std::int64_t Wire::advance_cards(Duration now) {
  std::int64_t work = 0;
  now_ = std::max(now_, now);
  for (End& end : ends_) {
    if (end.card == nullptr) continue;
    budget_->start(WorkBudget::kPerAdvance);
    end.card->advance(now_);
    work += WorkBudget::kPerAdvance - budget_->left();
  }
  return work;
}

void Wire::settle() {
  process_arrivals(now_);
  collect_reports(false);
  const Duration cards = next_on_cards();
  const Duration due = std::min(cards, next_from_link_partner());
  due_.store(due.count(), std::memory_order_relaxed);
  const LinkPartner* const partner = ends_[1].link_partner.get();
  const int descriptor = partner == nullptr ? -1 : partner->descriptor();
  wakeup_.store((descriptor >= 0 ? cards : due).count(), std::memory_order_relaxed);
  wakeup_descriptor_.store(descriptor >= 0 && takes_from_link_partner() ? descriptor : -1, std::memory_order_relaxed);
}

void Wire::collect_reports(bool closing) {
  if (ends_[1].link_partner != nullptr) {
    while (auto report = ends_[1].link_partner->take_report(closing)) reports_.push_back(*std::move(report));
  }
  has_reports_.store(!reports_.empty(), std::memory_order_relaxed);
}

std::vector<WireReport> Wire::take_reports() {
  const std::lock_guard guard(*lock_);
  has_reports_.store(false, std::memory_order_relaxed);
  return std::exchange(reports_, {});
}

// Processes events on the wire in order, each at its own time. So two runs with the same clock behave the same, even if
// they poll at different moments. What is more than the work of an `advance` comes with the next call: cards may send
// faster than their frames can be delivered. All that arrives at one time is delivered at once.
void Wire::process_arrivals(Duration now) {
  if (!ends_[0].channel) return;
  std::int64_t left = WorkBudget::kPerAdvance;
  for (Duration next = next_on_wire(); next <= now && left > 0; next = next_on_wire()) {
    left -= advance_cards(next) + kArrivalWork;
    const std::int64_t before = budget_->left();
    for (unsigned from = 0; from < ends_.size(); ++from) {
      End& end = ends_[from];
      while (auto frame = end.channel->take(next, end.sent)) {
        left -= kArrivalWork;
        deliver(from, frame->bytes, frame->corrupt);
      }
      if (!end.paused || end.channel->congested(now_)) continue;
      end.paused = false;
      if (end.card != nullptr) end.card->set_wire_busy(false);
    }
    left -= before - budget_->left();
  }
}

Duration Wire::next_on_wire() const noexcept {
  Duration next = Duration::max();
  for (const End& end : ends_) {
    if (!end.channel) continue;
    next = std::min(next, end.channel->next());
    if (end.paused) next = std::min(next, end.channel->free_at());
  }
  return next;
}

Duration Wire::next_on_cards() const noexcept {
  Duration next = next_on_wire();
  for (const End& end : ends_) {
    if (end.card != nullptr) next = std::min(next, end.card->next_event());
  }
  return next;
}

// At least one interval from now: a card that accepts no frames must not make a waiting caller spin.
Duration Wire::next_from_link_partner() const noexcept {
  const LinkPartner* const partner = ends_[1].link_partner.get();
  return partner == nullptr ? Duration::max() : std::max(partner->next(), now_ + kLinkPartnerInterval);
}

// While this is false, the link partner's descriptor may stay readable. Only an access or a timer of the card, or the
// wire, can make it true.
bool Wire::takes_from_link_partner() const noexcept {
  const End& end = ends_[1];
  return ends_[0].claimed && ends_[0].card->can_receive() && !(end.channel && end.channel->congested(now_));
}

// The link partner keeps its frames until the card can receive them, like a switch that received a pause frame.
void Wire::poll_link_partner(Duration now) {
  End& end = ends_[1];
  if (end.link_partner->next() > now || !ends_[0].claimed) return;
  budget_->start(WorkBudget::kPerAccess);
  for (unsigned taken = 0; taken < kMaxFramesPerPoll && ends_[0].card->can_receive(); ++taken) {
    if (end.channel && end.channel->congested(now)) return;
    const auto frame = end.link_partner->receive(now);
    if (!frame) return;
    now_ = std::max(now_, now);
    if (frame->size() >= kMinFrame) {
      carry(1, *frame);
    } else {
      padded_.assign(frame->begin(), frame->end());
      padded_.resize(kMinFrame);
      carry(1, padded_);
    }
  }
}

void Wire::inject(std::span<const std::byte> frame) {
  const std::lock_guard guard(*lock_);
  catch_up();
  budget_->start(WorkBudget::kPerAccess);
  carry(1, frame);
  settle();
}

void Wire::set_carrier(bool present) {
  const std::lock_guard guard(*lock_);
  catch_up();
  budget_->start(WorkBudget::kPerAccess);
  for (End& end : ends_) {
    if (end.card != nullptr) end.card->set_carrier(present);
  }
  settle();
}

WireCounters Wire::counters(unsigned end) const {
  const std::lock_guard guard(*lock_);
  WireCounters sent = ends_[end].sent;
  if (ends_[end].link_partner != nullptr) {
    sent.entered += ends_[end].link_partner->left_out();
    sent.dropped_link_partner += ends_[end].link_partner->left_out();
  }
  return sent;
}

// Recursive call: a card that answers a frame at once calls this function while the first frame is being delivered. The
// second frame is queued.
void Wire::carry(unsigned from, std::span<const std::byte> frame, bool corrupt) {
  budget_->charge_frame(frame.size());
  if (capture_) {
    capture_->put(frame, now_);
    if (!capture_->flush()) {
      reports_.push_back({.text = capture_->error().message()});
      capture_.reset();
    }
  }
  End& end = ends_[from];
  if (end.channel) {
    end.channel->put(frame, now_, end.sent, corrupt);
    if (end.paused || !end.channel->congested(now_)) return;
    end.paused = true;
    if (end.card != nullptr) end.card->set_wire_busy(true);
    return;
  }
  ++end.sent.entered;
  if (delivering_) {
    ++end.sent.in_flight;
    queue_.push_back({from, {frame.begin(), frame.end()}, corrupt});
    return;
  }
  delivering_ = true;
  deliver(from, frame, corrupt);
  while (!queue_.empty()) {
    const Frame next = std::move(queue_.front());
    queue_.pop_front();
    --ends_[next.from].sent.in_flight;
    deliver(next.from, next.bytes, next.corrupt);
  }
  delivering_ = false;
}

void Wire::deliver(unsigned from, std::span<const std::byte> frame, bool corrupt) {
  End& to = ends_[1 - from];
  WireCounters& counters = ends_[from].sent;
  if (to.card != nullptr && to.claimed) {
    ++counters.carried;
    if (corrupt) return to.card->receive_corrupt(frame);
    to.card->receive(frame);
  } else if (to.handler && !corrupt) {
    ++counters.carried;
    to.handler(frame);
  } else if (to.card != nullptr) {
    ++counters.dropped_unopened;
  } else if (to.link_partner != nullptr && !corrupt && to.link_partner->send(frame, now_)) {
    ++counters.carried;
  } else {
    ++counters.dropped_link_partner;  // a link partner does not pass on a frame with a wrong check sequence
  }
}

}  // namespace pollux::sim
