// SPDX-License-Identifier: BSD-3-Clause
#include "observe/methods.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pollux::observe {
namespace {

std::array<std::span<const MethodEntry>, 7> tables() noexcept {
  return {program_methods(), state_methods(), setting_methods(), control_methods(),
          card_methods(),    flow_methods(),  capture_methods()};
}

const MethodEntry* find_method(std::string_view name) noexcept {
  for (const auto& table : tables()) {
    for (const MethodEntry& entry : table) {
      if (entry.name == name) return &entry;
    }
  }
  return nullptr;
}

Result<Json> call_for_port(Server& server, const MethodEntry& method, const Params& params) {
  const auto name = params.text("port");
  if (!name) return tl::unexpected<Error>(name.error());
  auto port = server.ports.find(*name);
  if (!port) return pass_on(std::move(port));
  return method.of_port(server, *port, params);
}

}  // namespace

Result<Json> execute(Server& server, const Request& request) {
  const MethodEntry* const method = find_method(request.method);
  if (method == nullptr) {
    return fail(ErrorCode::not_found, fmt::format("there is no method '{}'", request.method),
                R"({"method":"methods"} lists all)");
  }
  if (method->changes && server.options.read_only) {
    return fail(ErrorCode::permission_denied, fmt::format("'{}' is refused: this telemetry is read-only", method->name),
                "clear TelemetryOptions::read_only in the program");
  }
  if (method->captures && !permits_captures(server.options)) {
    return fail(ErrorCode::permission_denied,
                fmt::format("'{}' is refused: this telemetry permits no captures", method->name),
                "set TelemetryOptions::captures in the program");
  }
  const Params params(request.params);
  if (method->general != nullptr) return method->general(server, params);
  return call_for_port(server, *method, params);
}

Json list_methods() {
  Json all = Json::array();
  for (const auto& table : tables()) {
    for (const MethodEntry& entry : table)
      all.push_back({{"method", entry.name}, {"changes", entry.changes}, {"port", entry.of_port != nullptr}});
  }
  return all;
}

}  // namespace pollux::observe
