// SPDX-License-Identifier: BSD-3-Clause
#include "observe/sockets.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <system_error>
#include <vector>

#include "base/open_file.hpp"
#include "base/socket_file.hpp"

namespace pollux::observe {
namespace {

constexpr std::string_view kLock = ".lock";
constexpr mode_t kLockMode = 0600;
constexpr int kLockTries = 8;

/// Whether the name is still that of the open file: between open and lock, its owner may have removed it.
bool is_same_file(int file, int directory, const std::string& name) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file, &opened) == 0 && ::fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

constexpr const char* kShared = "/tmp";

std::string shared_directory() { return fmt::format("{}/pollux-{}", kShared, ::geteuid()); }

}  // namespace

bool is_directory_of(const std::string& path, uid_t owner) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == owner &&
         (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

namespace {

/// The default that nobody but the user and root can take. su(1) leaves the directory of the user before, where that
/// one may put anything.
std::optional<std::string> safe_directory() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read when Telemetry is created
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/' && is_directory_of(runtime, ::geteuid()))
    return std::string(runtime) + "/pollux";
  if (::geteuid() == 0) return "/run/pollux";
  return std::nullopt;
}

}  // namespace

std::vector<std::string> default_directories() {
  if (auto safe = safe_directory()) return {*std::move(safe)};
  const std::string shared = shared_directory();
  if (is_directory_of(shared, ::geteuid())) return {shared};
  std::vector<std::string> found;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(kShared, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::string path = entry->path().string();
    if (path.starts_with(shared + '-') && is_directory_of(path, ::geteuid())) found.push_back(std::move(path));
  }
  std::ranges::sort(found);
  if (found.empty()) found.push_back(shared);
  return found;
}

Result<OwnDirectory> OwnDirectory::open(std::string path) {
  const std::string hint =
      "set TelemetryOptions::directory, or XDG_RUNTIME_DIR, to a directory of the user, or remove this one";
  const bool is_default = path.empty();
  if (is_default) path = default_directories().front();
  auto descriptor = open_own_directory(path, hint);
  if (!descriptor && is_default && !safe_directory()) {
    path += "-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
      return fail_errno(ErrorCode::io_error, "cannot create the directory " + path, errno, hint);
    descriptor = open_own_directory(path, hint);
    // As of the usual one: those of the telemetry's group come to the sockets.
    if (descriptor) static_cast<void>(::fchmod(descriptor->get(), 0755));
  }
  if (!descriptor) return pass_on(std::move(descriptor));
  return OwnDirectory(std::move(path), *std::move(descriptor));
}

Result<std::optional<Claim>> Claim::take(const OwnDirectory& directory, const std::string& name) {
  const std::string lock = name + std::string(kLock);
  const std::string path = directory.path() + '/' + lock;  // for messages
  for (int tries = 0; tries < kLockTries; ++tries) {
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    FileDescriptor file(::openat(directory.descriptor(), lock.c_str(), flags, kLockMode));
    if (!file) return fail_errno(ErrorCode::io_error, "cannot open " + path, errno);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<Claim>();
      return fail_errno(ErrorCode::io_error, "cannot lock " + path, errno);
    }
    if (!is_same_file(file.get(), directory.descriptor(), lock)) continue;
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) < 0)
      return fail_errno(ErrorCode::io_error, "cannot write " + path, errno);
    return std::optional<Claim>(Claim(directory, name, std::move(file)));
  }
  return std::optional<Claim>();
}

Claim& Claim::operator=(Claim&& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(name_, other.name_);
  std::swap(file_, other.file_);
  return *this;
}

// Removed while it is locked, so that nobody else's file is.
Claim::~Claim() {
  if (file_) static_cast<void>(::unlinkat(directory_.descriptor(), (name_ + std::string(kLock)).c_str(), 0));
}

Result<Claim> claim_numbered(const OwnDirectory& directory, const std::string& prefix, unsigned limit) {
  for (unsigned number = 0; number < limit; ++number) {
    auto claim = Claim::take(directory, fmt::format("{}{}", prefix, number));
    if (!claim) return pass_on(std::move(claim));
    if (*claim) return *std::move(*claim);
  }
  return fail(ErrorCode::no_memory, fmt::format("all names {0}0 to {0}{1} are taken", prefix, limit - 1),
              "end programs that have ports open");
}

void remove_stale(const OwnDirectory& directory) {
  FileDescriptor copy(::openat(directory.descriptor(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(copy ? ::fdopendir(copy.get()) : nullptr, &::closedir);
  if (listing == nullptr) return;
  static_cast<void>(copy.release());  // the stream closes it
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's own
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view file = entry->d_name;
    if (!file.ends_with(kLock)) continue;
    const std::string name(file.substr(0, file.size() - kLock.size()));
    // Whoever gets the claim of a name is its only user now, and removes its file.
    const auto claim = Claim::take(directory, name);
    if (claim && *claim) static_cast<void>(::unlinkat(directory.descriptor(), (name + ".sock").c_str(), 0));
  }
}

namespace {

constexpr int kBacklog = 16;
/// Sockets of one process, one for each Context with telemetry.
constexpr unsigned kMaxSockets = 64;

struct ClaimedPath {
  std::string path;
  std::optional<Claim> claim;
};

Result<ClaimedPath> claim_path(const ListenerOptions& options) {
  if (!options.socket.empty()) return ClaimedPath{options.socket, std::nullopt};
  for (unsigned number = 0; number < kMaxSockets; ++number) {
    const std::string name = number == 0 ? fmt::format("{}", ::getpid()) : fmt::format("{}-{}", ::getpid(), number);
    auto claim = Claim::take(options.directory, name);
    if (!claim) return pass_on(std::move(claim));
    if (*claim) return ClaimedPath{options.directory.path() + '/' + name + ".sock", *std::move(claim)};
  }
  return fail(ErrorCode::busy, fmt::format("this process has {} telemetry sockets", kMaxSockets),
              "destroy Telemetry objects that are not needed");
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() < sizeof address.sun_path) {
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
  }
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: the path of a socket has at most {} bytes", path, sizeof address.sun_path - 1),
              "set XDG_RUNTIME_DIR, or TelemetryOptions::socket or directory, to a shorter path");
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT(*-reinterpret-cast): as bind(2) wants it
}

FileDescriptor make_socket() {
  return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

tl::unexpected<Error> cannot_make(const std::string& path, int error) {
  const bool exists = error == EADDRINUSE || error == EEXIST;
  return fail_errno(exists ? ErrorCode::busy : ErrorCode::io_error, "cannot make the socket " + path, error,
                    "choose another TelemetryOptions::socket, in a directory that the program may write to");
}

/// Where a socket is made until clients may connect: as long as `path`, since the length is limited.
std::string first_path(const std::string& path) {
  std::string first = path;
  first.back() = first.back() == '~' ? '#' : '~';
  return first;
}

/// The permissions are set before the socket has a name, so that it is open to nobody else for a moment. `later`: the
/// name that it gets, for messages.
Result<void> listen_at(int socket, const std::string& path, const std::string& later, const ListenerOptions& options) {
  const auto address = address_of(path);
  if (!address) return tl::unexpected<Error>(address.error());
  const auto directory = open_directory_of(
      path,
      "choose another TelemetryOptions::socket, in a directory that belongs to the user and has no other writers");
  if (!directory) return tl::unexpected<Error>(directory.error());
  static_cast<void>(remove_unused_socket(path, SOCK_STREAM));
  static_cast<void>(::fchmod(socket, options.mode & 0700));
  if (::bind(socket, generic(*address), sizeof *address) != 0) return cannot_make(later, errno);
  int error = give_socket(*directory, path, options.mode, static_cast<uid_t>(-1),
                          options.group.value_or(static_cast<gid_t>(-1)));
  if (error == 0 && ::listen(socket, kBacklog) == 0) return {};
  if (error == 0) error = errno;
  static_cast<void>(::unlink(path.c_str()));
  return fail_errno(ErrorCode::io_error, "cannot set the permissions of the socket " + later, error,
                    "use a group that the program's user belongs to");
}

/// Some file systems cannot rename without replacing; there the path was free a moment ago.
int rename_to(const std::string& first, const std::string& path) {
  if (::renameat2(AT_FDCWD, first.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::access(path.c_str(), F_OK) == 0) return EEXIST;
  return ::rename(first.c_str(), path.c_str()) == 0 ? 0 : errno;
}

/// Clients that see the socket can connect: it gets its name when it listens.
Result<void> bind_to(int socket, const std::string& path, const ListenerOptions& options) {
  if (const auto address = address_of(path); !address) return tl::unexpected<Error>(address.error());
  static_cast<void>(remove_unused_socket(path, SOCK_STREAM));
  const std::string first = first_path(path);
  if (auto listening = listen_at(socket, first, path, options); !listening) return listening;
  const int error = rename_to(first, path);
  if (error == 0) return {};
  static_cast<void>(::unlink(first.c_str()));
  return cannot_make(path, error);
}

}  // namespace

Result<Listener> Listener::create(const ListenerOptions& options) {
  auto claimed = claim_path(options);
  if (!claimed) return pass_on(std::move(claimed));
  FileDescriptor socket = make_socket();
  if (!socket) return fail_errno(ErrorCode::io_error, "cannot make a telemetry socket", errno);
  if (auto bound = bind_to(socket.get(), claimed->path, options); !bound) return pass_on(std::move(bound));
  return Listener(std::move(claimed->path), std::move(claimed->claim), std::move(socket), options.group);
}

Listener::~Listener() {
  if (socket_) remove_socket(path_, file_);
  close_listener(std::move(socket_));
}

PeerSocket Listener::accept(bool& denied) const {
  FileDescriptor client;
  do {
    client = FileDescriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  } while (!client && (errno == EINTR || errno == ECONNABORTED));
  denied = client && !may_connect(client.get());
  return PeerSocket(std::move(client));
}

namespace {

std::optional<ucred> peer_of(int socket) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer;
}

}  // namespace

uid_t Listener::user_of(const PeerSocket& client) noexcept {
  const auto peer = peer_of(client.get());
  return peer ? peer->uid : static_cast<uid_t>(-1);
}

bool Listener::may_connect(int client) const {
  const auto peer = peer_of(client);
  if (!peer) return false;
  if (peer->uid == 0 || peer->uid == ::geteuid()) return true;
  if (!group_) return false;
  if (peer->gid == *group_) return true;
  std::vector<gid_t> groups(64);
  auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  // With more groups the call says how much room they need.
  if (::getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) {
    if (errno != ERANGE) return false;
    groups.resize(size / sizeof(gid_t));
    if (::getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return false;
  }
  groups.resize(size / sizeof(gid_t));
  return std::ranges::find(groups, *group_) != groups.end();
}

Place Connection::place(Time now) const noexcept {
  return {id_, user_, active_, now - active_ >= kIdleTime && !waits_ && !has_input()};
}

bool Connection::has_input() const noexcept {
  pollfd waiting{socket_.get(), POLLIN, 0};
  return ::poll(&waiting, 1, 0) > 0;
}

void Connection::receive() {
  std::array<char, 4096> chunk;
  while (!ended_ && !broken_ && !has_request() && received_.size() <= kMaxRequest) {
    const ssize_t count = socket_.receive(std::as_writable_bytes(std::span(chunk)));
    if (count > 0) {
      received_.append(chunk.data(), static_cast<std::size_t>(count));
      taken_ += static_cast<std::uint64_t>(count);
    } else if (count == 0) {
      ended_ = true;
    } else if (errno != EINTR) {
      broken_ = errno != EAGAIN && errno != EWOULDBLOCK;
      return;
    }
  }
}

std::optional<std::string> Connection::next_request() {
  const std::size_t end = received_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

// All or nothing, if memory is lacking.
void Connection::reply(std::string_view line) {
  const std::size_t size = replies_.size() + line.size() + 1;
  if (size > replies_.capacity()) replies_.reserve(std::max(size, 2 * replies_.capacity()));
  replies_ += line;
  replies_ += '\n';
}

void Connection::flush() {
  while (has_replies() && !broken_) {
    const ssize_t count =
        ::send(socket_.get(), replies_.data() + sent_, replies_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent_ += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      broken_ = errno != EAGAIN && errno != EWOULDBLOCK;
      break;
    }
  }
  // Not only once all is sent: a client may always leave a rest. Fewer bytes are moved than were sent.
  if (sent_ > replies_.size() / 2) {
    replies_.erase(0, sent_);
    sent_ = 0;
  }
}

PeerSocket Connection::release(std::string& unsent) {
  unsent = replies_.substr(sent_);
  replies_.clear();
  sent_ = 0;
  broken_ = true;
  return std::move(socket_);
}

}  // namespace pollux::observe
