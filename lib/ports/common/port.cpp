// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "net/port_state.hpp"

namespace pollux::ports {
namespace {

/// For a poller to leave its burst: it may have been preempted.
constexpr Duration kPollerLimit = std::chrono::seconds(1);

}  // namespace

MacAddress mac_for(std::string_view name) noexcept {
  // FNV-1a (RFC 9923): spreads short names well, and is the same on every machine.
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3;
  MacAddress mac{0x02};
  for (std::size_t i = 1; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(hash >> (8 * i));
  return mac;
}

Port::Port(std::shared_ptr<ContextState> context, PortInfo info, MacAddress mac, std::unique_ptr<Medium> medium)
    : context_(std::move(context)), medium_(std::move(medium)), info_(std::move(info)), mac_(mac) {
  medium_->rules().set_mac(mac_);
}

Port::~Port() {
  if (state_ == PortState::closed) return;
  const auto closed = close();
  if (closed) return;
  context_->log(LogLevel::error, closed.error().message());
  // A thread is still inside a burst; what it uses must outlive it.
  if (state_ != PortState::closed) static_cast<void>(medium_.release());
}

Result<std::unique_ptr<PortDriver>> Port::create(Context& context, std::string name, MacAddress mac,
                                                 std::unique_ptr<Medium> medium) {
  const std::shared_ptr<ContextState>& state = context.state();
  const std::uint16_t index = state->take_port_index();
  if (index == Mbuf::kNoPort) {
    static_cast<void>(medium->close());
    return fail(ErrorCode::no_memory, fmt::format("{}: the Context has no port number left", name),
                "close ports that are not needed, or use another Context");
  }
  const MediumTraits& traits = medium->traits();
  PortInfo info{.name = std::move(name),
                .driver = std::string(traits.driver),
                .card = std::string(traits.what),
                .backend = "software",
                .index = index,
                .numa_node = -1,
                .limits = traits.limits};
  return std::unique_ptr<PortDriver>(new Port(state, std::move(info), mac, std::move(medium)));
}

Result<void> Port::configure(const PortConfig& config) {
  if (auto fits = expect({PortState::opened, PortState::configured}, "configure"); !fits) return fits;
  auto plan = check_config(config, info_.limits, *context_, info_.name);
  if (!plan) return pass_on(std::move(plan));
  if (auto mtu = medium_->set_mtu(plan->mtu); !mtu) return mtu;
  retire_queues();
  plan_ = *std::move(plan);
  rx_queues_ = plan_.rx_queues;
  tx_queues_ = plan_.tx_queues;
  setup_queues();
  RxRules& rules = medium_->rules();
  rules.set_mtu(plan_.mtu);
  rules.set_promiscuous(plan_.promiscuous);
  rules.set_all_multicast(plan_.all_multicast);
  state_ = PortState::configured;
  return {};
}

// Caches go home when their queues are not in use any more, whoever still refers to those.
void Port::retire_queues() noexcept {
  for (std::uint16_t queue = 0; queue < plan_.rx_queues; ++queue) medium_->rx(queue).retire();
  for (std::uint16_t queue = 0; queue < plan_.tx_queues; ++queue) medium_->tx(queue).retire();
}

void Port::setup_queues() {
  // A cache of one's own is small, and never more than a share of a small pool.
  constexpr std::uint32_t kOwnCache = 256;
  for (std::uint16_t queue = 0; queue < plan_.rx_queues; ++queue) {
    auto cache = plan_.cache;
    if (cache == nullptr) {
      const std::uint32_t share = plan_.pool->options().count / (4U * plan_.rx_queues);
      cache = std::make_shared<MempoolCacheCore>(plan_.pool, std::clamp(share, 1U, kOwnCache));
    }
    medium_->rx(queue).setup({.pool = plan_.pool, .cache = std::move(cache), .port = info_.index});
  }
  for (std::uint16_t queue = 0; queue < plan_.tx_queues; ++queue) {
    medium_->tx(queue).setup({.cache = plan_.cache, .context = context_});
  }
}

Result<void> Port::start() {
  if (auto fits = expect({PortState::configured}, "start"); !fits) return fits;
  if (auto started = medium_->start(plan_); !started) return started;
  for (std::uint16_t queue = 0; queue < plan_.rx_queues; ++queue) medium_->rx(queue).open();
  for (std::uint16_t queue = 0; queue < plan_.tx_queues; ++queue) medium_->tx(queue).open();
  state_ = PortState::started;
  return {};
}

Result<void> Port::close_queues() {
  Result<void> result;
  const auto close_one = [&](auto& queue) {
    if (auto closed = queue.close(context_->clock(), kPollerLimit); !closed) {
      result = fail(closed.error().code, fmt::format("{}: {}", info_.name, closed.error().what),
                    "stop polling, then stop the port again");
    }
  };
  for (std::uint16_t queue = 0; queue < plan_.rx_queues; ++queue) close_one(medium_->rx(queue));
  for (std::uint16_t queue = 0; queue < plan_.tx_queues; ++queue) close_one(medium_->tx(queue));
  return result;
}

Result<void> Port::stop() {
  if (auto fits = expect({PortState::started}, "stop"); !fits) return fits;
  if (auto closed = close_queues(); !closed) return closed;
  medium_->stop();
  state_ = PortState::configured;
  return {};
}

Result<void> Port::close() {
  if (state_ == PortState::closed) return expect({}, "close");
  if (state_ == PortState::started) {
    if (auto stopped = stop(); !stopped) return stopped;
  }
  auto result = medium_->close();
  retire_queues();
  plan_ = {};
  rx_queues_ = 0;
  tx_queues_ = 0;
  context_->return_port_index(info_.index);
  state_ = PortState::closed;
  return result;
}

Result<void> Port::expect(std::initializer_list<PortState> states, std::string_view call) const {
  return expect_state(state_, states, info_.name, call, failure_);
}

}  // namespace pollux::ports
