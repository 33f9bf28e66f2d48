// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/open_sim.hpp"

#include <fmt/format.h>

#include <utility>

#include "backends/sim/device.hpp"

namespace pollux::sim {

Result<std::shared_ptr<Wire>> WireRegistry::make(Clock& clock, const Uri& uri, const ModelFactory& make_card) {
  std::shared_ptr<Wire> wire;
  if (uri.setup.link_partner.any()) {
    auto link_partner = open_link_partner(uri.setup.link_partner);
    if (!link_partner) return pass_on(std::move(link_partner));
    wire = Wire::create(clock, make_card(uri.number), *std::move(link_partner), uri.setup.wire);
  } else {
    const unsigned even = uri.number & ~1U;
    wire = Wire::create(clock, make_card(even), make_card(even + 1), uri.setup.wire);
  }
  if (!uri.setup.capture.empty()) {
    auto file = files::CaptureFileWriter::create(uri.setup.capture, "capture");
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
    return fail(ErrorCode::not_found, fmt::format("sim:{} has no wire", card), "open the card first");
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
