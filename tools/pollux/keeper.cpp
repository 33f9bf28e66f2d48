// SPDX-License-Identifier: BSD-3-Clause
// `pollux keeper`: holds descriptors of programs while they are replaced after a crash (docs/guide/upgrading.md).
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/peer_socket.hpp"
#include "base/printable.hpp"
#include "base/socket_file.hpp"
#include "commands.hpp"
#include "common/cli.hpp"
#include "common/stop_signals.hpp"
#include "keeper.hpp"
#include "net/handover/keeper.hpp"
#include "open_files.hpp"
#include "report.hpp"
#include "server_output.hpp"

namespace pollux::tool {
namespace {

using handover::Json;

/// Linux allows so many descriptors in a message.
constexpr std::size_t kMostInMessage = 253;
constexpr std::size_t kMostHeld = 1000;

struct Datagram {
  std::string text;
  std::vector<FileDescriptor> files;
  std::optional<ucred> sender;
};

/// The next one; nullopt: none waits.
std::optional<Datagram> receive(int socket) {
  std::array<char, 4096> bytes{};
  union {
    std::byte bytes[CMSG_SPACE(kMostInMessage * sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
    cmsghdr aligned;
  } control{};
  iovec part{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = &control;
  header.msg_controllen = sizeof control;
  const ssize_t count = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0) return std::nullopt;
  Datagram datagram{.text = std::string(bytes.data(), static_cast<std::size_t>(count)), .files = {}, .sender = {}};
  for (cmsghdr* next = CMSG_FIRSTHDR(&header); next != nullptr; next = CMSG_NXTHDR(&header, next)) {
    if (next->cmsg_level != SOL_SOCKET) continue;
    if (next->cmsg_type == SCM_CREDENTIALS) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(next), sizeof sender);
      datagram.sender = sender;
    }
    for (std::size_t i = 0; next->cmsg_type == SCM_RIGHTS && i < (next->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(next) + i * sizeof number, sizeof number);
      datagram.files.emplace_back(number);
    }
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) datagram.text.clear();
  return datagram;
}

/// The value of `key` in lines KEY=VALUE; empty if there is none.
std::string_view value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=')
      return line.substr(key.size() + 1);
  }
  return {};
}

/// What is held, and for whom.
class Held {
 public:
  Held(const Environment& environment, Duration hold) : environment_(environment), hold_(hold) {}

  void serve(Datagram datagram);
  /// Appends what tells that a program has ended.
  void append(std::vector<pollfd>& waiting) const {
    for (const auto& [process, owner] : owners_) {
      if (!owner.ended) waiting.push_back({owner.file.get(), POLLIN, 0});
    }
  }
  /// Drops what no successor has taken in time, and closes what datagrams have left.
  void drop_late();

 private:
  struct Entry {
    FileDescriptor file;
    pid_t process;
  };
  struct Owner {
    FileDescriptor file;  // of the process
    std::optional<Time> ended;
  };
  void say(const std::string& line) const { environment_.out << line << '\n' << std::flush; }
  [[nodiscard]] bool runs(pid_t process) const {
    const auto owner = owners_.find(process);
    return owner != owners_.end() && !has_ended(owner->second);
  }
  [[nodiscard]] static bool has_ended(const Owner& owner) {
    pollfd state{owner.file.get(), POLLIN, 0};
    return owner.ended || !owner.file || (::poll(&state, 1, 0) == 1 && state.revents != 0);
  }
  void watch(pid_t process);
  void store(const std::string& name, std::vector<FileDescriptor> files, pid_t process);
  void answer(const std::string& prefix, int socket, std::optional<pid_t> taker);
  template <class Which>
  std::size_t drop(Which which) {
    std::vector<FileDescriptor> files;
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const bool goes = which(*entry);
      if (goes) files.push_back(std::move(entry->second.file));
      entry = goes ? entries_.erase(entry) : std::next(entry);
    }
    const std::size_t count = files.size();
    close_elsewhere(std::move(files));
    return count;
  }

  void leave(std::vector<FileDescriptor> files) {
    for (FileDescriptor& file : files) left_.push_back(std::move(file));
    if (left_.size() >= kMostInMessage) close_left();
  }
  void close_left() {
    if (!left_.empty()) close_elsewhere(std::exchange(left_, {}));
  }

  const Environment& environment_;
  Duration hold_;
  std::vector<FileDescriptor> left_;  // together: to close one may wait, and takes a thread
  std::map<std::string, Entry> entries_;
  std::map<pid_t, Owner> owners_;
};

void Held::watch(pid_t process) {
  if (runs(process)) return;
  owners_[process] = {FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, process, 0))), std::nullopt};
}

void Held::store(const std::string& name, std::vector<FileDescriptor> files, pid_t process) {
  const bool is_full = entries_.size() >= kMostHeld && !entries_.contains(name);
  if (files.size() != 1 || name.empty() || is_full) {
    leave(std::move(files));
    return say(fmt::format(
        "refused '{}' of process {}: {}", printable(name), process,
        is_full ? fmt::format("{} are held, the most", kMostHeld) : "a name and one descriptor are wanted"));
  }
  watch(process);
  Entry& entry = entries_[name];
  std::swap(entry.file, files.front());
  leave(std::move(files));
  entry.process = process;
}

// No send waits: a peer that does not read gets nothing. The socket is the peer's, and so are its limits of time.
void Held::answer(const std::string& prefix, int socket, std::optional<pid_t> taker) {
  Json json{{"message", "held"}, {taker ? "names" : "held", Json::array()}};
  std::vector<int> files;
  for (auto& [name, entry] : entries_) {
    if (!name.starts_with(prefix)) continue;
    const bool running = runs(entry.process);
    if (taker && running && entry.process != *taker) {
      const std::string what = fmt::format("process {} runs and has {}", entry.process, printable(name));
      say(fmt::format("refused process {}: {}", *taker, what));
      static_cast<void>(handover::send(
          socket, handover::refusal({ErrorCode::busy, what, "end it, or hand its ports over (--hand-over)"}), {},
          MSG_DONTWAIT));
      return;
    }
    if (taker) {
      json["names"].push_back(name);
      files.push_back(entry.file.get());
    } else {
      json["held"].push_back({{"name", name}, {"process", entry.process}});
      if (running) json["held"].back()["runs"] = true;
    }
  }
  const auto sent = handover::send(socket, json, files, MSG_DONTWAIT);
  if (!sent && sent.error().code == ErrorCode::not_supported) {
    const std::string what = fmt::format("what begins with '{}' is too much for an answer", printable(prefix));
    say("refused a process: " + what);
    const Error why{ErrorCode::not_supported, what, "ask for a longer name, or drop some: pollux keeper drop NAME"};
    return static_cast<void>(handover::send(socket, handover::refusal(why), {}, MSG_DONTWAIT));
  }
  if (!sent || !taker || files.empty()) return;
  watch(*taker);
  for (auto& [name, entry] : entries_) {
    if (name.starts_with(prefix)) entry.process = *taker;
  }
  say(fmt::format("process {} took {} descriptors of {}", *taker, files.size(), printable(prefix)));
}

void Held::serve(Datagram datagram) {
  const bool trusted = datagram.sender && (datagram.sender->uid == 0 || datagram.sender->uid == ::geteuid());
  if (!trusted || datagram.sender->pid <= 0) {
    leave(std::move(datagram.files));
    return say(fmt::format("refused a process of user {}", datagram.sender ? datagram.sender->uid : 0));
  }
  const pid_t process = datagram.sender->pid;
  const std::string name(value_of(datagram.text, "FDNAME"));
  const auto is_asked = [&](const char* key) { return value_of(datagram.text, key) == "1"; };
  if (is_asked("FDSTORE")) return store(name, std::move(datagram.files), process);
  if (is_asked("FDSTOREREMOVE")) {
    drop([&](const auto& entry) { return entry.first == name; });
  } else if (is_asked("FDDROP")) {
    say(fmt::format("dropped {} descriptors of {}, as asked",
                    drop([&](const auto& entry) { return entry.first.starts_with(name); }), printable(name)));
  } else if (!datagram.files.empty() && (is_asked("FDTAKE") || is_asked("FDLIST"))) {
    answer(name, datagram.files.front().get(), is_asked("FDTAKE") ? std::optional(process) : std::nullopt);
  }
  leave(std::move(datagram.files));
}

void Held::drop_late() {
  close_left();
  const Time now = environment_.clock.now();
  for (auto& [process, owner] : owners_) {
    if (owner.ended || !has_ended(owner)) continue;
    owner.ended = now;
    const auto mine = [id = process](const auto& entry) { return entry.second.process == id; };
    if (std::ranges::any_of(entries_, mine)) say(fmt::format("process {} has ended", process));
  }
  std::erase_if(owners_, [&](const auto& one) {
    const auto& [process, owner] = one;
    const auto mine = [id = process](const auto& entry) { return entry.second.process == id; };
    if (std::ranges::none_of(entries_, mine)) return true;
    if (!owner.ended || now < *owner.ended + hold_) return false;
    const std::size_t count = drop(mine);
    if (count != 0) say(fmt::format("dropped {} descriptors of process {}: no successor came", count, process));
    return true;
  });
}

struct KeeperOptions {
  std::string socket = kDefaultKeeper;
  double hold = 2;
  std::string name;
};

tl::unexpected<Error> socket_error(const std::string& path, const char* what) {
  return fail_errno(ErrorCode::io_error, fmt::format("{}: {}", path, what), errno, "name another --socket");
}

Result<FileDescriptor> bound_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not the path of a socket", path), "name another one");
  path.copy(&address.sun_path[0], path.size());
  const auto directory =
      open_directory_of(path, "name a --socket in a directory of this user that has no other writers");
  if (!directory) return tl::unexpected<Error>(directory.error());
  FileDescriptor made(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  errno = remove_unused_socket(path, SOCK_DGRAM);
  if (errno == EADDRINUSE)
    return fail(ErrorCode::busy, fmt::format("{}: another keeper listens there", path),
                "end it, or name another --socket");
  constexpr int kOn = 1;
  if (!made || ::fchmod(made.get(), 0600) != 0 ||
      ::setsockopt(made.get(), SOL_SOCKET, SO_PASSCRED, &kOn, sizeof kOn) != 0 ||
      ::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return socket_error(path, "cannot listen");
  return made;
}

int run_keeper(const Environment& environment, const KeeperOptions& options) {
  if (options.socket == kDefaultKeeper) static_cast<void>(::mkdir("/run/pollux", 0755));
  auto socket = bound_at(options.socket);
  if (!socket) return report(environment, socket.error());
  const SocketIdentity file = identity_of(options.socket);
  static_cast<void>(allow_open_files(2 * kMostHeld));
  never_wait_for_readers();
  const tools::StopSignals stop;
  environment.out << "listening at " << options.socket << '\n' << std::flush;
  Held held(environment, std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.hold)));
  while (!stop.raised()) {
    std::vector<pollfd> waiting{{socket->get(), POLLIN, 0}};
    held.append(waiting);
    constexpr int kMilliseconds = 100;
    static_cast<void>(::poll(waiting.data(), waiting.size(), kMilliseconds));
    // Not all that wait: who sends without end must not stop the clock.
    constexpr int kAtOnce = 64;
    for (int i = 0; i < kAtOnce; ++i) {
      auto datagram = receive(socket->get());
      if (!datagram) break;
      held.serve(*std::move(datagram));
    }
    held.drop_late();
  }
  remove_socket(options.socket, file);
  return kSuccess;
}

int list_held(const Environment& environment, const KeeperOptions& options) {
  const auto held = kept_at(options.socket);
  if (!held) return report(environment, held.error());
  for (const KeptDescriptor& one : *held)
    environment.out << fmt::format("{:<40} process {}{}\n", printable(one.name), one.process,
                                   one.runs ? "" : ", which has ended");
  return kSuccess;
}

int drop_held(const Environment& environment, const KeeperOptions& options) {
  const auto held = kept_at(options.socket);
  if (!held) return report(environment, held.error());
  if (std::ranges::none_of(*held, [&](const auto& one) { return one.name.starts_with(options.name); })) {
    return report(environment,
                  {ErrorCode::not_found, fmt::format("nothing that is held begins with '{}'", printable(options.name)),
                   fmt::format("see pollux keeper list --socket {}", options.socket)});
  }
  const auto told = handover::Keeper(options.socket).tell(fmt::format("FDDROP=1\nFDNAME={}\n", options.name), {});
  return told ? kSuccess : report(environment, told.error());
}

}  // namespace

Result<std::vector<KeptDescriptor>> kept_at(const std::string& socket) {
  auto answer = handover::Keeper(socket).ask("FDLIST=1\nFDNAME=\n");
  if (!answer) return pass_on(std::move(answer));
  const Json& json = answer->json;
  std::vector<KeptDescriptor> held;
  const auto entries = json.find("held");
  if (entries == json.end() || !entries->is_array()) return handover::malformed("a keeper's list");
  for (const Json& one : *entries) {
    const auto name = handover::text(one, "name");
    const auto process = handover::number(one, "process", std::numeric_limits<int>::max());
    if (!name || !process) return handover::malformed("a keeper's list");
    held.push_back({*name, static_cast<int>(*process), one.contains("runs")});
  }
  return held;
}

void add_keeper(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<KeeperOptions>();
  cli::App* const command =
      app.add_subcommand("keeper", "Hold what ports have of the kernel while their program crashes (xdp:NAME?keep=)");
  command->require_subcommand(1);
  command->footer("Examples:\n  sudo pollux keeper run &\n  sudo pollux keeper list");
  const auto add = [&](const char* name, const char* what) {
    cli::App* const one = command->add_subcommand(name, what);
    one->add_option("--socket", options->socket, fmt::format("Where it listens; {} if not given", kDefaultKeeper));
    return one;
  };
  cli::App* const run = add("run", "Hold descriptors until Ctrl-C");
  run->add_option("--hold", options->hold,
                  "Seconds for which they are held after their program has ended; 2 if not given")
      ->check(cli::range(0.0, 3600.0));
  run->footer(
      "Example:\n"
      "  sudo pollux keeper run --socket /run/l2fwd/keeper &\n"
      "  sudo l2fwd 'xdp:eth1?rule=all,keep=/run/l2fwd/keeper' null:\n"
      "After a crash the same command continues the queues. Without it, the kernel has its traffic again after "
      "--hold.");
  run->callback([options, &environment, &exit_code] { exit_code = run_keeper(environment, *options); });
  cli::App* const list = add("list", "Show what a keeper holds");
  list->footer("Example:\n  sudo pollux keeper list --socket /run/l2fwd/keeper");
  list->callback([options, &environment, &exit_code] { exit_code = list_held(environment, *options); });
  cli::App* const drop = add("drop", "Let a keeper drop what begins with a name: the kernel has its traffic again");
  drop->add_option("name", options->name, "Such as xdp/eth1/")->required();
  drop->footer("Example:\n  sudo pollux keeper drop xdp/eth1/ --socket /run/l2fwd/keeper");
  drop->callback([options, &environment, &exit_code] { exit_code = drop_held(environment, *options); });
}

}  // namespace pollux::tool
