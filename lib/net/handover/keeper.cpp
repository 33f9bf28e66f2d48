// SPDX-License-Identifier: BSD-3-Clause
#include "net/handover/keeper.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

#include "base/connect_socket.hpp"

namespace pollux::handover {
namespace {

/// For a message to be taken; a port tells a keeper from its service.
constexpr timeval kSendLimit{.tv_sec = 2, .tv_usec = 0};
/// For an answer at the start: without it the port starts anew, which costs the link, so a busy machine has time.
constexpr timeval kTakeLimit{.tv_sec = 10, .tv_usec = 0};

const char* variable(const char* name) noexcept {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return value != nullptr ? value : "";
}

/// systemd names its socket by a path, or by an abstract name behind '@' (systemd.exec(5)).
int connect_to_systemd(int socket, std::string name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.empty() || name.size() >= sizeof address.sun_path) return ENOENT;
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (name[0] == '@' ? 0 : 1));
  if (name[0] == '@') name[0] = '\0';
  name.copy(address.sun_path, name.size());
  return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), bytes) == 0 ? 0 : errno;
}

/// The descriptors from number 3 on that systemd has passed with that prefix. A second call finds them no more: their
/// owner closes them, and their numbers may be other files' by then.
std::vector<NamedDescriptor> passed_by_systemd(const std::string& prefix) {
  static std::mutex mutex;
  static std::set<int> taken;
  const std::lock_guard lock(mutex);
  const auto number_of = [](const char* name) {
    const char* const text = variable(name);
    int value = 0;
    return std::from_chars(text, text + std::strlen(text), value).ec == std::errc{} ? value : 0;
  };
  std::vector<NamedDescriptor> found;
  if (number_of("LISTEN_PID") != ::getpid()) return found;
  const int count = number_of("LISTEN_FDS");
  std::string_view names = variable("LISTEN_FDNAMES");
  constexpr int kFirst = 3;
  for (int i = 0; i < count; ++i) {
    const std::string_view name = names.substr(0, names.find(':'));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    if (!name.starts_with(prefix) || !taken.insert(kFirst + i).second) continue;
    static_cast<void>(::fcntl(kFirst + i, F_SETFD, FD_CLOEXEC));
    found.push_back({std::string(name), FileDescriptor(kFirst + i)});
  }
  return found;
}

}  // namespace

Result<void> Keeper::tell(const std::string& text, std::span<const int> descriptors) const {
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  static_cast<void>(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendLimit, sizeof kSendLimit));
  uid_t owner = 0;
  int error = !socket              ? errno
              : where_ == kSystemd ? connect_to_systemd(socket.get(), variable("NOTIFY_SOCKET"))
                                   : connect_socket(socket.get(), where_, owner);
  if (error == 0 && where_ != kSystemd && owner != 0 && owner != ::geteuid()) error = EPERM;
  if (error == 0) error = send_bytes(socket.get(), text, descriptors);
  if (error == 0) return {};
  const bool nobody = error == ENOENT || error == ECONNREFUSED;
  const bool denied = error == EACCES || error == EPERM;
  return fail_errno(nobody   ? ErrorCode::not_found
                    : denied ? ErrorCode::permission_denied
                             : ErrorCode::io_error,
                    fmt::format("no keeper takes a message at {}", where_), error,
                    where_ == kSystemd
                        ? "set NotifyAccess=main and FileDescriptorStoreMax= in the unit, or name a keeper"
                    : denied ? "run it as this user, in a directory of this user"
                             : fmt::format("start one: pollux keeper run --socket {}", where_));
}

Result<Message> Keeper::ask(const std::string& question) const {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno(ErrorCode::io_error, "cannot make a socket for a keeper's answer", errno);
  const FileDescriptor own(ends[0]);
  {
    const FileDescriptor theirs(ends[1]);
    if (auto told = tell(question, {&ends[1], 1}); !told) return pass_on(std::move(told));
  }
  static_cast<void>(::setsockopt(own.get(), SOL_SOCKET, SO_RCVTIMEO, &kTakeLimit, sizeof kTakeLimit));
  return receive(own.get(), "held");
}

Result<std::vector<NamedDescriptor>> Keeper::take(const std::string& prefix) {
  if (where_ == kSystemd) return passed_by_systemd(prefix);
  auto answer = ask(fmt::format("FDTAKE=1\nFDNAME={}\n", prefix));
  if (!answer) return pass_on(std::move(answer));
  const auto names = answer->json.find("names");
  if (names == answer->json.end() || !names->is_array() || names->size() != answer->descriptors.size())
    return malformed("a keeper's answer does not name what came");
  std::vector<NamedDescriptor> held;
  for (std::size_t i = 0; i < names->size(); ++i) {
    if (!(*names)[i].is_string()) return malformed("a keeper's answer has a name that is not a text");
    held.push_back({(*names)[i].get<std::string>(), std::move(answer->descriptors[i])});
  }
  return held;
}

// Only names that a keeper has not stored yet are ever stored again with another descriptor: systemd keeps both.
Result<void> Keeper::store(const std::string& name, int descriptor) const {
  return tell(fmt::format("FDSTORE=1\nFDNAME={}\nFDPOLL=0\n", name), {&descriptor, 1});
}

void Keeper::remove(const std::string& name) const noexcept {
  static_cast<void>(tell(fmt::format("FDSTOREREMOVE=1\nFDNAME={}\n", name), {}));
}

}  // namespace pollux::handover
