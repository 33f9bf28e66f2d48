// SPDX-License-Identifier: BSD-3-Clause
#include "net/json/settings_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/printable.hpp"
#include "net/json/setting_members.hpp"
#include "pollux/net/settings_text.hpp"

namespace pollux::json {
namespace {

// As many members as there are VLANs; no port has more addresses. All VLANs are 4,095 values, and a rule of the longest
// kind some 30.
constexpr JsonLimits kLimits{.keys = 4096, .depth = 16, .values = 1U << 16};

// A pool of the port hides others of the same name.
std::vector<Mempool> pools_for(const Settings& settings, const ContextState& context) {
  std::vector<Mempool> pools;
  for (const RxQueueConfig& queue : settings.rx) {
    for (const Mempool& pool : {queue.pool, queue.copy_pool, queue.header_pool}) {
      if (pool && std::ranges::find(pools, pool) == pools.end()) pools.push_back(pool);
    }
  }
  std::vector<Mempool> others;
  for (auto& core : context.pools()) {
    const Mempool pool(std::move(core));
    const auto has_its_name = [&](const Mempool& own) { return own.options().name == pool.options().name; };
    if (std::ranges::none_of(pools, has_its_name)) others.push_back(pool);
  }
  pools.insert(pools.end(), others.begin(), others.end());
  return pools;
}

Json value_of(const std::string& text) {
  if (text == "on" || text == "off") return text == "on";
  if (text == "none") return nullptr;
  Json json = parse_bounded(text, kLimits);
  return json.is_discarded() ? Json(text) : json;
}

}  // namespace

Json settings_json(Settings settings) { return FieldWriter::write(settings); }

Result<void> patch_settings(Settings& settings, const Json& patch, const PortLimits& limits,
                            const ContextState& context) {
  Settings wanted = settings;
  if (!wanted.rss && patch.contains("rss") && patch["rss"].is_object()) wanted.rss = effective_rss(settings, limits);
  const std::vector<Mempool> pools = pools_for(settings, context);
  auto read = FieldReader(pools).patch(patch, wanted);
  if (!read) return read;
  // A cache, which has no name, is one of the queue's pool.
  for (std::size_t i = 0; i < std::min(settings.rx.size(), wanted.rx.size()); ++i) {
    if (wanted.rx[i].pool != settings.rx[i].pool) wanted.rx[i].cache = {};
  }
  settings = std::move(wanted);
  return {};
}

Result<Json> patch_of(std::span<const std::string> changes) {
  Json patch = Json::object();
  for (const std::string& change : changes) {
    const std::size_t equals = change.find('=');
    const auto refuse = [&](std::string_view why) {
      return fail(ErrorCode::invalid_argument, fmt::format("'{}' {}", printable(change), why),
                  "write each change as SETTING=VALUE, such as mtu=9000, vlan_stripping=on or rx.0.ring=1024");
    };
    if (equals == std::string::npos) return refuse("has no value");
    Json* at = &patch;
    std::size_t depth = 0;
    for (std::size_t from = 0; from <= equals;) {
      const std::size_t to = std::min(change.find('.', from), equals);
      if (to == from || ++depth > kLimits.depth) return refuse("names no setting");
      if (!at->is_object()) return refuse("is within one that has a value");
      const bool is_last = to == equals;
      const auto [place, is_new] =
          at->emplace(change.substr(from, to - from), is_last ? value_of(change.substr(equals + 1)) : Json::object());
      if (is_last && !is_new) return refuse("is given twice");
      at = &*place;
      from = to + 1;
    }
  }
  return patch;
}

std::vector<ListedField> list_settings() { return FieldList::of<Settings>(); }

}  // namespace pollux::json

namespace pollux {

std::string_view to_string(Setting setting) noexcept {
  static const json::FieldNames<kSettings> names{Settings{}};
  return names.of(static_cast<std::size_t>(setting));
}

std::string settings_text(const Settings& settings) {
  return json::settings_json(settings).dump(2, ' ', false, json::Json::error_handler_t::replace);
}

Result<Settings> parse_settings(std::string_view text, std::span<const Mempool> pools) {
  const json::Json json = json::parse_bounded(text, json::kLimits);
  if (json.is_discarded()) {
    return fail(ErrorCode::invalid_argument, "the settings are not JSON, or too long",
                "give the result of the telemetry's port.settings, or what settings_text wrote");
  }
  Settings settings;
  auto read = json::FieldReader(pools).read_all(json, settings);
  if (read) return settings;
  return fail(read.error().code, "settings: " + read.error().what, read.error().hint);
}

}  // namespace pollux
