// SPDX-License-Identifier: BSD-3-Clause
#include "confirm/pending.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace pollux::tool {
namespace {

namespace fs = std::filesystem;

fs::path folder(const pci::SystemPaths& paths) { return paths.run / "pollux/confirm"; }
fs::path pending(const pci::SystemPaths& paths) { return folder(paths) / "pending"; }

tl::unexpected<Error> cannot_use(const fs::path& file, int error) {
  const bool refused = error == EACCES || error == EPERM || error == EROFS;
  return fail_errno(refused ? ErrorCode::permission_denied : ErrorCode::io_error, "cannot write " + file.string(),
                    error, refused ? "run the command as root, with sudo" : "check /run: df /run");
}

}  // namespace

Result<PendingBinding> PendingBinding::create(const pci::SystemPaths& paths) {
  std::error_code made;
  fs::create_directories(folder(paths), made);
  if (made) return cannot_use(folder(paths), made.value());
  const fs::path lock_file = folder(paths) / "lock";
  FileDescriptor lock(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return cannot_use(lock_file, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::busy, "another binding waits for its confirmation",
                "confirm it, or wait until it is rolled back: pollux bind --confirmed");
  }
  const FileDescriptor file(::open(pending(paths).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return cannot_use(pending(paths), errno);
  return PendingBinding(paths, std::move(lock));
}

Result<void> PendingBinding::confirm(const pci::SystemPaths& paths) {
  const fs::path confirmed = folder(paths) / "confirmed";
  if (::rename(pending(paths).c_str(), confirmed.c_str()) == 0) return {};
  if (errno != ENOENT) return cannot_use(pending(paths), errno);
  return fail(ErrorCode::not_found, "no binding waits for a confirmation",
              "it was confirmed, or rolled back, before; `pollux list` shows the drivers");
}

bool PendingBinding::waits() const {
  std::error_code ignored;
  return fs::exists(pending(paths_), ignored);
}

bool PendingBinding::claim() const {
  const fs::path claimed = folder(paths_) / "rolled-back";
  return ::rename(pending(paths_).c_str(), claimed.c_str()) == 0;
}

}  // namespace pollux::tool
