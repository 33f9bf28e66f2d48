// SPDX-License-Identifier: BSD-3-Clause
// Methods about what belongs to a card: its NVM, wake-up events, VLAN tags and time stamps.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/methods.hpp"
#include "pollux/net/frame_filters.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::observe {
namespace {

/// So many words of the NVM are read or written by one request. A page of 4 words takes some 10 ms to write.
constexpr std::uint64_t kMaxNvmRead = 4096;
constexpr std::size_t kMaxNvmWrite = 64;
constexpr std::uint64_t kMaxNvmWord = 0xFFFF;

Json version_json(const NvmVersion& version) {
  Json json{{"major", version.major}, {"minor", version.minor}, {"image", version.image}, {"track_id", nullptr}};
  if (version.track_id) json["track_id"] = *version.track_id;
  return json;
}

Result<Json> nvm(Server&, NamedPort& named, const Params& params) {
  const auto first = params.number_or("first", 0, 0, kMaxNvmWord);
  const auto count = params.number_or("count", 0, 0, kMaxNvmRead);
  for (const auto* number : {&first, &count}) {
    if (!*number) return tl::unexpected<Error>(number->error());
  }
  const auto memory = need<Nvm>(named);
  if (!memory) return tl::unexpected<Error>(memory.error());
  const auto info = (*memory)->nvm_info();
  if (!info) return tl::unexpected<Error>(info.error());
  Json json{{"words", info->words},
            {"vendor_id", info->vendor_id},
            {"device_id", info->device_id},
            {"checksum_holds", info->checksum_holds},
            {"version", version_json(info->version)},
            {"data", Json::array()}};
  if (*count == 0) return json;
  const auto words = (*memory)->read_nvm(static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*count));
  if (!words) return tl::unexpected<Error>(words.error());
  json["data"] = *words;
  return json;
}

Result<std::vector<std::uint16_t>> nvm_words(const Json& data) {
  std::vector<std::uint16_t> words;
  const bool fits = data.is_array() && !data.empty() && data.size() <= kMaxNvmWrite;
  for (std::size_t i = 0; fits && i < data.size(); ++i) {
    if (!data[i].is_number_unsigned() || data[i].get<std::uint64_t>() > kMaxNvmWord) break;
    words.push_back(data[i].get<std::uint16_t>());
  }
  if (fits && words.size() == data.size()) return words;
  return fail(ErrorCode::invalid_argument, "'data' is no list of words",
              fmt::format("list 1 to {} numbers from 0 to {}", kMaxNvmWrite, kMaxNvmWord));
}

Result<Json> write_nvm(Server&, NamedPort& named, const Params& params) {
  const auto first = params.number("first", 0, kMaxNvmWord);
  if (!first) return tl::unexpected<Error>(first.error());
  const auto words = nvm_words(params.value("data"));
  if (!words) return tl::unexpected<Error>(words.error());
  const auto memory = need<Nvm>(named);
  if (!memory) return tl::unexpected<Error>(memory.error());
  return done((*memory)->write_nvm(static_cast<std::uint32_t>(*first), *words));
}

struct WakeEventName {
  std::string_view name;
  bool WakeEvents::*event;
};
constexpr std::array kWakeEventNames{
    WakeEventName{"magic", &WakeEvents::magic}, WakeEventName{"unicast", &WakeEvents::unicast},
    WakeEventName{"multicast", &WakeEvents::multicast}, WakeEventName{"broadcast", &WakeEvents::broadcast},
    WakeEventName{"link_change", &WakeEvents::link_change}};

Json events_json(const WakeEvents& events) {
  Json names = Json::array();
  for (const WakeEventName& one : kWakeEventNames) {
    if (events.*one.event) names.push_back(one.name);
  }
  return names;
}

Result<Json> wake(Server&, NamedPort& named, const Params&) {
  const auto wake = need<WakeOnLan>(named);
  if (!wake) return tl::unexpected<Error>(wake.error());
  const auto support = (*wake)->wake_support();
  if (!support) return tl::unexpected<Error>(support.error());
  const WakeEvents events = (*wake)->wake_events();
  return Json{{"supported", events_json(*support)}, {"events", events_json(events)}};
}

Result<WakeEvents> parse_events(const Json& names) {
  WakeEvents events;
  if (!names.is_array()) return fail(ErrorCode::invalid_argument, "'events' is no list", "list events such as magic");
  for (const Json& name : names) {
    const auto* const found = std::ranges::find_if(kWakeEventNames, [&](const WakeEventName& one) {
      return name.is_string() && name.get<std::string>() == one.name;
    });
    if (found == kWakeEventNames.end()) {
      return fail(ErrorCode::invalid_argument, "an event of 'events' is unknown",
                  "events are magic, unicast, multicast, broadcast and link_change");
    }
    events.*(found->event) = true;
  }
  return events;
}

Result<Json> set_wake(Server&, NamedPort& named, const Params& params) {
  const auto events = parse_events(params.value("events"));
  if (!events) return tl::unexpected<Error>(events.error());
  const auto wake = need<WakeOnLan>(named);
  if (!wake) return tl::unexpected<Error>(wake.error());
  return done((*wake)->set_wake_events(*events));
}

Result<Json> vlan(Server&, NamedPort& named, const Params&) {
  const auto stripping = need<VlanStripping>(named);
  if (!stripping) return tl::unexpected<Error>(stripping.error());
  return Json{{"stripping", (*stripping)->vlan_stripping()}};
}

std::string_view name_of(StampedMessages messages) noexcept {
  switch (messages) {
    case StampedMessages::none: return "none";
    case StampedMessages::ptp1_sync: return "ptp1_sync";
    case StampedMessages::ptp1_delay_request: return "ptp1_delay_request";
    case StampedMessages::ptp2_ethernet: return "ptp2_ethernet";
    case StampedMessages::ptp2_udp: return "ptp2_udp";
    case StampedMessages::ptp2: return "ptp2";
  }
  return "none";
}

Result<Json> frame_stamps(Server&, NamedPort& named, const Params&) {
  const auto stamps = need<FrameStamps>(named);
  if (!stamps) return tl::unexpected<Error>(stamps.error());
  const FrameStampsConfig config = (*stamps)->frame_stamps();
  return Json{{"receive", name_of(config.receive)}, {"transmit", config.transmit}};
}

constexpr std::array kCardMethods{
    MethodEntry{.name = "port.nvm", .of_port = nvm},
    MethodEntry{.name = "port.write_nvm", .changes = true, .of_port = write_nvm},
    MethodEntry{.name = "port.wake", .of_port = wake},
    MethodEntry{.name = "port.set_wake", .changes = true, .of_port = set_wake},
    MethodEntry{.name = "port.vlan", .of_port = vlan},
    MethodEntry{.name = "port.frame_stamps", .of_port = frame_stamps},
};

}  // namespace

std::span<const MethodEntry> card_methods() noexcept { return kCardMethods; }

}  // namespace pollux::observe
