// SPDX-License-Identifier: BSD-3-Clause
#include "net/handover/kept_port.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "net/json/settings_json.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::handover {

void append_counters(std::vector<Counter>& counters, const CrashLosses& losses) {
  counters.insert(
      counters.end(),
      {{"lost_in_crash", losses.lost}, {"received_before_crash", losses.received}, {"sent_before_crash", losses.sent}});
}

void report_crash(const ContextState& context, const std::string& port, const CrashLosses& losses) {
  context.log(
      LogLevel::warning,
      fmt::format("{}: continues after a crash: so far {} frames were lost in rings or in bursts that were cut, "
                  "and the programs that crashed had taken {} and given {}",
                  port, losses.lost, losses.received, losses.sent));
}

void report_anew(const ContextState& context, const std::string& port, const Error& why) {
  context.log(LogLevel::warning,
              fmt::format("{}: starts anew, since what was kept cannot be continued: {}", port, why.message()));
}

Result<std::vector<NamedDescriptor>> KeptPort::take(const ContextState& context, const std::string& port) {
  auto held = keeper_.take(prefix_);
  if (!held) {
    if (held.error().code == ErrorCode::busy) return held;
    if (held.error().code != ErrorCode::not_found) report_anew(context, port, held.error());  // that, `store` says
    return std::vector<NamedDescriptor>();
  }
  for (NamedDescriptor& one : *held) {
    stored_.push_back(one.name);
    one.name.erase(0, prefix_.size());
  }
  if (!held->empty()) keeper_file_ = identity_of(keeper_.where());
  return held;
}

bool KeptPort::must_store() noexcept {
  const bool is_path = keeper_.where() != Keeper::kSystemd;
  const SocketIdentity file = is_path ? identity_of(keeper_.where()) : SocketIdentity{};
  if (file == keeper_file_ && (failed_ || !stored_.empty())) return false;
  keeper_file_ = file;
  return true;
}

void KeptPort::store(const ContextState& context, const std::string& port,
                     std::vector<std::pair<std::string, int>> descriptors, const std::string& last) {
  std::stable_partition(descriptors.begin(), descriptors.end(), [&](const auto& one) { return one.first != last; });
  stored_.clear();
  Result<void> done;
  for (const auto& [what, descriptor] : descriptors) {
    if (done) done = keeper_.store(prefix_ + what, descriptor);
    if (done) stored_.push_back(prefix_ + what);
  }
  if (!done && !failed_)
    context.log(LogLevel::warning, fmt::format("{}: is not kept: {}", port, done.error().message()));
  failed_ = !done;
  if (!done) end();
}

void KeptPort::end() noexcept {
  for (const std::string& name : forget()) keeper_.remove(name);
}

void write_kept(KeptFile& file, const PortInfo& info, const PlacedSettings& settings, const Json& details) {
  const Json record{{"message", "port"},
                    {"version", kVersion},
                    {"name", info.name},
                    {"driver", info.driver},
                    {"settings", json::settings_json(settings)},
                    {"details", details}};
  file.write_record(record.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<PortRecord> read_kept(const KeptFile& file, std::vector<NamedDescriptor> held) {
  auto json = file.record();
  if (!json) return pass_on(std::move(json));
  const auto version = number(*json, "version", ~std::uint64_t{0});
  if (!version || *version != kVersion) return malformed("it is of another version");
  std::vector<FileDescriptor> files;
  (*json)["descriptors"] = Json::array();
  for (NamedDescriptor& one : held) {
    (*json)["descriptors"].push_back(one.name);
    files.push_back(std::move(one.file));
  }
  return read_port(*std::move(json), std::move(files));
}

}  // namespace pollux::handover
