// SPDX-License-Identifier: BSD-3-Clause
#include "confirm/pending.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "host/binding_records.hpp"

namespace pollux::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPending = "pending";

fs::path folder(const pci::SystemPaths& paths) { return paths.run / "pollux/confirm"; }

}  // namespace

Result<PendingBinding> PendingBinding::create(const pci::SystemPaths& paths) {
  auto directory = host::record_file::open_directory(folder(paths));
  if (!directory) return pass_on(std::move(directory));
  FileDescriptor lock(::openat(directory->get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return host::record_file::cannot_write(folder(paths) / "lock", errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::busy, "another binding waits for its confirmation",
                "confirm it, or wait until it is rolled back: pollux bind --confirmed");
  }
  const FileDescriptor file(
      ::openat(directory->get(), kPending, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return host::record_file::cannot_write(folder(paths) / kPending, errno);
  return PendingBinding(*std::move(directory), std::move(lock));
}

Result<void> PendingBinding::confirm(const pci::SystemPaths& paths) {
  const auto directory = host::record_file::open_directory(folder(paths));
  if (!directory) return tl::unexpected<Error>(directory.error());
  if (::renameat(directory->get(), kPending, directory->get(), "confirmed") == 0) return {};
  if (errno != ENOENT) return host::record_file::cannot_write(folder(paths) / kPending, errno);
  return fail(ErrorCode::not_found, "no binding waits for a confirmation",
              "it was confirmed, or rolled back, before; `pollux list` shows the drivers");
}

bool PendingBinding::waits() const { return ::faccessat(directory_.get(), kPending, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

bool PendingBinding::claim() const {
  return ::renameat(directory_.get(), kPending, directory_.get(), "rolled-back") == 0;
}

}  // namespace pollux::tool
