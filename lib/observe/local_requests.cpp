// SPDX-License-Identifier: BSD-3-Clause
#include "observe/local_requests.hpp"

#include <algorithm>
#include <utility>

namespace pollux::observe {
namespace {

Result<Json> parse_object(std::string_view text) {
  Json parsed = Json::parse(text, nullptr, false);
  if (parsed.is_object()) return parsed;
  return fail(ErrorCode::invalid_argument, "this is not a JSON object: " + std::string(text.substr(0, 60)),
              R"(write one such as {"mtu":1500})");
}

}  // namespace

LocalRequests::LocalRequests(Context& context) : context_(context), options_{.captures = false}, meters_(context) {}

Result<Json> LocalRequests::call(Port* port, std::string_view method, Json params) {
  NamedPorts ports(context_, std::nullopt);
  ClientCounts counts;
  Server server{context_, options_, ports, meters_, counts};
  const Request request{.id = nullptr, .method = std::string(method), .params = std::move(params)};
  if (port == nullptr) return execute(server, request);
  std::vector<OpenPort> all = open_ports(context_);
  const auto found = std::ranges::find_if(all, [&](OpenPort& one) { return &one->info() == &port->info(); });
  if (found == all.end()) return fail(ErrorCode::bad_state, "the port is closed", "open it again, or ask another port");
  NamedPort named{port->info().name, std::move(*found)};
  all.clear();
  return execute(server, request, &named);
}

Result<std::string> LocalRequests::request(Port* port, std::string_view method, std::string_view params) {
  auto given = params.empty() ? Result<Json>(Json::object()) : parse_object(params);
  if (!given) return pass_on(std::move(given));
  auto result = call(port, method, *std::move(given));
  if (!result) return pass_on(std::move(result));
  return result->dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<void> LocalRequests::change(Port& port, std::string_view patch) {
  auto settings = parse_object(patch);
  if (!settings) return pass_on(std::move(settings));
  auto changed = call(&port, "port.change", Json{{"settings", *std::move(settings)}});
  if (!changed) return pass_on(std::move(changed));
  return {};
}

}  // namespace pollux::observe
