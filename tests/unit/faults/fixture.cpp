// SPDX-License-Identifier: BSD-3-Clause
#include "unit/faults/fixture.hpp"

#include <fmt/format.h>

#include <utility>

#include "drivers/intel/igb/driver.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

constexpr std::uint64_t kMaxAccesses = 200'000;
/// Virtual time. It is much longer than the longest bounded wait (twice for a semaphore that firmware holds).
constexpr Duration kMaxPhaseTime = std::chrono::seconds(5);

}  // namespace

std::string_view to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::open: return "open";
    case Phase::configure: return "configure";
    case Phase::start: return "start";
    case Phase::traffic: return "traffic";
    case Phase::stop: return "stop";
    case Phase::close: return "close";
  }
  return "?";
}

FaultFixture::FaultFixture(const FaultFixtureOptions& options)
    : options_(options), faults_(std::make_shared<FaultInjector>(plan_of(options))), watch_(options.memory) {
  context_.emplace(ContextOptions{.clock = clock_,
                                  .log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); },
                                  .on_misuse = [this](const Misuse& what) { finding("misuse: " + what.what); },
                                  .huge_pages = HugePages::never,
                                  .arena_size = options.arena_size});
  auto pool = Mempool::create(*context_, {.count = options.pool, .name = "faults"});
  EXPECT_TRUE(pool) << pool.error().message();
  if (pool) pool_.emplace(*std::move(pool));
  wire_ = sim::Wire::create(*clock_, std::make_unique<models::igb::Card>(), [this](std::span<const std::byte> frame) {
    sent_.emplace_back(frame.begin(), frame.end());
  });
}

FaultFixture::~FaultFixture() = default;

FaultPlan FaultFixture::plan_of(const FaultFixtureOptions& options) {
  FaultPlan plan = options.device;
  if (options.action)
    plan.action = [this, injection = std::uint64_t{0}]() mutable { options_.action(*this, injection++); };
  return plan;
}

void FaultFixture::run() {
  if (options_.before_open) options_.before_open(*this);
  open();
  if (port_ != nullptr) {
    enter(Phase::configure);
    if (good(configure_port(*port_, {.rx = {{.pool = *pool_, .ring = kRing}}, .tx = {{.ring = kRing}}, .mtu = 4000}),
             "configure")) {
      start();
    }
    close();
  } else {
    enter(Phase::close);
  }
  check_end();
  outcome_ = describe();
  if (options_.recovers) recover();
}

void FaultFixture::enter(Phase phase) {
  PointCounts& points = points_[static_cast<std::size_t>(phase_)];
  for (std::size_t i = 0; i < kFaultPoints; ++i) points.device[i] = faults_->occurrences(static_cast<FaultPoint>(i));
  for (std::size_t i = 0; i < kModelAccessKinds; ++i)
    points.memory[i] = watch_.occurrences(static_cast<ModelAccess>(i));
  times_[static_cast<std::size_t>(phase_)] = clock_->now() - entered_;
  if (clock_->now() - entered_ > kMaxPhaseTime) finding(fmt::format("{} takes too long", to_string(phase_)));
  phase_ = phase;
  entered_ = clock_->now();
}

std::unique_ptr<Device> FaultFixture::make_device(bool with_fault) {
  auto sim = sim::SimDevice::create(*context_, "sim:0", wire_, 0);
  if (!sim) {
    good(sim, "open");
    return nullptr;
  }
  (*sim)->dma_domain().intercept(&watch_);
  auto device = with_faults(*context_, *std::move(sim), with_fault ? faults_ : std::make_shared<FaultInjector>());
  return good(device, "open") ? *std::move(device) : nullptr;
}

void FaultFixture::open() {
  auto device = make_device(true);
  if (device == nullptr) return;
  auto port = drivers::igb::probe(*context_, std::move(device));
  if (good(port, "open")) port_ = std::make_unique<PortMachine>(context_->state(), *std::move(port));
}

void FaultFixture::start() {
  enter(Phase::start);
  if (!good(port_->start(), "start")) {
    // After the fault, the same port must start.
    if (port_->state() != PortState::configured) return;
    faults_->disable();
    watch_.disable();
    if (auto again = port_->start(); !again) finding("start after the fault: " + again.error().message());
    return;
  }
  enter(Phase::traffic);
  traffic();
  enter(Phase::stop);
  if (port_->state() == PortState::started) stop();
}

void FaultFixture::stop() {
  if (!good(port_->stop(), "stop")) return;
  if (pool_->stats().in_use() != held_mbufs()) finding("a stopped port keeps buffers");
}

void FaultFixture::close() {
  enter(Phase::close);
  failed_ = port_->state() == PortState::failed;
  good(port_->close(), "close");
  enter(Phase::close);
  if (port_->state() != PortState::closed) finding("the port is not closed");
  last_stats_ = port_->stats();
}

/// Checks what must hold at the end of every run.
void FaultFixture::check_end() {
  check_conservation();
  release_held();
  port_.reset();
  if (const std::uint32_t in_use = pool_->stats().in_use(); in_use != 0)
    finding(fmt::format("{} mbufs leaked", in_use));
  if (faults_->occurrences(FaultPoint::access) > kMaxAccesses) finding("more register accesses than all phases need");
  if (watch_.writes_to_held() != 0) finding("the card wrote to a frame that the program owns");
  const std::uint64_t refused = card().with([](models::igb::Card& card) { return card.dma().refused(); });
  if (refused != 0 && !options_.may_refuse_dma)
    finding(fmt::format("{} accesses to memory that is not mapped", refused));
}

/// Opens the same card without the fault and checks that it carries frames.
void FaultFixture::recover() {
  faults_->disable();
  watch_.disable();
  if (options_.before_recovery) options_.before_recovery(*this);
  wire_->set_carrier(true);
  const std::size_t sent_before = sent_.size();
  auto device = make_device(false);
  if (device == nullptr) return finding("the card cannot be opened again");
  auto port = drivers::igb::probe(*context_, std::move(device));
  if (!port) return finding("the card cannot be opened again: " + port.error().message());
  port_ = std::make_unique<PortMachine>(context_->state(), *std::move(port));
  Result<void> step = configure_port(*port_, {.rx = {{.pool = *pool_, .ring = kRing}}, .tx = {{.ring = kRing}}});
  if (step) step = port_->start();
  if (!step) return finding("the card cannot be started again: " + step.error().message());
  no_link_ = false;
  injected_.clear();
  matched_ = received_ = phantoms_ = 0;
  await_link();
  receive(std::array<std::size_t, 2>{60, 1514});
  send(2);
  settle();
  if (no_link_ || received_ != 2 || phantoms_ != 0 || sent_.size() != sent_before + 2) {
    finding("the card that was opened again does not carry frames");
  }
  release_held();
  if (auto closed = port_->close(); !closed) finding("the second port: " + closed.error().message());
  if (pool_->stats().in_use() != 0) finding("the second port leaked mbufs");
}

template <class T>
bool FaultFixture::good(const Result<T>& result, std::string_view call) {
  if (result) return true;
  if (result.error().what.empty()) finding(fmt::format("{}: an error without a text", call));
  errors_.push_back(fmt::format("{}: {}", call, to_string(result.error().code)));
  return false;
}

template bool FaultFixture::good(const Result<void>&, std::string_view);
template bool FaultFixture::good(const Result<Duration>&, std::string_view);

void FaultFixture::finding(std::string what) { findings_.push_back(std::move(what)); }

std::string FaultFixture::describe() const {
  if (!errors_.empty()) {
    std::string text = errors_.front();
    if (errors_.back() != errors_.front() && errors_.back().starts_with("close")) text += ", " + errors_.back();
    return failed_ ? text + ", failed" : text;
  }
  std::string text = "works";
  if (no_link_) text += ", no link";
  for (const Counter& drop : last_stats_.drops) {
    if (drop.value != 0) text += ", " + drop.name;
  }
  if (last_stats_.rx_missed_errors != 0) text += ", rx_missed_errors";
  if (uncounted_) text += ", not received";
  if (phantoms_total_ != 0) text += ", phantom frame";
  if (unsent_) text += ", not sent";
  if (left_over_ != 0) text += ", ring full";
  return text;
}

}  // namespace pollux::test
