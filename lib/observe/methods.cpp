// SPDX-License-Identifier: BSD-3-Clause
#include "observe/methods.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace pollux::observe {
namespace {

constexpr const char* kPrefix = "plx";
/// With the prefix, a name has at most 7 bytes; network tools allow 15 (IFNAMSIZ).
constexpr unsigned kMaxPorts = 10'000;

/// More than any request needs. Thousands of keys would keep the thread that polls for a tenth of a second.
constexpr json::JsonLimits kRequestLimits{.keys = 64, .depth = 32, .values = 1024};

tl::unexpected<Error> wrong(const char* name, std::string_view wanted) {
  return fail(ErrorCode::invalid_argument, fmt::format("the parameter '{}' is missing, or is not {}", name, wanted),
              "share/doc/pollux/telemetry.md lists the parameters of each method");
}

}  // namespace

std::string NamedPorts::name_of(std::uint64_t id) {
  const auto known = names_.find(id);
  if (known != names_.end()) return known->second.name();
  if (!directory_) return {};
  auto claim = claim_numbered(*directory_, kPrefix, kMaxPorts);
  if (!claim) {
    if (!std::exchange(has_warned_, true))
      context_.log(LogLevel::warning, "a port has no name in telemetry: " + claim.error().message());
    return {};
  }
  return names_.emplace(id, *std::move(claim)).first->second.name();
}

std::vector<NamedPort> NamedPorts::all() {
  std::vector<NamedPort> named;
  for (OpenPort& port : open_ports(context_)) {
    if (port->state() == PortState::closed) continue;
    std::string name = name_of(port.id());
    named.push_back({std::move(name), std::move(port)});
  }
  std::erase_if(names_, [&](const auto& known) {
    return std::ranges::none_of(named, [&](const NamedPort& one) { return one.port.id() == known.first; });
  });
  return named;
}

Result<NamedPort> NamedPorts::find(const std::string& name) {
  std::vector<NamedPort> ports = all();
  std::vector<std::string> names;
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string& uri = ports[i].port->info().name;
    names.push_back(ports[i].name.empty() ? uri : fmt::format("{} ({})", ports[i].name, uri));
    if (ports[i].name == name) return std::move(ports[i]);
    if (ports[i].port->info().name == name) found.push_back(i);
  }
  if (found.size() == 1) return std::move(ports[found.front()]);
  const std::string hint =
      names.empty() ? "the program has no open port" : fmt::format("name one of {}", fmt::join(names, ", "));
  if (found.empty()) return fail(ErrorCode::not_found, fmt::format("there is no port '{}'", name), hint);
  return fail(ErrorCode::invalid_argument, fmt::format("several ports are '{}'", name), hint);
}

Result<Request> parse_request(std::string_view line, Json& id) {
  if (json::exceeds(line, kRequestLimits)) {
    return fail(
        ErrorCode::invalid_argument, "the request has too many members, or nests too deep",
        fmt::format("an object has at most {} of them, a request at most {} values, and lists and objects nest at "
                    "most {} deep",
                    kRequestLimits.keys, kRequestLimits.values, kRequestLimits.depth));
  }
  Json parsed = Json::parse(line, nullptr, false);
  if (!parsed.is_object()) {
    return fail(ErrorCode::invalid_argument, "the request is not a JSON object",
                R"(send a line such as {"id":1,"method":"ports"})");
  }
  if (parsed.contains("id") && (parsed["id"].is_number() || parsed["id"].is_string())) id = parsed["id"];
  Request request;
  request.id = id;
  if (!parsed.contains("method") || !parsed["method"].is_string()) {
    return fail(ErrorCode::invalid_argument, "the request has no method",
                R"(add a "method"; {"method":"methods"} lists all)");
  }
  request.method = parsed["method"].get<std::string>();
  if (!parsed.contains("params") || parsed["params"].is_null()) return request;
  if (!parsed["params"].is_object()) {
    return fail(ErrorCode::invalid_argument, "the parameters are not a JSON object",
                R"(send them by name, such as "params":{"port":"plx0"})");
  }
  request.params = std::move(parsed["params"]);
  return request;
}

std::string answer(const Json& id, const Result<Json>& result) {
  Json reply{{"id", id}};
  if (result) {
    reply["result"] = *result;
  } else {
    const Error& error = result.error();
    reply["error"] = {{"code", to_string(error.code)}, {"what", error.what}, {"hint", error.hint}};
  }
  return reply.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json& Params::value(const char* name) const {
  const auto found = params_.find(name);
  return found == params_.end() ? null_ : *found;
}

Result<std::string> Params::text(const char* name) const {
  if (!value(name).is_string()) return wrong(name, "a string");
  return value(name).get<std::string>();
}

Result<bool> Params::flag(const char* name) const {
  if (!value(name).is_boolean()) return wrong(name, "true or false");
  return value(name).get<bool>();
}

Result<std::uint64_t> Params::number(const char* name, std::uint64_t lowest, std::uint64_t highest) const {
  const Json& found = value(name);
  const bool is_natural = found.is_number_unsigned() || (found.is_number_integer() && found.get<std::int64_t>() >= 0);
  if (is_natural) {
    const auto number = found.get<std::uint64_t>();
    if (number >= lowest && number <= highest) return number;
  }
  return wrong(name, fmt::format("a whole number from {} to {}", lowest, highest));
}

Result<double> Params::real(const char* name) const {
  if (!value(name).is_number()) return wrong(name, "a number");
  return value(name).get<double>();
}

Result<bool> Params::flag_or(const char* name, bool otherwise) const { return has(name) ? flag(name) : otherwise; }

Result<std::uint64_t> Params::number_or(const char* name, std::uint64_t otherwise, std::uint64_t lowest,
                                        std::uint64_t highest) const {
  return has(name) ? number(name, lowest, highest) : otherwise;
}

namespace {

std::array<std::span<const MethodEntry>, 4> tables() noexcept {
  return {program_methods(), state_methods(), setting_methods()};
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

Result<Json> execute(Server& server, const Request& request, NamedPort* port) {
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
  if (port != nullptr) return method->of_port(server, *port, params);
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
