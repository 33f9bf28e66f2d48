// SPDX-License-Identifier: BSD-3-Clause
#include "settings/calls.hpp"

#include <fmt/format.h>

#include <array>

#include "pollux/net/port_info.hpp"
#include "pollux/net/self_test.hpp"
#include "settings/arguments.hpp"
#include "settings/call_kinds.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test::settings {
namespace {

std::vector<MacAddress> random_list(Random& random, MacAddress (*make)(Random&)) {
  std::vector<MacAddress> list;
  // Many groups need a table of hashes; the card compares few of them.
  for (unsigned i = random.below(random.once_in(4) ? 60 : 6); i > 0; --i) list.push_back(make(random));
  return list;
}

std::string text_of(const std::vector<MacAddress>& list) {
  std::string text;
  for (const MacAddress& mac : list) text += (text.empty() ? "" : " ") + to_string(mac);
  return text;
}

// States of the port.

Call call_configure(Source& from) {
  const Settings config = random_config(from.random, from.pools, from.abilities);
  return {fmt::format("configure: rx {} x {}, tx {} x {}, mtu {}, promiscuous {}, all_multicast {}, fcs {}, bad {}, "
                      "buffers {} {}",
                      config.rx.size(), config.rx[0].ring, config.tx.size(), config.tx[0].ring, config.mtu,
                      config.promiscuous, config.all_multicast, config.keep_fcs, config.keep_bad_frames,
                      config.packet_buffers.receive, config.packet_buffers.transmit),
          pass(
              config, [](Port& port, const Settings& value) { return configure_port(port, value); },
              [](Asked& asked, const Settings& value) { asked.config = value; })};
}

Call call_state(Source& from) {
  switch (from.random.below(6)) {
    case 0: return {"stop", [](CardPort& on) { return on.stop(); }};
    case 1: return {"suspend and resume", [](CardPort& on) { return on.suspend_and_resume(); }};
    case 2: return {"detach and attach", [](CardPort& on) { return on.detach_and_attach(); }};
    case 3: return {"wait for the link", [](CardPort& on) { return on.wait_for_link(); }};
    case 4: return {"hang and recover", [](CardPort& on) { return on.hang_and_recover(); }};
    default: return {"start", [](CardPort& on) { return on.start(); }};
  }
}

Call call_stop_start(Source&) {
  return {"stop, start", [](CardPort& on) {
            auto stopped = on.stop();
            return stopped ? on.start() : stopped;
          }};
}

Call call_test(Source& from) {
  if (!from.abilities.whole_phy) return call_stop_start(from);
  return {"test offline", [](CardPort& on) -> Result<void> {
            if (on.state() != PortState::configured) return {};
            auto tested = on.port().capability<SelfTest>()->test_offline();
            return tested ? Result<void>() : tl::unexpected<Error>(tested.error());
          }};
}

// Queues.

Call call_restart_rx(Source& from) {
  const auto queue = from.random.below<std::uint16_t>(3);
  return {fmt::format("restart_rx {}", queue),
          pass(
              random_rx_queue(from.random, from.pools),
              [queue](Port& port, const RxQueueConfig& value) { return restart_rx(port, queue, value); },
              [queue](Asked& asked, const RxQueueConfig& value) { asked.config->rx[queue] = value; })};
}

Call call_restart_tx(Source& from) {
  const auto queue = from.random.below<std::uint16_t>(3);
  return {fmt::format("restart_tx {}", queue),
          pass(
              random_tx_queue(from.random),
              [queue](Port& port, const TxQueueConfig& value) { return restart_tx(port, queue, value); },
              [queue](Asked& asked, const TxQueueConfig& value) { asked.config->tx[queue] = value; })};
}

Call call_resize(Source& from) {
  const auto queue = from.random.below<std::uint16_t>(3);
  const std::uint32_t ring = from.random.one_of(std::array{32U, 64U, 128U});
  if (from.random.flip()) {
    return {fmt::format("resize_rx {} to {}", queue, ring),
            pass(
                ring, [queue](Port& port, std::uint32_t value) { return resize_rx(port, queue, value); },
                [queue](Asked& asked, std::uint32_t value) { asked.config->rx[queue].ring = value; })};
  }
  return {fmt::format("resize_tx {} to {}", queue, ring),
          pass(
              ring, [queue](Port& port, std::uint32_t value) { return resize_tx(port, queue, value); },
              [queue](Asked& asked, std::uint32_t value) { asked.config->tx[queue].ring = value; })};
}

Call call_stop_queue(Source& from) {
  const auto queue = from.random.below<std::uint16_t>(3);
  const bool receives = from.random.flip(), stops = from.random.flip();
  return {fmt::format("{}_{} {}", stops ? "stop" : "start", receives ? "rx" : "tx", queue), [=](CardPort& on) {
            Port& port = on.port();
            const QueueId id = receives ? QueueId::rx(queue) : QueueId::tx(queue);
            auto done = stops ? port.stop_queue(id) : port.start_queue(id);
            auto& stopped = receives ? on.stopped_rx : on.stopped_tx;
            if (done) stops ? void(stopped.insert(queue)) : void(stopped.erase(queue));
            return done;
          }};
}

// What is received.

Call call_mac(Source& from) {
  const MacAddress mac = random_unicast(from.random);
  return {"set_mac " + to_string(mac),
          pass(
              mac, [](Port& port, const MacAddress& value) { return set_mac(port, value); },
              [](Asked& asked, const MacAddress& value) { asked.mac = value; })};
}

Call call_mtu(Source& from) {
  const std::uint32_t mtu = from.random.flip() ? 1500 : 68 + from.random.below(9400);
  return {fmt::format("set_mtu {}", mtu), pass(
                                              mtu, [](Port& port, std::uint32_t value) { return set_mtu(port, value); },
                                              [](Asked& asked, std::uint32_t value) { asked.config->mtu = value; })};
}

Call call_promiscuity(Source& from) {
  const bool on = from.random.flip();
  if (from.random.flip()) {
    return {fmt::format("set_promiscuous {}", on),
            pass(
                on, [](Port& port, bool value) { return set_promiscuous(port, value); },
                [](Asked& asked, bool value) { asked.config->promiscuous = value; })};
  }
  return {fmt::format("set_all_multicast {}", on),
          pass(
              on, [](Port& port, bool value) { return set_all_multicast(port, value); },
              [](Asked& asked, bool value) { asked.config->all_multicast = value; })};
}

Call call_unicast(Source& from) {
  const auto list = random_list(from.random, random_unicast);
  using List = std::vector<MacAddress>;
  return {"set_unicast " + text_of(list),
          pass(
              list,
              [](Port& port, const List& value) {
                return port.change([&](Settings& settings) { settings.unicast = value; });
              },
              [](Asked& asked, const List& value) { asked.unicast = value; })};
}

Call call_multicast(Source& from) {
  const auto list = random_list(from.random, random_multicast);
  using List = std::vector<MacAddress>;
  return {"set_multicast " + text_of(list),
          pass(
              list,
              [](Port& port, const List& value) {
                return port.change([&](Settings& settings) { settings.multicast = value; });
              },
              [](Asked& asked, const List& value) { asked.multicast = value; })};
}

Call call_vlan(Source& from) {
  const std::uint16_t vlan = random_vlan(from.random);
  const bool receive = !from.random.once_in(3);
  return {fmt::format("set_vlan {} {}", vlan, receive),
          pass(
              vlan, [receive](Port& port, std::uint16_t value) { return port.change(with_vlan(value, receive)); },
              [receive](Asked& asked, std::uint16_t value) {
                if (!asked.vlans) asked.vlans.emplace();
                receive ? void(asked.vlans->insert(value)) : void(asked.vlans->erase(value));
              })};
}

Call call_stripping(Source& from) {
  const bool on = from.random.flip();
  return {fmt::format("set_vlan_stripping {}", on),
          pass(
              on,
              [](Port& port, bool value) {
                return port.change([&](Settings& settings) { settings.vlan_stripping = value; });
              },
              [](Asked& asked, bool value) { asked.strip_tags = value; })};
}

Call call_outer_type(Source& from) {
  using Type = std::optional<std::uint16_t>;
  const Type type = from.random.one_of(std::array<Type, 3>{std::nullopt, Type(0x88A8), Type(0x9100)});
  return {fmt::format("set_outer_vlan_type {:#x}", type.value_or(0)),
          pass(
              type,
              [](Port& port, Type value) {
                return port.change([&](Settings& settings) { settings.outer_vlan_type = value; });
              },
              [](Asked& asked, Type value) { asked.outer_type = value; })};
}

Call call_rss(Source& from) {
  const RssConfig rss = random_rss(from.random);
  return {fmt::format("set_rss types {:#x}, key {:#x}..., table {}", rss.types.bits, rss.key[0], rss.table.size()),
          pass(
              rss,
              [](Port& port, const RssConfig& value) {
                return port.change([&](Settings& settings) { settings.rss = value; });
              },
              [](Asked& asked, const RssConfig& value) { asked.rss = value; })};
}

Call call_add_rule(Source& from) {
  const FlowRule rule = random_rule(from.random);
  return {fmt::format("add a rule of {} items, to queue {}, priority {}", rule.match.size(), rule.action.queue,
                      rule.priority),
          [rule](CardPort& on) -> Result<void> {
            if (!on.port().info().supports.test(Setting::rules)) return {};
            const auto id = test::add_rule(on.port(), rule);
            if (!id) return tl::unexpected<Error>(id.error());
            on.asked.rules.emplace_back(*id, rule);
            return {};
          }};
}

Call call_remove_rule(Source& from) {
  const auto which = from.random.below<std::size_t>(8);
  return {fmt::format("remove rule {} of those that there are", which), [which](CardPort& on) -> Result<void> {
            auto& rules = on.asked.rules;
            if (rules.empty()) return {};
            const auto at = rules.begin() + static_cast<std::ptrdiff_t>(which % rules.size());
            auto removed = test::remove_rule(on.port(), at->first);
            if (removed) rules.erase(at);
            return removed;
          }};
}

Call call_pools(Source& from) {
  const QueuePoolsConfig pools = random_pools(from.random);
  return {fmt::format("set_queue_pools: {}", pools.pools.size()),
          pass(
              pools,
              [](Port& port, const QueuePoolsConfig& value) {
                return port.change([&](Settings& settings) { settings.pools = value; });
              },
              [](Asked& asked, const QueuePoolsConfig& value) {
                asked.pools = value;
                std::erase_if(asked.pool_rates, [&](const auto& rate) { return rate.first >= value.pools.size(); });
              })};
}

/// What each sequence has.
constexpr std::array kAlways{call_configure, call_state, call_stop_start};
/// What a sequence has or has not. Some exclude each other, so most would be refused if all of them were mixed.
constexpr std::array kSometimes{call_restart_rx, call_restart_tx,  call_resize,  call_stop_queue,   call_mac,
                                call_mtu,        call_promiscuity, call_unicast, call_multicast,    call_vlan,
                                call_stripping,  call_rss,         call_rate,    call_flow_control, call_link,
                                call_phy,        call_moderation,  call_clock,   call_stamps,       call_loopback,
                                call_wake,       call_led,         call_test,    call_rss,          call_mac};
constexpr std::array kExclusive{call_outer_type, call_add_rule, call_remove_rule, call_pools, call_functions};
/// What a sequence with functions has besides: settings of functions, and those that share filters with them.
constexpr std::array kOfFunctions{call_announce, call_functions, call_function, call_function,  call_function,
                                  call_function, call_vlan,      call_unicast,  call_multicast, call_promiscuity};

}  // namespace

bool is_refusal(const Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::bad_state:
    case ErrorCode::not_supported:
    case ErrorCode::busy:
    case ErrorCode::not_found: return true;
    default: return false;
  }
}

std::vector<Call> random_calls(Random& random, const Pools& pools, const Abilities& abilities) {
  const bool with_functions = abilities.functions && random.once_in(4);
  Abilities possible = abilities;
  if (with_functions) possible.most_queues = 1;  // functions leave no others
  Source from{random, pools, possible};
  std::vector<Kind> kinds(kAlways.begin(), kAlways.end());
  for (const Kind kind : kSometimes) {
    if (random.once_in(3)) kinds.push_back(kind);
  }
  std::vector<Call> calls{call_configure(from)};
  if (with_functions) {
    kinds.insert(kinds.end(), kOfFunctions.begin(), kOfFunctions.end());
    if (random.flip()) kinds.insert(kinds.end(), 3, call_request);
    calls.push_back(call_functions(from));
    calls.push_back({"start", [](CardPort& on) { return on.start(); }});
    calls.push_back({"wait for the link", [](CardPort& on) { return on.wait_for_link(); }});  // rates depend on it
  }
  switch (with_functions ? 4 : random.below(5)) {
    case 0: kinds.insert(kinds.end(), {call_add_rule, call_add_rule, call_add_rule, call_remove_rule}); break;
    case 1: kinds.insert(kinds.end(), {call_pools, call_pools}); break;
    case 2: kinds.push_back(call_outer_type); break;
    case 3: kinds.insert(kinds.end(), kExclusive.begin(), kExclusive.end() - (abilities.functions ? 0 : 1)); break;
    default: break;
  }
  for (unsigned left = 8 + random.below(25); left > 0; --left) calls.push_back(random.one_of(kinds)(from));
  return calls;
}

}  // namespace pollux::test::settings
