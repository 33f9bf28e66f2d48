// SPDX-License-Identifier: BSD-3-Clause
#include "pci/record_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "base/open_file.hpp"

namespace pollux::pci::record_file {
namespace {

namespace fs = std::filesystem;

Result<void> write_all(const FileDescriptor& descriptor, const fs::path& file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(descriptor.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot_write(file, errno);
    done += static_cast<std::size_t>(written);
  }
  return {};
}

}  // namespace

tl::unexpected<Error> cannot_write(const fs::path& file, int error) {
  const bool refused = error == EACCES || error == EPERM || error == EROFS;
  return fail_errno(
      refused ? ErrorCode::permission_denied : ErrorCode::io_error, "cannot write " + file.string(), error,
      refused ? "run the command as root, with sudo" : "check that /run exists and has free space: df /run");
}

Result<FileDescriptor> open_directory(const fs::path& directory) {
  const fs::path above = directory.parent_path();
  std::error_code error;
  fs::create_directories(above.parent_path(), error);
  if (error) return cannot_write(above.parent_path(), error.value());
  const std::string hint = "run the command as root, with sudo; nobody else may write to " + above.string();
  if (auto checked = open_own_directory(above.string(), hint); !checked) return checked;
  return open_own_directory(directory.string(), hint);
}

Result<void> replace(const fs::path& file, const std::string& text) {
  if (auto made = open_directory(file.parent_path()); !made) return pass_on(std::move(made));
  std::string temporary = file.string() + ".XXXXXX";
  {
    const FileDescriptor descriptor(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!descriptor) return cannot_write(temporary, errno);
    ::fchmod(descriptor.get(), 0644);
    if (auto written = write_all(descriptor, file, text); !written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), file.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return cannot_write(file, error);
  }
  return {};
}

}  // namespace pollux::pci::record_file
