// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/open_sim.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "backends/sim/device.hpp"
#include "base/uri_options.hpp"

namespace pollux::sim {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array kTimeUnits{Unit{"ns", 1}, Unit{"us", 1e3}, Unit{"ms", 1e6}, Unit{"s", 1e9}};
constexpr std::array kRateUnits{Unit{"", 1}, Unit{"k", 1e3}, Unit{"M", 1e6}, Unit{"G", 1e9}};
constexpr std::array kProbabilityUnits{Unit{"", 1}, Unit{"%", 0.01}};

/// Parses a finite number without a sign, followed by one of `units`.
std::optional<double> quantity(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  if (text.empty() || text.front() == '-') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& known : units) {
    if (known.name == unit) return number * known.factor;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> integer(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// False if `value` is not a probability. `check` tests its range.
bool set_probability(double& probability, std::string_view value) {
  const auto parsed = quantity(value, kProbabilityUnits);
  if (parsed) probability = *parsed;
  return parsed.has_value();
}

bool set_delay(Duration& delay, std::string_view value) {
  const auto parsed = quantity(value, kTimeUnits);
  if (!parsed || *parsed > static_cast<double>(WireOptions::kMaxDelay.count())) return false;
  delay = Duration(static_cast<Duration::rep>(std::llround(*parsed)));
  return true;
}

bool set_rate(Setup& setup, std::string_view value) {
  const auto parsed = quantity(value, kRateUnits);
  if (!parsed || *parsed > 1e15) return false;
  if (*parsed != 0 && *parsed < static_cast<double>(WireOptions::kMinRate)) return false;
  setup.wire.rate = static_cast<std::uint64_t>(*parsed);
  return true;
}

bool set_seed(Setup& setup, std::string_view value) {
  const auto parsed = integer(value);
  if (parsed) setup.wire.seed = *parsed;
  return parsed.has_value();
}

bool set_text(std::string& text, std::string_view value) {
  text = value;
  return !value.empty();
}

struct Option {
  std::string_view name;
  std::string_view expects;
  bool (*set)(Setup& setup, std::string_view value);
};

constexpr std::string_view kDelay = "a time up to 10s, such as 10us";
constexpr std::string_view kProbability = "a probability from 0 to 1, such as 0.01 or 1%";
constexpr std::array kOptions{
    Option{"rate", "bits per second from 1k, such as 100M or 1G, or 0 for no limit", set_rate},
    Option{"delay", kDelay, [](Setup& s, std::string_view v) { return set_delay(s.wire.delay, v); }},
    Option{"jitter", kDelay, [](Setup& s, std::string_view v) { return set_delay(s.wire.jitter, v); }},
    Option{"loss", kProbability, [](Setup& s, std::string_view v) { return set_probability(s.wire.loss, v); }},
    Option{"corrupt", kProbability, [](Setup& s, std::string_view v) { return set_probability(s.wire.corrupt, v); }},
    Option{"mangle", kProbability, [](Setup& s, std::string_view v) { return set_probability(s.wire.mangle, v); }},
    Option{"duplicate", kProbability,
           [](Setup& s, std::string_view v) { return set_probability(s.wire.duplicate, v); }},
    Option{"reorder", kProbability, [](Setup& s, std::string_view v) { return set_probability(s.wire.reorder, v); }},
    Option{"seed", "an integer", set_seed},
    Option{"pcap-in", "a file", [](Setup& s, std::string_view v) { return set_text(s.link_partner.pcap_in, v); }},
    Option{"pcap-out", "a file", [](Setup& s, std::string_view v) { return set_text(s.link_partner.pcap_out, v); }},
    Option{"tap", "an interface", [](Setup& s, std::string_view v) { return set_text(s.link_partner.tap, v); }},
    Option{"capture", "a file", [](Setup& s, std::string_view v) { return set_text(s.capture, v); }},
    Option{"card", "a card's name", [](Setup& s, std::string_view v) { return set_text(s.card, v); }},
    Option{"socket-local", "a path",
           [](Setup& s, std::string_view v) { return set_text(s.link_partner.socket_local, v); }},
    Option{"socket-remote", "a path",
           [](Setup& s, std::string_view v) { return set_text(s.link_partner.socket_remote, v); }},
};

constexpr std::string_view kThread = "thread";

/// The names of all options.
constexpr auto kKeys = [] {
  std::array<std::string_view, kOptions.size() + 1> keys{};
  std::transform(kOptions.begin(), kOptions.end(), keys.begin(), [](const Option& option) { return option.name; });
  keys.back() = kThread;
  return keys;
}();

Result<Setup> parse_options(std::string_view uri, std::string_view text) {
  const auto options = UriOptions::parse(text, kKeys, uri, "sim:0?loss=0.01,delay=10us");
  if (!options) return tl::unexpected<Error>(options.error());
  Setup setup;
  for (const Option& option : kOptions) {
    const auto value = options->get(option.name);
    if (!value || option.set(setup, *value)) continue;
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': '{}={}' is invalid", uri, option.name, *value),
                fmt::format("{} expects {}", option.name, option.expects));
  }
  const auto threaded = options->flag(kThread);
  if (!threaded) return tl::unexpected<Error>(threaded.error());
  setup.threaded = *threaded;
  return setup;
}

}  // namespace

Result<void> check(const WireOptions& options) {
  const auto refuse = [](std::string what, std::string hint) {
    return fail(ErrorCode::invalid_argument, "wire: " + std::move(what), std::move(hint));
  };
  const std::array<std::pair<const char*, double>, 5> probabilities{{{"loss", options.loss},
                                                                     {"corrupt", options.corrupt},
                                                                     {"mangle", options.mangle},
                                                                     {"duplicate", options.duplicate},
                                                                     {"reorder", options.reorder}}};
  for (const auto& [name, value] : probabilities) {
    if (!(value >= 0 && value <= 1)) return refuse(fmt::format("{} is {}", name, value), "choose 0 to 1");
  }
  if (options.delay < Duration(0) || options.delay > WireOptions::kMaxDelay) {
    return refuse(fmt::format("a delay of {} ns", options.delay.count()), "choose up to 10 s");
  }
  if (options.jitter < Duration(0) || options.jitter > WireOptions::kMaxDelay) {
    return refuse(fmt::format("a jitter of {} ns", options.jitter.count()), "choose up to 10 s");
  }
  if (options.rate != 0 && options.rate < WireOptions::kMinRate) {
    return refuse(fmt::format("a rate of {} bits per second", options.rate), "choose at least 1000, or 0 for no limit");
  }
  return {};
}

Result<Uri> Uri::parse(std::string_view text) {
  Uri uri;
  const auto question = text.find('?');
  constexpr std::string_view kFunction = ".vf";
  const std::string_view card = text.substr(0, question);
  const auto dot = card.find(kFunction);
  const auto number = integer(card.substr(0, dot));
  if (!number || *number >= kCards) {
    return fail(ErrorCode::invalid_argument, fmt::format("sim:{}: no such in-process card", text),
                fmt::format("use sim:0 to sim:{}; a wire connects an even number and the next one", kCards - 1));
  }
  uri.number = static_cast<unsigned>(*number);
  if (dot != std::string_view::npos) {
    const auto function = integer(card.substr(dot + kFunction.size()));
    if (!function || *function >= Wire::kMaxFunctions || question != std::string_view::npos) {
      return fail(ErrorCode::invalid_argument, fmt::format("sim:{}: no such virtual function", text),
                  fmt::format("use sim:{0}.vf0 to sim:{0}.vf{1}, without options: those of sim:{0} apply", uri.number,
                              Wire::kMaxFunctions - 1));
    }
    uri.function = static_cast<unsigned>(*function);
  }
  if (question == std::string_view::npos) return uri;
  uri.has_options = true;
  auto setup = parse_options(fmt::format("sim:{}", text), text.substr(question + 1));
  if (!setup) return pass_on(std::move(setup));
  uri.setup = *std::move(setup);
  if (auto checked = check(uri.setup.wire); !checked) return pass_on(std::move(checked));
  return uri;
}

Result<std::shared_ptr<Wire>> WireRegistry::make(Clock& clock, const Uri& uri, const ModelFactory& make_card) {
  std::shared_ptr<Wire> wire;
  if (uri.setup.link_partner.any()) {
    auto link_partner = open_link_partner(uri.setup.link_partner, clock);
    if (!link_partner) return pass_on(std::move(link_partner));
    wire = Wire::create(clock, make_card(uri.number), *std::move(link_partner), uri.setup.wire);
  } else {
    const unsigned even = uri.number & ~1U;
    wire = Wire::create(clock, make_card(even), make_card(even + 1), uri.setup.wire);
  }
  if (!uri.setup.capture.empty()) {
    auto file = files::CaptureFileWriter::create(uri.setup.capture, "capture", clock);
    if (!file) return pass_on(std::move(file));
    wire->capture(*std::move(file));
  }
  if (uri.setup.threaded) {
    if (auto threaded = wire->run_threaded(); !threaded) return pass_on(std::move(threaded));
  }
  return wire;
}

Result<std::shared_ptr<Wire>> WireRegistry::wire(Clock& clock, const Uri& uri, const FindModel& find_model) {
  const std::lock_guard guard(lock_);
  Entry& entry = entries_[uri.number / 2];
  // A caller that has got the wire and not yet claimed its end also uses it.
  const bool in_use = entry.wire != nullptr && (entry.wire->claimed() || entry.wire.use_count() > 1);
  if (in_use && entry.setup.link_partner.any() && entry.card != uri.number) {
    return fail(ErrorCode::busy,
                fmt::format("sim:{}: the wire of sim:{} ends at a TAP, a socket or a file", uri.number, entry.card),
                fmt::format("use another card, or open sim:{} without that option", entry.card));
  }
  if (in_use && uri.has_options && !(uri.setup == entry.setup)) {
    return fail(ErrorCode::invalid_argument, fmt::format("sim:{}: its wire is in use with other options", uri.number),
                "give the same options for both cards of the wire, or none for the second");
  }
  // An unused wire with the same setup is kept. One with a link partner is always created again, because the link
  // partner's files are opened and closed with the card.
  if (in_use || (entry.wire != nullptr && uri.setup == entry.setup && !entry.setup.link_partner.any()))
    return entry.wire;
  const auto make_card = find_model(uri.setup.card);
  if (!make_card) return tl::unexpected<Error>(make_card.error());
  entry = {};  // closes a link partner's files before they are opened again
  auto wire = make(clock, uri, *make_card);
  if (!wire) return wire;
  entry = {*wire, uri.setup, uri.setup.link_partner.any() ? uri.number : uri.number - uri.number % 2};
  return wire;
}

std::shared_ptr<Wire> WireRegistry::find(unsigned number) const {
  const std::lock_guard guard(lock_);
  return number < Uri::kCards ? entries_[number / 2].wire : nullptr;
}

namespace {

Result<std::shared_ptr<Wire>> find_wire(Context& context, unsigned card) {
  std::shared_ptr<Wire> wire = context.service<WireRegistry>().find(card);
  if (wire == nullptr) {
    return fail(ErrorCode::not_found, fmt::format("sim:{} is not open, so it has no wire", card),
                "open the card first");
  }
  return wire;
}

/// The end of the wire that a card is at.
unsigned end_on(const Wire& wire, unsigned card) { return wire.has_card(1) ? card % 2 : 0; }

Result<std::unique_ptr<Device>> open_function(Context& cards, Context& user, const Uri& uri) {
  auto wire = find_wire(cards, uri.number);
  if (!wire) return pass_on(std::move(wire));
  const unsigned place = Wire::place_of_function(end_on(**wire, uri.number), *uri.function);
  auto name = fmt::format("sim:{}.vf{}", uri.number, *uri.function);
  if (!(*wire)->has_card(place)) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the card has no such virtual function", name),
                "use a card that has virtual functions");
  }
  auto device = SimDevice::create(user, std::move(name), *std::move(wire), place);
  if (!device) return pass_on(std::move(device));
  return std::unique_ptr<Device>(*std::move(device));
}

}  // namespace

Result<WireCounters> wire_counters(Context& context, unsigned card) {
  const auto wire = find_wire(context, card);
  if (!wire) return tl::unexpected(wire.error());
  return (*wire)->counters(end_on(**wire, card));
}

Result<WireCounters> wire_counters_towards(Context& context, unsigned card) {
  const auto wire = find_wire(context, card);
  if (!wire) return tl::unexpected(wire.error());
  return (*wire)->counters(1 - end_on(**wire, card));
}

Result<std::unique_ptr<Device>> open_function_for(Context& user, Context& cards, std::string_view uri) {
  const auto parsed = Uri::parse(uri);
  if (!parsed) return tl::unexpected(parsed.error());
  if (parsed->function) return open_function(cards, user, *parsed);
  return fail(ErrorCode::invalid_argument, fmt::format("sim:{} is not a virtual function", uri),
              "name one, such as sim:0.vf0");
}

Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view uri, const FindModel& find_model) {
  const auto parsed = Uri::parse(uri);
  if (!parsed) return tl::unexpected(parsed.error());
  if (parsed->function) return open_function(context, context, *parsed);
  auto wire = context.service<WireRegistry>().wire(context.clock(), *parsed, find_model);
  if (!wire) return pass_on(std::move(wire));
  const unsigned end = end_on(**wire, parsed->number);
  auto device = SimDevice::create(context, fmt::format("sim:{}", parsed->number), *std::move(wire), end);
  if (!device) return pass_on(std::move(device));
  return std::unique_ptr<Device>(*std::move(device));
}

Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view uri,
                                         std::unique_ptr<DeviceModel> (*make_card)(unsigned number)) {
  return open_sim(context, uri, FindModel([make_card](std::string_view) { return ModelFactory(make_card); }));
}

}  // namespace pollux::sim
