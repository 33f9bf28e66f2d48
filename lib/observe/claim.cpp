// SPDX-License-Identifier: BSD-3-Clause
#include "observe/claim.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/open_file.hpp"

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

}  // namespace

std::string default_directory() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read once, when Telemetry is created
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') return std::string(runtime) + "/pollux";
  return ::geteuid() == 0 ? "/run/pollux" : fmt::format("/tmp/pollux-{}", ::geteuid());
}

Result<OwnDirectory> OwnDirectory::open(std::string path) {
  auto descriptor = open_own_directory(
      path, "set TelemetryOptions::directory, or XDG_RUNTIME_DIR, to a directory of the user, or remove this one");
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

}  // namespace pollux::observe
