// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/open_xdp.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "base/undo.hpp"
#include "base/uri_options.hpp"
#include "ports/xdp/helper_client.hpp"
#include "ports/xdp/local_side.hpp"
#include "ports/xdp/port.hpp"
#include "ports/xdp/rule_text.hpp"

namespace pollux::xdp {
namespace {

constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes{
    {{"zero-copy", Mode::zero_copy}, {"copy", Mode::copy}, {"generic", Mode::generic}}};

Result<Mode> parse_mode(std::string_view text, const std::string& uri) {
  for (const auto& [name, mode] : kModes) {
    if (name == text) return mode;
  }
  return fail(ErrorCode::invalid_argument, fmt::format("{}: there is no mode '{}'", uri, text),
              "write mode=zero-copy, mode=copy or mode=generic");
}

Result<std::optional<std::uint32_t>> parse_busy_poll(const UriOptions& options, const std::string& uri) {
  const auto text = options.get("busy-poll");
  if (!text) return std::nullopt;
  constexpr std::uint32_t kMost = 1'000'000;
  std::uint32_t microseconds = 0;
  const char* const end = text->data() + text->size();
  const auto read = std::from_chars(text->data(), end, microseconds);
  if (read.ec == std::errc{} && read.ptr == end && microseconds != 0 && microseconds <= kMost) return microseconds;
  return fail(ErrorCode::invalid_argument, fmt::format("{}: '{}' is not a time for busy-poll", uri, *text),
              fmt::format("write 1 to {} microseconds, such as busy-poll=20", kMost));
}

/// What is opened by this process, or by a helper.
struct OpenParts {
  std::unique_ptr<Interface> interface;
  std::unique_ptr<KernelSide> kernel;
  DeletionEvents control_events;
  DeletionEvents queue_events;
};

/// With an interface that this process asks the kernel about.
Result<OpenParts> with_events(std::unique_ptr<Interface> interface, std::unique_ptr<KernelSide> kernel) {
  auto control_events = DeletionEvents::subscribe(*interface);
  if (!control_events) return pass_on(std::move(control_events));
  auto queue_events = DeletionEvents::subscribe(*interface);
  if (!queue_events) return pass_on(std::move(queue_events));
  return OpenParts{std::move(interface), std::move(kernel), *std::move(control_events), *std::move(queue_events)};
}

Result<OpenParts> open_by_helper(const std::string& name, std::string_view path, const std::string& uri) {
  if (auto valid = check_interface_name(name, uri); !valid) return pass_on(std::move(valid));
  auto client = HelperClient::open(std::string(path), name, uri);
  if (!client) return pass_on(std::move(client));
  HelperClient& helper = **client;
  auto own = Interface::find(name);
  if (own && own->id().network != 0 && own->id() == helper.interface().id) {
    return with_events(std::make_unique<Interface>(*std::move(own)), *std::move(client));
  }
  auto events = helper.subscribe();
  if (!events) return pass_on(std::move(events));
  return OpenParts{std::make_unique<Interface>(name, helper.interface(), [&helper] { return helper.state(); }),
                   *std::move(client), DeletionEvents(std::move((*events)[0])),
                   DeletionEvents(std::move((*events)[1]))};
}

Result<OpenParts> open_parts(const std::string& name, std::optional<std::string_view> helper, const std::string& uri) {
  if (helper) return open_by_helper(name, *helper, uri);
  auto interface = Interface::find(name);
  if (!interface) return pass_on(std::move(interface));
  auto held = std::make_unique<Interface>(*std::move(interface));
  auto kernel = std::make_unique<LocalSide>(uri, *held);
  return with_events(std::move(held), std::move(kernel));
}

}  // namespace

Result<std::unique_ptr<PortDriver>> open_xdp(Context& context, std::string_view which) {
  const std::string uri = fmt::format("xdp:{}", which);
  if (auto ends = check_end_of_name(which, uri); !ends) return pass_on(std::move(ends));
  const std::size_t question = which.find('?');
  constexpr std::array<std::string_view, 7> kKeys{"rule", "force", "mode", "busy-poll", "hints", "helper", "keep"};
  Result<UriOptions> options;
  if (question != std::string_view::npos) {
    options = UriOptions::parse(which.substr(question + 1), kKeys, uri,
                                "xdp:NAME?rule=udp:53 or xdp:NAME?rule=all,mode=copy");
  }
  if (!options) return pass_on(std::move(options));
  Result<Mode> mode = Mode::best;
  if (const auto text = options->get("mode")) mode = parse_mode(*text, uri);
  if (!mode) return pass_on(std::move(mode));
  const auto rule = options->get("rule");
  auto rules = parse_rules(rule.value_or("none"), uri);
  if (!rules) return pass_on(std::move(rules));
  const auto force = options->flag("force");
  if (!force) return tl::unexpected<Error>(force.error());
  const auto wants_hints = options->flag("hints");
  if (!wants_hints) return tl::unexpected<Error>(wants_hints.error());
  const auto busy_poll = parse_busy_poll(*options, uri);
  if (!busy_poll) return tl::unexpected<Error>(busy_poll.error());
  const auto keeper = options->get("keep");
  if (keeper && options->get("helper")) {
    return fail(ErrorCode::not_supported, fmt::format("{}: a port of a helper is not kept", uri),
                "leave out keep=, or run the program with the privileges itself");
  }
  auto parts = open_parts(std::string(which.substr(0, question)), options->get("helper"), uri);
  if (!parts) return pass_on(std::move(parts));
  const Interface& interface = *parts->interface;
  const std::uint16_t hints = *wants_hints ? parts->kernel->hints() : std::uint16_t{0};
  if (*wants_hints && (hints == 0 || *mode == Mode::generic)) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: there are no hints, which a driver with XDP gives from Linux 6.7 on", uri),
                "leave out hints, and mode=generic");
  }
  auto& memory = context.service<SharedMemory>();
  if (auto followed = memory.follow(context); !followed) return pass_on(std::move(followed));
  const InterfaceId id = interface.id();
  if (auto opened = memory.open(id, uri); !opened) return pass_on(std::move(opened));
  Undo close([&] { memory.close(id); });
  const std::string what = fmt::format("an interface of the kernel's driver {}",
                                       interface.driver().empty() ? "(unknown)" : interface.driver());
  const MacAddress mac = interface.mac();
  std::optional<handover::KeptPort> kept;
  if (keeper) kept.emplace(handover::Keeper(std::string(*keeper)), fmt::format("xdp/{}/", interface.name()));
  auto port =
      ports::make_port<XdpPort>(context, uri, mac,
                                Parts{std::move(parts->interface), std::move(parts->kernel),
                                      std::move(parts->control_events), std::move(parts->queue_events), memory, *mode,
                                      *std::move(rules), rule.has_value(), *force, hints, *busy_poll, std::move(kept)},
                                what);
  if (port) close.keep();
  return port;
}

}  // namespace pollux::xdp
