// SPDX-License-Identifier: BSD-3-Clause
#include "bench/device_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "common/rate_text.hpp"

namespace pollux::tool::bench {
namespace {

using tools::parse_rate;
using tools::RateText;

constexpr std::uint64_t kMaxQueue = 1'000'000;

tl::unexpected<Error> refuse(std::string_view part, std::string_view expected) {
  return fail(ErrorCode::invalid_argument, fmt::format("--dut: '{}' is invalid", part), fmt::format("{}", expected));
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<void> set(ForwarderOptions& forwarder, std::string_view part) {
  const auto equals = part.find('=');
  const std::string_view name = part.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? "" : part.substr(equals + 1);
  if (name == "rate") {
    const auto rate = parse_rate(value);
    if (!rate || rate->unit != RateText::Unit::frames) return refuse(part, "rate expects frames per second: 500kpps");
    forwarder.rate = rate->value;
  } else if (name == "queue") {
    const auto frames = whole_number(value);
    if (!frames || *frames == 0 || *frames > kMaxQueue) {
      return refuse(part, fmt::format("queue expects frames, 1 to {}", kMaxQueue));
    }
    forwarder.queue = static_cast<std::uint32_t>(*frames);
  } else if (name == "loss") {
    const auto share = parse_rate(value);
    if (!share || share->unit != RateText::Unit::share || share->value > 1'000'000) {
      return refuse(part, "loss expects a share of the frames above 0: 0.1%");
    }
    forwarder.loss = static_cast<std::uint32_t>(share->value);
  } else if (name == "seed") {
    const auto seed = whole_number(value);
    if (!seed) return refuse(part, "seed expects an integer");
    forwarder.seed = *seed;
  } else {
    return refuse(part, "the options of forward are rate=, queue=, loss= and seed=; separate them by commas");
  }
  return {};
}

}  // namespace

Result<DeviceUnderTest> parse_device(std::string_view text) {
  const auto question = text.find('?');
  const std::string_view name = text.substr(0, question);
  if (name == "wire" && question == std::string_view::npos) return DeviceUnderTest{};
  if (name != "forward") return refuse(text, "use wire or forward, such as forward?rate=500kpps,queue=64");
  ForwarderOptions forwarder;
  if (question == std::string_view::npos) return DeviceUnderTest{forwarder};
  std::string_view rest = text.substr(question + 1);
  std::vector<std::string_view> given;
  for (bool more = true; more;) {
    const auto comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    const std::string_view option = part.substr(0, part.find('='));
    if (std::ranges::count(given, option) != 0) return refuse(part, fmt::format("{} is given twice", option));
    given.push_back(option);
    if (auto done = set(forwarder, part); !done) return pass_on(std::move(done));
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
  }
  return DeviceUnderTest{forwarder};
}

}  // namespace pollux::tool::bench
