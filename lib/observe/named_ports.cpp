// SPDX-License-Identifier: BSD-3-Clause
#include "observe/named_ports.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace pollux::observe {
namespace {

constexpr const char* kPrefix = "plx";
/// With the prefix, a name has at most 7 bytes; network tools allow 15 (IFNAMSIZ).
constexpr unsigned kMaxPorts = 10'000;

}  // namespace

std::string NamedPorts::name_of(std::uint64_t id) {
  const auto known = names_.find(id);
  if (known != names_.end()) return known->second.name();
  auto claim = claim_numbered(directory_, kPrefix, kMaxPorts);
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
    names.push_back(fmt::format("{} ({})", ports[i].name, ports[i].port->info().name));
    if (ports[i].name == name) return std::move(ports[i]);
    if (ports[i].port->info().name == name) found.push_back(i);
  }
  if (found.size() == 1) return std::move(ports[found.front()]);
  const std::string hint =
      names.empty() ? "the program has no open port" : fmt::format("name one of {}", fmt::join(names, ", "));
  if (found.empty()) return fail(ErrorCode::not_found, fmt::format("there is no port '{}'", name), hint);
  return fail(ErrorCode::invalid_argument, fmt::format("several ports are '{}'", name), hint);
}

}  // namespace pollux::observe
