// SPDX-License-Identifier: BSD-3-Clause
#include "bench/port_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "common/rate_text.hpp"

namespace pollux::tool::bench {
namespace {

constexpr std::string_view kScheme = "sim:";
constexpr unsigned kCards = 64;
constexpr std::uint64_t kCardRate = 1'000'000'000;

/// An in-process card of a URI: sim:NUMBER?OPTION,OPTION.
struct SimCard {
  unsigned number = 0;
  std::vector<std::string> options = {};
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

/// Nothing for any other port, for a malformed URI, which opening it reports, and for cards that do not follow a clock
/// of virtual time: their wire has a thread, or ends outside the process.
std::optional<SimCard> steppable_card(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  SimCard card;
  const auto question = std::min(uri.find('?'), uri.size());
  const auto [end, error] = std::from_chars(uri.data(), uri.data() + question, card.number);
  if (error != std::errc() || end != uri.data() + question || card.number >= kCards) return std::nullopt;
  card.options = split(uri.substr(std::min(question + 1, uri.size())));
  const bool outside = std::ranges::any_of(card.options, [](const std::string& option) {
    return option == "thread" || option.starts_with("tap=") || option.starts_with("socket-");
  });
  return outside ? std::nullopt : std::optional(card);
}

std::optional<std::uint64_t> rate_of(const std::vector<std::string>& options) {
  constexpr std::string_view kRate = "rate=";
  for (const std::string& option : options) {
    if (!option.starts_with(kRate)) continue;
    const auto rate = examples::parse_rate(option.substr(kRate.size()) + "bit");
    if (rate) return rate->value;
  }
  return std::nullopt;
}

std::string uri_of(unsigned number, const std::vector<std::string>& options) {
  return fmt::format("sim:{}?{}", number, fmt::join(options, ","));
}

}  // namespace

Result<PortPlan> plan_ports(const std::string& sending, const std::string& receiving, const DeviceUnderTest& device,
                            std::optional<std::uint64_t> line_rate) {
  const auto from = steppable_card(sending);
  const auto to = steppable_card(receiving);
  if (!from || !to) {
    if (!device.forwarder) return PortPlan{{sending, receiving}, false, std::nullopt};
    return fail(ErrorCode::invalid_argument,
                fmt::format("--dut forward is for in-process cards, not for {} and {}", sending, receiving),
                "use sim:0 sim:1, or leave out --dut and connect both ports to the device under test");
  }
  if ((from->number ^ to->number) != 1) {
    const unsigned other = from->number ^ 1U;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} and {} are not at the ends of one wire", sending, receiving),
                fmt::format("use sim:{} sim:{}", from->number, other));
  }
  std::vector<std::string> options = from->options.empty() ? to->options : from->options;
  if (!from->options.empty() && !to->options.empty() && from->options != to->options) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} and {} give their wire different options", sending, receiving),
                "give the options to one of the cards only");
  }
  auto rate = rate_of(options);
  const bool named = std::ranges::any_of(options, [](const std::string& one) { return one.starts_with("rate="); });
  if (!named) {
    rate = line_rate.value_or(kCardRate);
    options.push_back(fmt::format("rate={}", *rate));
  }
  PortPlan plan{{uri_of(from->number, options)}, true, rate};
  if (!device.forwarder) {
    plan.uris.push_back(uri_of(to->number, options));
    return plan;
  }
  const unsigned second = ((from->number & ~1U) + 2) % kCards;
  plan.uris.push_back(uri_of(to->number, options));
  // A capture file is that of the first wire.
  std::erase_if(options, [](const std::string& option) { return option.starts_with("capture="); });
  plan.uris.push_back(uri_of(second, options));
  plan.uris.push_back(uri_of(second + 1, options));
  return plan;
}

}  // namespace pollux::tool::bench
