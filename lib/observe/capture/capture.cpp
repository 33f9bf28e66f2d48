// SPDX-License-Identifier: BSD-3-Clause
// Capture: its options, and its taps' connection to the port.
#include "pollux/observe/capture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mem/context_state.hpp"
#include "mem/leave_to_parent.hpp"
#include "net/port_core.hpp"
#include "observe/capture/capture_core.hpp"

namespace pollux {

/// For layers that keep a reference to a port which its owner may destroy meanwhile: PortCore::is_retired.
struct PortAccess {
  [[nodiscard]] static const std::shared_ptr<PortCore>& core(const Port& port) noexcept { return port.core_; }
};

namespace {

constexpr std::uint32_t kMaxSnaplen = 262144;  // that of tcpdump
constexpr std::size_t kMaxCounters = 0xFFFF;

Result<void> check(const CaptureOptions& options, const std::string& port) {
  const auto refuse = [&](const std::string& what, const char* hint) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: capture: {}", port, what), hint);
  };
  if (options.snaplen == 0 || options.snaplen > kMaxSnaplen)
    return refuse(fmt::format("a snapshot length of {} bytes", options.snaplen), "use 1 to 262144");
  const std::size_t least = 2 * (options.snaplen + 2 * sizeof(observe::FrameRecord));
  if (options.ring_bytes < std::max(least, observe::FrameRing::kMinBytes) ||
      options.ring_bytes > observe::FrameRing::kMaxBytes) {
    return refuse(fmt::format("a ring of {} bytes for frames of up to {}", options.ring_bytes, options.snaplen),
                  "use 4 KiB to 256 MiB, and at least twice the bytes of a frame and its record");
  }
  if (options.drops.size() > kMaxCounters) return refuse("too many drop counters", "use at most 65535");
  if (!options.receive && !options.transmit && options.drops.empty())
    return refuse("neither direction is selected", "capture received or sent frames, or both");
  return {};
}

/// Keeps what could not be detached, because a thread did not leave its burst: it may still use it.
class CaptureStore {
 public:
  void keep(std::shared_ptr<void> core) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(core));
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace

Capture::Core::Core(std::shared_ptr<ContextState> context, std::shared_ptr<PortCore> port,
                    const CaptureOptions& options, observe::FrameFilter filter)
    : context_(std::move(context)),
      port_(std::move(port)),
      options_(options),
      settings_{.filter = std::move(filter), .snaplen = options.snaplen, .ring_bytes = options.ring_bytes} {}

Capture::Core::~Core() = default;

// The caller holds the port's lock.
Result<void> Capture::Core::make_taps() {
  const EffectiveConfig config = port_->machine().config();
  const auto count = [](const auto& queues) { return static_cast<std::uint16_t>(queues.size()); };
  const std::uint16_t rx = count(config.rx);
  const std::uint16_t tx = count(config.tx);
  if (rx == 0 && tx == 0) {
    return fail(ErrorCode::bad_state, fmt::format("{}: capture: the port has no queues", name_),
                "configure the port first");
  }
  if (options_.queue && *options_.queue >= std::max(rx, tx)) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: capture: there is no queue {}", name_, *options_.queue),
                fmt::format("name one below {}", std::max(rx, tx)));
  }
  const Clock& clock = context_->clock();
  const auto wanted = [&](std::uint16_t queue) { return !options_.queue || *options_.queue == queue; };
  for (std::uint16_t i = 0; options_.receive && i < rx; ++i) {
    if (!wanted(i)) continue;
    rx_.emplace_back(settings_, clock, i);
    sources_.push_back({Source::Kind::receive, i, &rx_.back().tap.tap()});
  }
  for (std::uint16_t i = 0; options_.transmit && i < tx; ++i) {
    if (!wanted(i)) continue;
    tx_.emplace_back(settings_, clock, i);
    sources_.push_back({Source::Kind::transmit, i, &tx_.back().tap.tap()});
  }
  if (!options_.drops.empty()) {
    drops_.emplace(settings_, clock, options_.drops, port_->machine().info().index);
    sources_.push_back({Source::Kind::drops, 0, &drops_->tap()});
  }
  return {};
}

// The caller holds the port's lock.
Result<void> Capture::Core::attach_taps() {
  PortMachine& machine = port_->machine();
  for (Rx& rx : rx_) {
    if (auto attached = machine.attach_observer(rx.queue, static_cast<RxObserver&>(rx.tap)); !attached) return attached;
    rx.attached = true;
  }
  for (Tx& tx : tx_) {
    if (auto attached = machine.attach_observer(tx.queue, static_cast<TxObserver&>(tx.tap)); !attached) return attached;
    tx.attached = true;
  }
  if (drops_) drops_->attach();
  return {};
}

Result<void> Capture::Core::attach() {
  const auto lock = port_->lock();
  note_port();
  if (auto made = make_taps(); !made) return made;
  return attach_taps();
}

Result<void> Capture::Core::detach() {
  if (drops_) drops_->detach();
  const auto lock = port_->lock();
  const bool open = !port_->is_retired() && port_->machine().is_alive();
  Result<void> result;
  const auto detach = [&](auto& one, auto& observer) {
    if (!one.attached) return;
    auto detached = open ? port_->machine().detach_observer(one.queue, observer) : Result<void>();
    // A configuration without the queue has detached it, and so has closing the port.
    const bool stays = !detached && detached.error().code == ErrorCode::timeout;
    one.attached = stays;
    if (stays) result = std::move(detached);
  };
  for (Rx& rx : rx_) detach(rx, static_cast<RxObserver&>(rx.tap));
  for (Tx& tx : tx_) detach(tx, static_cast<TxObserver&>(tx.tap));
  return result;
}

bool Capture::Core::is_port_open() const {
  const auto lock = port_->lock();
  return !port_->is_retired() && port_->machine().state() != PortState::closed;
}

CaptureCounts Capture::Core::counts() const {
  CaptureCounts sum;
  for (const Source& source : sources_) {
    if (source.kind == Source::Kind::drops) continue;
    const CaptureCounts one = source.tap->counts();
    sum.seen += one.seen;
    sum.captured += one.captured;
    sum.lost += one.lost;
  }
  return sum;
}

Result<std::unique_ptr<Capture>> Capture::start(Port& port, const CaptureOptions& options) {
  const std::string& name = port.info().name;
  if (auto good = check(options, name); !good) return pass_on(std::move(good));
  auto filter = observe::FrameFilter::compile(options.filter, name);
  if (!filter) return pass_on(std::move(filter));
  return start(port, options, *std::move(filter));
}

Result<std::unique_ptr<Capture>> Capture::start(Port& port, const CaptureOptions& options,
                                                observe::FrameFilter filter) {
  if (auto good = check(options, port.info().name); !good) return pass_on(std::move(good));
  const std::shared_ptr<PortCore>& port_core = PortAccess::core(port);
  auto core = std::make_shared<Core>(port_core->context().shared_from_this(), port_core, options, std::move(filter));
  std::unique_ptr<Capture> capture(new Capture(std::move(core)));
  // On failure the destructor detaches what was attached.
  if (auto attached = capture->core_->attach(); !attached) return pass_on(std::move(attached));
  return capture;
}

Capture::Capture(std::shared_ptr<Core> core) noexcept : core_(std::move(core)) {}

Capture::~Capture() {
  if (!core_->is_own()) {
    leave_to_parent(std::move(core_));
    return;
  }
  if (core_->detach()) return;
  const auto context = core_->release_context();
  auto* const store = static_cast<CaptureStore*>(context->service_slot(
      typeid(CaptureStore), [] { return std::shared_ptr<void>(std::make_shared<CaptureStore>()); }));
  store->keep(core_);
}

bool Capture::drain(std::vector<std::byte>& out, std::size_t limit) { return core_->drain(out, limit); }
Result<void> Capture::stop() { return core_->detach(); }
void Capture::finish(std::vector<std::byte>& out) { core_->finish(out); }
CaptureCounts Capture::counts() const { return core_->counts(); }
bool Capture::is_port_open() const { return core_->is_port_open(); }

}  // namespace pollux
