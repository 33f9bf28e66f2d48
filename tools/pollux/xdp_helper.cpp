// SPDX-License-Identifier: BSD-3-Clause
// `pollux xdp-helper`: does with privileges what `xdp:` ports of programs without any need (docs/xdp.md).
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/peer_socket.hpp"
#include "base/socket_file.hpp"
#include "commands.hpp"
#include "common/stop_signals.hpp"
#include "open_files.hpp"
#include "ports/xdp/helper_sessions.hpp"
#include "ports/xdp/interface.hpp"
#include "report.hpp"
#include "server_output.hpp"

namespace pollux::tool {
namespace {

struct HelperOptions {
  std::string socket = "/run/pollux-xdp.sock";
  std::string user;
  std::string group;
  xdp::HelperPolicy policy;
};

/// Who may use the helper: a user, or the members of a group.
struct Allowed {
  std::optional<uid_t> user;
  std::optional<gid_t> group;
};

Result<Allowed> find_allowed(const HelperOptions& options) {
  Allowed allowed;
  if (!options.user.empty()) {
    const passwd* const found = ::getpwnam(options.user.c_str());
    if (found == nullptr) {
      return fail(ErrorCode::not_found, fmt::format("there is no user '{}'", options.user),
                  "name one of getent passwd");
    }
    allowed.user = found->pw_uid;
  }
  if (!options.group.empty()) {
    const group* const found = ::getgrnam(options.group.c_str());
    if (found == nullptr) {
      return fail(ErrorCode::not_found, fmt::format("there is no group '{}'", options.group),
                  "name one of getent group");
    }
    allowed.group = found->gr_gid;
  }
  return allowed;
}

constexpr int kPeerGroups = 59;  // SO_PEERGROUPS, Linux 4.13; missing in older headers

bool may_use(int connection, const ucred& peer, const Allowed& allowed) {
  if (allowed.user && peer.uid == *allowed.user) return true;
  if (!allowed.group) return false;
  if (peer.gid == *allowed.group) return true;
  std::array<gid_t, 1024> groups{};
  socklen_t size = sizeof groups;
  if (::getsockopt(connection, SOL_SOCKET, kPeerGroups, groups.data(), &size) != 0) return false;
  const auto of_peer = std::span(groups).first(size / sizeof(gid_t));
  return std::ranges::find(of_peer, *allowed.group) != of_peer.end();
}

tl::unexpected<Error> socket_error(const std::string& path, const char* what) {
  return fail_errno(ErrorCode::io_error, fmt::format("{}: {}", path, what), errno, "as root, or name another --socket");
}

constexpr int kBacklog = 16;

/// A listening socket that only those who are allowed can open. A socket that no helper has any more is replaced.
Result<FileDescriptor> listen_at(const std::string& path, const Allowed& allowed) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: too long for a socket", path), "name a shorter --socket");
  }
  path.copy(address.sun_path, path.size());
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  FileDescriptor made(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return socket_error(path, "cannot make a socket");
  const auto directory = open_directory_of(path, "name a --socket in a directory of root's that has no other writers");
  if (!directory) return tl::unexpected<Error>(directory.error());
  errno = remove_unused_socket(path, SOCK_SEQPACKET);
  if (errno == EADDRINUSE) {
    return fail(ErrorCode::busy, fmt::format("{}: another helper listens there", path),
                "end it, or name another --socket");
  }
  if (errno != 0) return socket_error(path, "cannot find out whether a helper listens there");
  static_cast<void>(::fchmod(made.get(), 0600));
  if (::bind(made.get(), raw, sizeof address) != 0) return socket_error(path, "cannot bind");
  errno = give_socket(*directory, path, allowed.group ? 0660 : 0600, allowed.user.value_or(static_cast<uid_t>(-1)),
                      allowed.group.value_or(static_cast<gid_t>(-1)));
  if (errno != 0) return socket_error(path, "cannot give it to those who are allowed");
  if (::listen(made.get(), kBacklog) != 0) return socket_error(path, "cannot listen");
  return made;
}

/// Accepts all that wait. False: the next one cannot be accepted now.
bool accept_all(int listener, const Allowed& allowed, xdp::HelperSessions& sessions) {
  for (int i = 0; i < kBacklog; ++i) {
    PeerSocket connection(FileDescriptor(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
    if (connection.get() < 0) {
      if (errno == EAGAIN) return true;
      sessions.warn(fmt::format("cannot accept a connection ({})", std::system_category().message(errno)));
      return false;
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
    if (may_use(connection.get(), peer, allowed)) {
      sessions.accept(std::move(connection), peer.uid);
    } else {
      sessions.warn(fmt::format("refused a process of user {}: it is not allowed to use the helper", peer.uid));
    }
  }
  return true;
}

/// As many sessions as there are descriptors for.
std::size_t most_sessions() {
  using xdp::HelperSessions;
  constexpr rlim_t kWanted = kOwnFiles + HelperSessions::kMost * HelperSessions::kDescriptors;
  const rlim_t limit = allow_open_files(kWanted);
  const rlim_t left = std::min(limit, kWanted) - std::min(limit, kOwnFiles);
  return std::max<std::size_t>(left / HelperSessions::kDescriptors, 1);
}

/// The capabilities are those that the systemd unit leaves for the sake of the ports.
Confinement needs_of(const HelperOptions& options) {
  return {.capabilities = {CAP_NET_RAW, CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF},
          .opens_interfaces = true,
          .read = {"/sys/kernel/btf"},
          .removed = {options.socket}};
}

int run_helper(const Environment& environment, const HelperOptions& options) {
  const auto allowed = find_allowed(options);
  if (!allowed) return report(environment, allowed.error());
  auto listener = listen_at(options.socket, *allowed);
  if (!listener) return report(environment, listener.error());
  const SocketIdentity file = identity_of(options.socket);
  const std::size_t most = most_sessions();
  never_wait_for_readers();
  if (const auto confined = environment.confine(needs_of(options)); !confined) {
    return report(environment, confined.error());
  }
  const tools::StopSignals stop;
  environment.out << "listening at " << options.socket << '\n' << std::flush;
  const auto log = [&environment](LogLevel level, std::string_view message) {
    (level == LogLevel::info ? environment.out : environment.err) << message << '\n' << std::flush;
  };
  xdp::HelperSessions sessions(environment.clock, options.policy, log, most);
  bool accepts = true;
  while (!stop.raised()) {
    std::vector<pollfd> waiting{{accepts ? listener->get() : -1, POLLIN, 0}};
    sessions.append(waiting);
    constexpr int kMilliseconds = 100;
    static_cast<void>(::poll(waiting.data(), waiting.size(), kMilliseconds));
    sessions.serve(std::span(waiting).subspan(1));
    accepts = waiting.front().revents == 0 || accept_all(listener->get(), *allowed, sessions);
  }
  remove_socket(options.socket, file);
  close_listener(*std::move(listener));
  return kSuccess;
}

}  // namespace

void add_xdp_helper(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<HelperOptions>();
  cli::App* command = app.add_subcommand(
      "xdp-helper", "Open interfaces of the kernel for programs without privileges (xdp:NAME?helper=)");
  command->add_option("--interface", options->policy.interfaces, "An interface that they may use; may be repeated")
      ->required();
  command->add_option("--user", options->user, "Who may use it");
  command->add_option("--group", options->group, "Whose members may use it");
  command->add_option("--socket", options->socket, "Where it listens; /run/pollux-xdp.sock if not given");
  command->add_flag("--force", options->policy.force,
                    "Allow rules that take what this host needs of the default route's interface");
  command->footer(
      "sudo pollux xdp-helper --user alice --interface eth1\n"
      "l2fwd 'xdp:eth1?rule=udp:53,helper=/run/pollux-xdp.sock' null:      # as alice\n"
      "Runs until Ctrl-C. Ports that are open go on without it, with the rules that they have.");
  command->callback([options, &environment, &exit_code] {
    if (options->user.empty() && options->group.empty()) {
      environment.err << "xdp-helper: say who may use it: --user or --group\n";
      exit_code = kUsage;
      return;
    }
    exit_code = run_helper(environment, *options);
  });
}

}  // namespace pollux::tool
