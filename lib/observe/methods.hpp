// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/json/json.hpp"
#include "observe/capture/frame_filter.hpp"
#include "observe/port_meters.hpp"
#include "observe/sockets.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/open_ports.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/observe/capture.hpp"
#include "pollux/observe/telemetry.hpp"

namespace pollux::observe {

using json::Json;

/// A port of the Context under its name.
struct NamedPort {
  std::string name;  ///< empty: no name could be claimed
  OpenPort port;
};

/// The names of a Context's ports.
class NamedPorts {
 public:
  /// `directory`: where names are claimed; without one, ports have no names.
  NamedPorts(Context& context, std::optional<OwnDirectory> directory)
      : context_(context), directory_(std::move(directory)) {}

  /// All ports that are not closed. New ones get a name; the names of those that are gone are free again.
  [[nodiscard]] std::vector<NamedPort> all();
  /// The port with that name or URI. Errors: not_found, invalid_argument (several ports have the URI).
  [[nodiscard]] Result<NamedPort> find(const std::string& name);
  /// Gives all names back.
  void forget_all() { names_.clear(); }

 private:
  [[nodiscard]] std::string name_of(std::uint64_t id);

  Context& context_;
  std::optional<OwnDirectory> directory_;
  std::map<std::uint64_t, Claim> names_;  // by OpenPort::id
  bool has_warned_ = false;
};

/// One line of a client: {"id":1,"method":"port.stats","params":{"port":"plx0"}}.
struct Request {
  Json id;  ///< a number, a string or null: the answer has the same
  std::string method;
  Json params = Json::object();
};

/// Error invalid_argument: no JSON object, or without a method. `id` is set as far as it could be read.
[[nodiscard]] Result<Request> parse_request(std::string_view line, Json& id);

/// One line without its end. Bytes that are no UTF-8 are replaced.
[[nodiscard]] std::string answer(const Json& id, const Result<Json>& result);

/// Reads the parameters of a request. Errors are invalid_argument and name the parameter.
class Params {
 public:
  explicit Params(const Json& params) : params_(params) {}

  /// Whether it is there and not null.
  [[nodiscard]] bool has(const char* name) const { return params_.contains(name) && !params_[name].is_null(); }
  [[nodiscard]] bool contains(const char* name) const { return params_.contains(name); }
  [[nodiscard]] const Json& all() const { return params_; }
  /// The parameter, or null.
  [[nodiscard]] const Json& value(const char* name) const;
  [[nodiscard]] Result<std::string> text(const char* name) const;
  [[nodiscard]] Result<bool> flag(const char* name) const;
  [[nodiscard]] Result<std::uint64_t> number(const char* name, std::uint64_t lowest, std::uint64_t highest) const;
  [[nodiscard]] Result<double> real(const char* name) const;
  /// Without the parameter: `otherwise`.
  [[nodiscard]] Result<bool> flag_or(const char* name, bool otherwise) const;
  [[nodiscard]] Result<std::uint64_t> number_or(const char* name, std::uint64_t otherwise, std::uint64_t lowest,
                                                std::uint64_t highest) const;

 private:
  const Json& params_;
  Json null_;
};

/// Clients that the server has or had.
struct ClientCounts {
  std::uint64_t connected = 0;  ///< now
  std::uint64_t accepted = 0;
  std::uint64_t denied = 0;    ///< may not connect
  std::uint64_t too_many = 0;  ///< beyond TelemetryOptions::max_clients
  std::uint64_t too_slow = 0;  ///< disconnected: did not read their replies
  std::uint64_t too_long = 0;  ///< disconnected: sent a line that is too long
  std::uint64_t idle = 0;      ///< disconnected: lost the place to a new client
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;  ///< requests that were answered with an error
};

/// A capture that a client has asked for.
struct CaptureRequest {
  std::string port;  ///< its name
  std::string uri;
  CaptureOptions options;
  bool drops = false;
};

/// What methods work with.
struct Server {
  Context& context;
  const TelemetryOptions& options;
  NamedPorts& ports;
  PortMeters& meters;
  ClientCounts& counts;
  std::uint64_t client = 0;  ///< that of the request
  /// Set by a method whose answer, and the capture after it, come once the filter is compiled.
  std::optional<CaptureRequest> capture = {};
};

using Method = Result<Json>(Server& server, const Params& params);
using PortMethod = Result<Json>(Server& server, NamedPort& port, const Params& params);

/// A method of the protocol. It has either function; `of_port` has a parameter "port".
struct MethodEntry {
  std::string_view name;
  bool changes = false;   ///< refused by a server that is read-only
  bool captures = false;  ///< refused by a server that does not permit captures
  Method* general = nullptr;
  PortMethod* of_port = nullptr;
};

/// The tables of methods, each in its own file.
[[nodiscard]] std::span<const MethodEntry> program_methods() noexcept;
[[nodiscard]] std::span<const MethodEntry> state_methods() noexcept;
[[nodiscard]] std::span<const MethodEntry> setting_methods() noexcept;

/// Starts a capture whose filter is compiled. Errors: not_found (the port was closed meanwhile), those of
/// Capture::start.
[[nodiscard]] Result<std::unique_ptr<Capture>> begin_capture(Server& server, CaptureRequest request,
                                                             FrameFilter filter);

/// Executes a request: for `port` if there is one, else for that which the request names. Errors: not_found (no such
/// method or port), permission_denied (the server is read-only, or does not permit captures), and those of the method.
[[nodiscard]] Result<Json> execute(Server& server, const Request& request, NamedPort* port = nullptr);
/// All methods, as the method "methods" lists them.
[[nodiscard]] Json list_methods();

/// Whether the server permits captures.
[[nodiscard]] inline bool permits_captures(const TelemetryOptions& options) {
  return options.captures.value_or(!options.read_only);
}

/// The capability, or error not_supported: `port` lacks it.
template <class C>
[[nodiscard]] Result<Capability<C>> need(NamedPort& port) {
  auto capability = port.port->capability<C>();
  if (capability) return capability;
  return tl::unexpected<Error>(port.port->lacks(C::kId));
}

/// Error not_supported: the port lacks the setting.
[[nodiscard]] inline Result<void> need_setting(NamedPort& port, Setting setting) {
  if (port.port->info().supports.test(setting)) return {};
  return tl::unexpected<Error>(port.port->lacks(setting));
}

/// The answer of a method that changes something: null.
[[nodiscard]] inline Result<Json> done(Result<void>&& result) {
  if (!result) return pass_on(std::move(result));
  return Json(nullptr);
}

}  // namespace pollux::observe
