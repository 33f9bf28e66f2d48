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

namespace pollux::observe {
namespace {

constexpr std::string_view kLock = ".lock";
constexpr mode_t kDirectoryMode = 0755;  // the sockets have permissions of their own
constexpr int kLockTries = 8;

/// Whether `path` still names the open file: between open and lock, its owner may have removed it.
bool is_same_file(int file, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

}  // namespace

std::string default_directory() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read once, when Telemetry is created
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') return std::string(runtime) + "/pollux";
  return ::geteuid() == 0 ? "/run/pollux" : fmt::format("/tmp/pollux-{}", ::geteuid());
}

Result<void> prepare_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    return fail_errno(ErrorCode::io_error, "cannot create the directory " + directory, errno,
                      "set TelemetryOptions::directory, or XDG_RUNTIME_DIR, to a directory of the user");
  }
  struct stat found {};
  if (::lstat(directory.c_str(), &found) != 0) {
    return fail_errno(ErrorCode::io_error, "cannot look at the directory " + directory, errno);
  }
  const bool is_ours = S_ISDIR(found.st_mode) && found.st_uid == ::geteuid();
  if (is_ours && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return fail(ErrorCode::permission_denied,
              fmt::format("{} is not a directory of this user's that the user alone may write to", directory),
              "remove it, or set TelemetryOptions::directory to another one");
}

Result<std::optional<Claim>> Claim::take(const std::string& directory, const std::string& name) {
  const std::string path = directory + '/' + name + std::string(kLock);
  for (int tries = 0; tries < kLockTries; ++tries) {
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file) return fail_errno(ErrorCode::io_error, "cannot open " + path, errno);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<Claim>();
      return fail_errno(ErrorCode::io_error, "cannot lock " + path, errno);
    }
    if (!is_same_file(file.get(), path)) continue;
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) < 0)
      return fail_errno(ErrorCode::io_error, "cannot write " + path, errno);
    return std::optional<Claim>(Claim(directory, name, std::move(file)));
  }
  return std::optional<Claim>();
}

Claim& Claim::operator=(Claim&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(name_, other.name_);
  std::swap(file_, other.file_);
  return *this;
}

// Removed while it is locked, so that nobody else's file is.
Claim::~Claim() {
  if (file_) static_cast<void>(::unlink(path_.c_str()));
}

Result<Claim> claim_numbered(const std::string& directory, const std::string& prefix, unsigned limit) {
  for (unsigned number = 0; number < limit; ++number) {
    auto claim = Claim::take(directory, fmt::format("{}{}", prefix, number));
    if (!claim) return pass_on(std::move(claim));
    if (*claim) return *std::move(*claim);
  }
  return fail(ErrorCode::no_memory, fmt::format("all names {0}0 to {0}{1} are taken", prefix, limit - 1),
              "end programs that have ports open");
}

void remove_stale(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), &::closedir);
  if (listing == nullptr) return;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's own
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view file = entry->d_name;
    if (!file.ends_with(kLock)) continue;
    const std::string name(file.substr(0, file.size() - kLock.size()));
    // Whoever gets the claim of a name is its only user now, and removes its file.
    const auto claim = Claim::take(directory, name);
    if (claim && *claim)
      static_cast<void>(::unlink(std::string(directory).append("/").append(name).append(".sock").c_str()));
  }
}

}  // namespace pollux::observe
