// SPDX-License-Identifier: BSD-3-Clause
#include "ports/ring/open_ring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "base/undo.hpp"
#include "mem/context_state.hpp"
#include "ports/common/port.hpp"
#include "ports/ring/queues.hpp"

namespace pollux::ring {
namespace {

constexpr std::array kRxDrops{&RxDrops::filtered, &RxDrops::too_long, &RxDrops::stopped};
constexpr std::array kTxDrops{&TxDrops::no_receiver};
constexpr ports::PortTraits kTraits{.driver = "ring",
                                    .what = "a ring of mbufs",
                                    .limits = software_limits(kQueues, kQueues),
                                    .offloads = software_offloads(0, RxOffload::partial_checksum),
                                    .rx_drops = kRxDrops,
                                    .tx_drops = kTxDrops};

/// The ring pairs of a Context by name. Thread rule: any thread.
class RingPairs {
 public:
  [[nodiscard]] Result<std::shared_ptr<RingPair>> attach(const std::string& name, unsigned end, bool loop,
                                                         std::string_view uri) {
    const std::lock_guard guard(lock_);
    auto& pair = pairs_[name];
    if (pair == nullptr) pair = std::make_shared<RingPair>(loop);
    if (pair->is_loop != loop) {
      return fail(ErrorCode::busy,
                  fmt::format("{}: ring '{}' is open as {}", uri, name, pair->is_loop ? "a loop" : "two ends"),
                  "use another name, or close that port first");
    }
    if (std::exchange(pair->opened[end], true)) {
      return fail(ErrorCode::busy, fmt::format("{}: this end is already open", uri),
                  loop ? fmt::format("for two connected ends write ring:{0}:0 and ring:{0}:1", name)
                       : fmt::format("the other end is ring:{}:{}", name, end ^ 1U));
    }
    return pair;
  }
  void detach(const std::string& name, unsigned end) noexcept {
    const std::lock_guard guard(lock_);
    const auto found = pairs_.find(name);
    if (found == pairs_.end()) return;
    auto& opened = found->second->opened;
    opened[end] = false;
    if (!opened[0] && !opened[1]) pairs_.erase(found);
  }

 private:
  std::mutex lock_;
  std::map<std::string, std::shared_ptr<RingPair>> pairs_;
};

/// One end of a ring pair.
class RingPort final : public ports::SoftwarePort {
 public:
  RingPort(const ports::PortIdentity& identity, RingPairs& pairs, std::shared_ptr<RingPair> pair, std::string name,
           unsigned end)
      : ports::SoftwarePort(identity, kTraits),
        pairs_(pairs),
        pair_(std::move(pair)),
        name_(std::move(name)),
        end_(end) {
    for (FrameRing& ring : pair_->rings[end_]) add(rx_.emplace_back(filter(), ring, context()->clock()));
    for (FrameRing& ring : pair_->rings[pair_->other(end_)]) add(tx_.emplace_back(ring));
    const std::lock_guard guard(pair_->control);
    std::ranges::transform(rx_, pair_->receivers[end_].begin(), [](RingRxQueue& queue) { return &queue; });
  }

 private:
  [[nodiscard]] Result<void> begin() override {
    const std::lock_guard guard(pair_->control);
    // All memory first: a ring that is open takes frames.
    for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) pair_->rings[end_][queue].allocate();
    for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue)
      pair_->rings[end_][queue].open(config().rx[queue].ring);
    pair_->started[end_] = true;
    return {};
  }

  // Waiting frames stay, even if they are more than the new limit.
  void set_up(QueueId queue) noexcept override {
    ports::SoftwarePort::set_up(queue);
    if (!queue.receives() || !running()) return;
    const std::lock_guard guard(pair_->control);
    pair_->rings[end_][queue.index].open(config().rx[queue.index].ring);
  }

  // A sender that checked a ring just before it closed may still enqueue frames. They stay there until the receiver
  // starts again, or until that sender stops, which drops them as the receiver would have.
  void end() noexcept override {
    const std::lock_guard guard(pair_->control);
    pair_->started[end_] = false;
    for (FrameRing& ring : pair_->rings[end_]) ring.close();
    for (RingRxQueue& queue : rx_) queue.drain();
    const unsigned other = pair_->other(end_);
    if (pair_->started[other]) return;
    for (std::size_t queue = 0; queue < kQueues; ++queue) {
      if (RingRxQueue* const receiver = pair_->receivers[other][queue]) {
        receiver->drain();
      } else {
        pair_->rings[other][queue].drain([](const Mbuf&) {});
      }
    }
  }

  void close() override {
    {
      const std::lock_guard guard(pair_->control);
      pair_->receivers[end_].fill(nullptr);
    }
    pairs_.detach(name_, end_);
  }
  [[nodiscard]] Link running_link() override {
    const bool up = pair_->started[pair_->other(end_)];
    return {.up = up, .speed = up ? 10'000U : 0U, .autonegotiated = false};
  }

  RingPairs& pairs_;
  std::shared_ptr<RingPair> pair_;
  std::string name_;
  unsigned end_;
  std::deque<RingRxQueue> rx_;
  std::deque<RingTxQueue> tx_;
};

bool is_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

}  // namespace

Result<std::unique_ptr<PortDriver>> open_ring(Context& context, std::string_view which) {
  const std::string uri = fmt::format("ring:{}", which);
  const auto colon = which.find(':');
  const bool loop = colon == std::string_view::npos;
  const std::string name(which.substr(0, colon));
  const std::string_view side = loop ? "0" : which.substr(colon + 1);
  if (!is_name(name) || (side != "0" && side != "1")) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' does not name an end of a ring", uri),
                "write ring:NAME:0 and ring:NAME:1 for two connected ends, or ring:NAME for one connected to itself; a "
                "NAME has letters, digits, '_', '-' and '.'");
  }
  const unsigned end = side == "1" ? 1 : 0;
  auto& pairs = context.service<RingPairs>();
  auto pair = pairs.attach(name, end, loop, uri);
  if (!pair) return pass_on(std::move(pair));
  Undo detach([&] { pairs.detach(name, end); });
  auto port = ports::make_port<RingPort>(context, uri, ports::mac_for(uri), pairs, *std::move(pair), name, end);
  if (port) detach.keep();
  return port;
}

}  // namespace pollux::ring
