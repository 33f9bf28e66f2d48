// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry_client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "base/connect_socket.hpp"
#include "base/file_descriptor.hpp"
#include "net/json/json.hpp"
#include "observe/sockets.hpp"

namespace pollux::tool {
namespace {

/// A program disconnects whoever sends a longer one: docs/telemetry.md.
constexpr std::size_t kLongestRequest = std::size_t{64} << 10;
/// No answer is longer: docs/telemetry.md.
constexpr std::size_t kLongestAnswer = std::size_t{2} << 20;
/// More than any answer needs.
constexpr json::JsonLimits kAnswerLimits{.keys = 4096, .depth = 32, .values = 100'000};
constexpr std::size_t kLongestText = 1024;
constexpr std::size_t kMostPorts = 256;
/// Of all programs; the last one may have more.
constexpr std::size_t kMostRunningPorts = 2048;
constexpr std::size_t kMostNamed = 16;
constexpr std::size_t kMostSockets = 256;
constexpr std::size_t kMostFiles = 16'384;
constexpr const char* kSystemDirectory = "/run/pollux";

using std::chrono::steady_clock;
using namespace std::chrono_literals;

/// What is left of the time; nothing if it is over.
std::chrono::milliseconds left_until(steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

/// The directories of other users, by the numbers in their paths.
std::vector<std::string> directories_of_others() {
  std::vector<std::string> found;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator("/run/user", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string number = entry->path().filename().string();
    uid_t user = 0;
    const auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), user);
    std::string path = (entry->path() / "pollux").string();
    if (bad == std::errc() && end == number.data() + number.size() && observe::is_directory_of(path, user))
      found.push_back(std::move(path));
  }
  return found;
}

constexpr std::array kCodes{ErrorCode::invalid_argument, ErrorCode::bad_state,         ErrorCode::not_found,
                            ErrorCode::not_supported,    ErrorCode::permission_denied, ErrorCode::busy,
                            ErrorCode::no_memory,        ErrorCode::timeout,           ErrorCode::io_error,
                            ErrorCode::device_removed,   ErrorCode::device_fault,      ErrorCode::no_iommu};

Error error_of(const TelemetryJson& error) {
  const std::string name = text_of(error, "code");
  const auto* const code = std::ranges::find(kCodes, name, [](ErrorCode one) { return to_string(one); });
  return {code == kCodes.end() ? ErrorCode::io_error : *code, text_of(error, "what"), text_of(error, "hint")};
}

/// The user who listens there, if it is the `owner` of the directory, or root or this user in a directory of theirs.
/// Others may have put a socket into it, to say anything.
std::optional<uid_t> trusted_user(int socket, uid_t owner) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  const auto is_own = [](uid_t user) { return user == 0 || user == ::geteuid(); };
  const bool is_trusted = peer.uid == owner || (is_own(peer.uid) && is_own(owner));
  return is_trusted ? std::optional(peer.uid) : std::nullopt;
}

std::string names_of(const std::vector<RunningPort>& ports) {
  std::vector<std::string> names;
  for (const RunningPort& port : std::span(ports).first(std::min(ports.size(), kMostNamed)))
    names.push_back(
        fmt::format("{} ({} of {}, process {}, user {})", port.name, port.uri, port.program, port.pid, port.user));
  if (ports.size() > kMostNamed) names.push_back(fmt::format("and {} others", ports.size() - kMostNamed));
  return fmt::format("{}", fmt::join(names, ", "));
}

/// What to do if no port has the name that was given.
std::string hint_of(const RunningPorts& running) {
  std::vector<std::string> hints;
  if (!running.ports.empty()) hints.push_back(fmt::format("name one of {}", names_of(running.ports)));
  for (const Error& failure : running.failures) hints.push_back(fmt::format("{} ({})", failure.what, failure.hint));
  if (!hints.empty()) return fmt::format("{}", fmt::join(hints, "; "));
  constexpr const char* kNone =
      "no running program has telemetry: start one with --telemetry, or make a pollux::Telemetry in it";
  return ::geteuid() == 0 ? fmt::format("{}; --all-users asks those of other users, too", kNone) : kNone;
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
  if (!found.is_string()) return {};
  std::string_view text = found.get_ref<const std::string&>();
  if (text.size() > kLongestText) {
    std::size_t end = kLongestText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // not within a character
    text = text.substr(0, end);
  }
  return printable(text);
}

std::string digits_of(const TelemetryJson& json, const char* name) {
  const TelemetryJson& found = member(json, name);
  return found.is_number() ? found.dump() : "-";
}

std::string json_text(const TelemetryJson& json) {
  return json.dump(2, ' ', true, TelemetryJson::error_handler_t::replace);
}

// Others may connect all the time. Whoever waits for a place in the program's queue gets one in turn; whoever does not
// is refused most of the time.
Result<TelemetryClient> TelemetryClient::connect(const std::string& path, std::chrono::milliseconds limit) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(ErrorCode::io_error, "cannot make a socket", errno);
  limit = std::max(limit, std::chrono::milliseconds(1));  // 0 would be none
  const timeval wait{.tv_sec = limit / 1s, .tv_usec = limit % 1s / 1us};
  static_cast<void>(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait));
  uid_t owner = 0;
  const int error = connect_socket(socket.get(), path, owner);
  if (error == 0) {
    PeerSocket peer(std::move(socket));
    if (const auto user = trusted_user(peer.get(), owner)) return TelemetryClient(path, std::move(peer), *user);
    return fail(ErrorCode::permission_denied,
                path + " belongs neither to root nor to this user or the owner of its directory",
                "remove it, and let only its owner write to that directory");
  }
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
    const ssize_t count = socket_.receive(std::as_writable_bytes(std::span(chunk)));
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
  const std::string text = request.dump(-1, ' ', false, TelemetryJson::error_handler_t::replace);
  if (text.size() > kLongestRequest) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the request {} has {} bytes; a program takes {}", method, text.size(), kLongestRequest),
                "shorten what it contains, such as a filter");
  }
  if (auto sent = send(text + '\n', deadline); !sent) return pass_on(std::move(sent));
  // An answer that came too late for an earlier request is skipped. There may be any number of lines that are none.
  while (std::chrono::steady_clock::now() < deadline) {
    const auto line = receive(deadline);
    if (!line) return tl::unexpected<Error>(line.error());
    TelemetryJson answer = json::parse_bounded(*line, kAnswerLimits);
    if (!answer.is_object()) {
      return fail(ErrorCode::io_error, name_ + ": the answer is not a JSON object, or has too many members",
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

std::string user_name(std::uint32_t user) {
  std::array<char, 4096> text;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(user, &entry, text.data(), text.size(), &found) != 0 || found == nullptr)
    return fmt::format("{}", user);
  return printable(found->pw_name);
}

std::vector<std::string> telemetry_directories(Users users) {
  std::vector<std::string> directories = observe::default_directories();
  if (::geteuid() == 0 && directories.front() != kSystemDirectory) directories.emplace_back(kSystemDirectory);
  std::erase_if(directories, [](const std::string& own) { return !observe::is_directory_of(own, ::geteuid()); });
  if (::geteuid() != 0) return directories;
  if (users == Users::own) return directories;
  for (std::string& other : directories_of_others()) {
    if (std::ranges::find(directories, other) == directories.end()) directories.push_back(std::move(other));
  }
  return directories;
}

std::vector<std::string> telemetry_sockets(const std::vector<std::string>& directories) {
  std::vector<std::string> sockets;
  for (const std::filesystem::path directory : directories) {
    // Its owner may put a link in its place at any time.
    const FileDescriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) continue;
    std::error_code error;
    std::size_t found = 0;
    std::size_t files = 0;
    for (auto entry = std::filesystem::directory_iterator(fmt::format("/proc/self/fd/{}", opened.get()), error);
         !error && found < kMostSockets && files < kMostFiles && entry != std::filesystem::directory_iterator();
         entry.increment(error)) {
      ++files;
      if (entry->path().extension() != ".sock") continue;
      sockets.push_back(directory / entry->path().filename());
      ++found;
    }
  }
  std::ranges::sort(sockets);
  return sockets;
}

Result<std::vector<RunningPort>> ports_of(const std::string& socket, std::chrono::milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  auto client = TelemetryClient::connect(socket, limit);
  if (!client) return pass_on(std::move(client));
  return ports_of(*client, socket, left_until(deadline));
}

Result<std::vector<RunningPort>> ports_of(TelemetryClient& client, const std::string& socket,
                                          std::chrono::milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  const auto process = client.call("process", TelemetryJson::object(), limit);
  if (!process) return tl::unexpected<Error>(process.error());
  const auto ports = client.call("ports", TelemetryJson::object(), left_until(deadline));
  if (!ports) return tl::unexpected<Error>(ports.error());
  const TelemetryJson& id = member(*process, "pid");
  const std::int64_t pid = id.is_number_integer() ? id.get<std::int64_t>() : 0;
  const std::string user = user_name(client.user());
  std::vector<RunningPort> all;
  for (const TelemetryJson& port : *ports) {
    if (all.size() == kMostPorts) break;
    all.push_back({text_of(port, "name"), text_of(port, "uri"), text_of(port, "driver"), text_of(port, "state"), pid,
                   text_of(*process, "program"), socket, user});
  }
  return all;
}

namespace {

/// Asks no more programs of the directory once there are `most` ports of all.
void add_ports(RunningPorts& all, const std::string& directory, steady_clock::time_point deadline, std::size_t most) {
  const std::vector<std::string> sockets = telemetry_sockets({directory});
  std::size_t sockets_left = sockets.size();
  for (const std::string& socket : sockets) {
    if (all.ports.size() >= most) {
      all.failures.push_back({ErrorCode::io_error,
                              directory + ": other programs were not asked, since these have too many ports",
                              "see what listens to these sockets"});
      return;
    }
    const auto left = std::min<std::chrono::milliseconds>(TelemetryClient::kLimit,
                                                          share_of_next(left_until(deadline), sockets_left--));
    if (left == std::chrono::milliseconds(0)) {
      all.failures.push_back({ErrorCode::timeout,
                              directory + ": other programs were not asked, since these took too long",
                              "end those that do not answer"});
      return;
    }
    if (auto ports = ports_of(socket, left)) {
      std::ranges::move(*ports, std::back_inserter(all.ports));
    } else if (ports.error().code != ErrorCode::not_found) {
      Error& failure = all.failures.emplace_back(std::move(ports).error());
      if (failure.what.find(socket) == std::string::npos) failure.what.insert(0, socket + ": ");
    }
  }
}

}  // namespace

RunningPorts running_ports(const std::vector<std::string>& directories, std::chrono::milliseconds limit) {
  RunningPorts all;
  const auto deadline = steady_clock::now() + limit;
  std::size_t directories_left = directories.size();
  for (const std::string& directory : directories) {
    const std::size_t ports = all.ports.size();
    const std::size_t ports_left = kMostRunningPorts - std::min(ports, kMostRunningPorts);
    add_ports(all, directory, steady_clock::now() + share_of_next(left_until(deadline), directories_left),
              ports + share_of_next(ports_left, directories_left));
    --directories_left;
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
                fmt::format("name one of {}", names_of(found)));
  }
  return fail(ErrorCode::not_found, fmt::format("no running program has a port '{}'", text), hint_of(running));
}

}  // namespace pollux::tool
