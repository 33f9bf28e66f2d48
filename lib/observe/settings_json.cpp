// SPDX-License-Identifier: BSD-3-Clause
#include "observe/port_json.hpp"

#include "observe/json.hpp"
#include "observe/setting_fields.hpp"
#include "pollux/observe/settings_text.hpp"

namespace pollux {
namespace {

/// All VLANs are 4,095 values, and a rule of the longest kind some 30.
constexpr observe::JsonLimits kSettingsLimits{.keys = 256, .depth = 16, .values = 1U << 16};

}  // namespace

observe::Json observe::settings_json(Settings settings) {
  for (ValidatedRxQueue& queue : settings.queues.rx) {
    if (queue.pool == settings.queues.made_pool) queue.pool = nullptr;
  }
  return FieldWriter::write(settings);
}

std::string settings_text(const Settings& settings) {
  return observe::settings_json(settings).dump(2, ' ', false, observe::Json::error_handler_t::replace);
}

Result<Settings> parse_settings(std::string_view text, std::span<const Mempool> pools) {
  const observe::Json json = observe::parse_bounded(text, kSettingsLimits);
  if (json.is_discarded()) {
    return fail(ErrorCode::invalid_argument, "the settings are not JSON, or too long",
                "give the result of the telemetry's port.config, or what settings_text wrote");
  }
  Settings settings;
  auto read = observe::FieldReader(pools).read_all(json, settings);
  if (read) return settings;
  return fail(read.error().code, "settings: " + read.error().what, read.error().hint);
}

}  // namespace pollux
