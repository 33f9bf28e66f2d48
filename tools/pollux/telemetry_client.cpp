// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry_client.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "observe/bounded_json.hpp"
#include "observe/claim.hpp"

namespace pollux::tool {
namespace {

/// No answer is longer: docs/telemetry.md.
constexpr std::size_t kLongestAnswer = std::size_t{8} << 20;
/// More than any answer needs.
constexpr observe::JsonLimits kAnswerLimits{.keys = 4096, .depth = 32};

constexpr std::array kCodes{ErrorCode::invalid_argument, ErrorCode::bad_state,         ErrorCode::not_found,
                            ErrorCode::not_supported,    ErrorCode::permission_denied, ErrorCode::busy,
                            ErrorCode::no_memory,        ErrorCode::timeout,           ErrorCode::io_error,
                            ErrorCode::device_removed,   ErrorCode::device_fault,      ErrorCode::no_iommu};

Error error_of(const TelemetryJson& error) {
  const std::string name = text_of(error, "code");
  const auto* const code = std::ranges::find(kCodes, name, [](ErrorCode one) { return to_string(one); });
  return {code == kCodes.end() ? ErrorCode::io_error : *code, text_of(error, "what"), text_of(error, "hint")};
}

/// Whether root, this user or the owner of the directory listens there. Others may have put a socket into it, to say
/// anything.
bool is_of_owner(int socket, const std::string& path) {
  ucred peer{};
  socklen_t size = sizeof peer;
  struct stat directory {};
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         ::stat(parent.empty() ? "." : parent.c_str(), &directory) == 0 &&
         (peer.uid == 0 || peer.uid == ::geteuid() || peer.uid == directory.st_uid);
}

std::vector<std::string> names_of(const std::vector<RunningPort>& ports) {
  std::vector<std::string> names;
  for (const RunningPort& port : ports)
    names.push_back(fmt::format("{} ({} of {}, process {})", port.name, port.uri, port.program, port.pid));
  return names;
}

/// What to do if no port has the name that was given.
std::string hint_of(const RunningPorts& running) {
  std::vector<std::string> hints;
  if (!running.ports.empty()) hints.push_back(fmt::format("name one of {}", fmt::join(names_of(running.ports), ", ")));
  for (const Error& failure : running.failures) hints.push_back(fmt::format("{} ({})", failure.what, failure.hint));
  if (!hints.empty()) return fmt::format("{}", fmt::join(hints, "; "));
  return "no running program has telemetry: start one with --telemetry, or make a pollux::Telemetry in it";
}

}  // namespace

const TelemetryJson& member(const TelemetryJson& json, const char* name) {
  static const TelemetryJson nothing;
  if (!json.is_object()) return nothing;
  const auto found = json.find(name);
  return found == json.end() ? nothing : *found;
}

std::string text_of(const TelemetryJson& json, const char* name) {
  const TelemetryJson& found = member(json, name);
  return found.is_string() ? printable(found.get_ref<const std::string&>()) : std::string();
}

std::string printable(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    const bool is_c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;  // U+0080 to U+009F
    shown += is_c1 || byte < 0x20 || byte == 0x7F ? '?' : text[i];
    if (is_c1) ++i;
  }
  return shown;
}

Result<TelemetryClient> TelemetryClient::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(ErrorCode::not_found, path + ": no socket has a path that long", "name the socket of a program");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(ErrorCode::io_error, "cannot make a socket", errno);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);  // NOLINT(*-reinterpret-cast): connect(2)
  if (::connect(socket.get(), generic, sizeof address) == 0) {
    if (is_of_owner(socket.get(), path)) return TelemetryClient(path, std::move(socket));
    return fail(ErrorCode::permission_denied,
                path + " belongs neither to root nor to this user or the owner of its directory",
                "remove it, and let only its owner write to that directory");
  }
  const int error = errno;
  if (error == EAGAIN) {
    return fail(ErrorCode::busy, path + ": too many clients wait for the program",
                "it must call Control::run_due when it is due; see whether it is stopped");
  }
  const bool denied = error == EACCES || error == EPERM;
  return fail_errno(denied ? ErrorCode::permission_denied : ErrorCode::not_found, "cannot connect to " + path, error,
                    denied ? "run as the program's user, or as root" : "start the program with --telemetry");
}

Result<void> TelemetryClient::wait_for(short events, Deadline deadline) const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd waiting{socket_.get(), events, 0};
  const int ready = left.count() <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left.count()));
  if (ready > 0 || (ready < 0 && errno == EINTR)) return {};
  return no_answer();
}

tl::unexpected<Error> TelemetryClient::no_answer() const {
  return fail(ErrorCode::timeout, name_ + ": the program does not answer",
              "it must call Control::run_due when it is due; see whether it is stopped");
}

Result<void> TelemetryClient::send(std::string_view line, Deadline deadline) const {
  while (!line.empty()) {
    const ssize_t count = ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      line.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (auto ready = wait_for(POLLOUT, deadline); !ready) return ready;
    } else {
      return fail_errno(ErrorCode::io_error, name_ + ": cannot send", errno, "see whether the program has ended");
    }
  }
  return {};
}

Result<std::string> TelemetryClient::receive(Deadline deadline) {
  for (std::size_t searched = 0; received_.size() < kLongestAnswer;) {
    if (const auto end = received_.find('\n', searched); end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    searched = received_.size();
    std::array<char, 16384> chunk;
    const ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count > 0) {
      received_.append(chunk.data(), static_cast<std::size_t>(count));
    } else if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (auto ready = wait_for(POLLIN, deadline); !ready) return pass_on(std::move(ready));
    } else {
      return fail(ErrorCode::io_error, name_ + ": the program has ended, or disconnected this client",
                  "see what the program reports");
    }
  }
  return fail(ErrorCode::io_error, name_ + ": the answer is too long", "see what listens to that socket");
}

Result<TelemetryJson> TelemetryClient::call(std::string_view method, TelemetryJson params,
                                            std::chrono::milliseconds limit) {
  const Deadline deadline = std::chrono::steady_clock::now() + limit;
  answered_ = false;
  const TelemetryJson request{{"id", ++last_id_}, {"method", method}, {"params", std::move(params)}};
  if (auto sent = send(request.dump(-1, ' ', false, TelemetryJson::error_handler_t::replace) + '\n', deadline); !sent)
    return pass_on(std::move(sent));
  // An answer that came too late for an earlier request is skipped. There may be any number of lines that are none.
  while (std::chrono::steady_clock::now() < deadline) {
    const auto line = receive(deadline);
    if (!line) return tl::unexpected<Error>(line.error());
    TelemetryJson answer = observe::parse_bounded(*line, kAnswerLimits);
    if (!answer.is_object()) {
      return fail(ErrorCode::io_error, name_ + ": the answer is no JSON object, or has too many members",
                  "see what listens to that socket");
    }
    const bool is_own = answer["id"] == last_id_;
    const bool has_error = answer.contains("error") && answer["error"].is_object();
    answered_ = (has_error && (is_own || answer["id"].is_null())) || (answer.contains("result") && is_own);
    if (!answered_) continue;
    if (has_error) return tl::unexpected<Error>(error_of(answer["error"]));
    return std::move(answer["result"]);
  }
  return no_answer();
}

std::vector<std::string> telemetry_directories() {
  std::vector<std::string> directories{observe::default_directory()};
  if (::geteuid() != 0) return directories;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator("/run/user", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    directories.push_back((entry->path() / "pollux").string());
  if (std::ranges::find(directories, "/run/pollux") == directories.end()) directories.emplace_back("/run/pollux");
  return directories;
}

std::vector<std::string> telemetry_sockets(const std::vector<std::string>& directories) {
  std::vector<std::string> sockets;
  for (const std::string& directory : directories) {
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(directory, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      if (entry->path().extension() == ".sock") sockets.push_back(entry->path().string());
    }
  }
  std::ranges::sort(sockets);
  return sockets;
}

Result<std::vector<RunningPort>> ports_of(const std::string& socket) {
  auto client = TelemetryClient::connect(socket);
  if (!client) return pass_on(std::move(client));
  return ports_of(*client, socket);
}

Result<std::vector<RunningPort>> ports_of(TelemetryClient& client, const std::string& socket,
                                          std::chrono::milliseconds limit) {
  const auto process = client.call("process", TelemetryJson::object(), limit);
  if (!process) return tl::unexpected<Error>(process.error());
  const auto ports = client.call("ports", TelemetryJson::object(), limit);
  if (!ports) return tl::unexpected<Error>(ports.error());
  const TelemetryJson& id = member(*process, "pid");
  const std::int64_t pid = id.is_number_integer() ? id.get<std::int64_t>() : 0;
  std::vector<RunningPort> all;
  for (const TelemetryJson& port : *ports) {
    all.push_back({text_of(port, "name"), text_of(port, "uri"), text_of(port, "driver"), text_of(port, "state"), pid,
                   text_of(*process, "program"), socket});
  }
  return all;
}

RunningPorts running_ports(const std::vector<std::string>& directories) {
  RunningPorts all;
  for (const std::string& socket : telemetry_sockets(directories)) {
    if (auto ports = ports_of(socket)) {
      std::ranges::move(*ports, std::back_inserter(all.ports));
    } else if (ports.error().code != ErrorCode::not_found) {
      Error& failure = all.failures.emplace_back(std::move(ports).error());
      if (failure.what.find(socket) == std::string::npos) failure.what.insert(0, socket + ": ");
    }
  }
  return all;
}

Result<RunningPort> select_port(const RunningPorts& running, const std::string& text) {
  const std::vector<RunningPort>& ports = running.ports;
  std::vector<RunningPort> found;
  std::ranges::copy_if(ports, std::back_inserter(found), [&](const RunningPort& port) {
    return port.name == text || port.uri == text || fmt::format("{}", port.pid) == text;
  });
  if (found.size() == 1) return found.front();
  if (!found.empty()) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' may be several ports", text),
                fmt::format("name one of {}", fmt::join(names_of(found), ", ")));
  }
  return fail(ErrorCode::not_found, fmt::format("no running program has a port '{}'", text), hint_of(running));
}

}  // namespace pollux::tool
