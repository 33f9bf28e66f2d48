// SPDX-License-Identifier: BSD-3-Clause
#include "confine/paths.hpp"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/file_descriptor.hpp"

namespace pollux::tool {
namespace {

#ifdef POLLUX_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr std::uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr std::uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t kList = LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kRemove = LANDLOCK_ACCESS_FS_REMOVE_FILE;

/// What the C and C++ libraries read while a program runs: libraries that are loaded late, texts, time zones, CPUs,
/// users.
constexpr const char* kReadByAll[] = {"/usr",
                                      "/lib",
                                      "/lib64",
                                      "/etc/ld.so.cache",
                                      "/etc/localtime",
                                      "/proc/self",
                                      "/sys/devices/system",
                                      "/dev/urandom",
                                      "/etc/passwd",
                                      "/etc/group",
                                      "/etc/nsswitch.conf"};

/// All rights of files that a version of Landlock has. landlock(7), "Filesystem flags" and "VERSIONS": rights 0 to 12
/// from the first one on, REFER from the second and TRUNCATE from the third.
std::uint64_t rights_of(long version) {
  const unsigned count = version >= 3 ? 15 : version == 2 ? 14 : 13;
  return (std::uint64_t{1} << count) - 1;
}

/// As landlock_ruleset_attr from version 6 on; older headers have less of it.
struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scopes = 0;
};

/// Connections to abstract Unix sockets of other programs, and signals to them. From version 6 on.
constexpr std::uint64_t kScopes = 1U << 0 | 1U << 1;

class Ruleset {
 public:
  explicit Ruleset(long version) {
    const bool has_scopes = version >= 6;
    const RulesetAttributes attributes{.files = rights_of(version), .scopes = has_scopes ? kScopes : 0};
    const std::size_t size = has_scopes ? sizeof attributes : sizeof attributes.files;
    descriptor_ = FileDescriptor(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  }
  /// False with errno, unless there is no such file.
  [[nodiscard]] bool allow(const std::filesystem::path& path, std::uint64_t rights) const {
    const FileDescriptor file(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!file) return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return false;
    if (!S_ISDIR(status.st_mode)) rights &= kReadFile | kWriteFile;  // the others are of folders
    if (rights == 0) return true;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = rights;
    rule.parent_fd = file.get();
    return ::syscall(SYS_landlock_add_rule, descriptor_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  }
  [[nodiscard]] bool enforce() const {
    return descriptor_ && ::syscall(SYS_landlock_restrict_self, descriptor_.get(), 0) == 0;
  }
  explicit operator bool() const noexcept { return static_cast<bool>(descriptor_); }

 private:
  FileDescriptor descriptor_;
};

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : ".";
}

bool allow_all(const Ruleset& rules, const Confinement& needed) {
  bool done = rules.allow("/dev/null", kReadFile | kWriteFile);
  for (const char* path : kReadByAll) done = done && rules.allow(path, kReadFile | kList);
  for (const auto& path : needed.read) done = done && rules.allow(path, kReadFile | kList);
  for (const auto& path : needed.listed) done = done && rules.allow(path, kList);
  for (const auto& path : needed.removed) done = done && rules.allow(folder_of(path), kRemove);
  return done;
}

}  // namespace

Result<void> restrict_paths(const Confinement& needed, const LogCallback& log) {
  if (kSanitized) return {};  // sanitizers and coverage write files at the end
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version <= 0) {
    if (log) log(LogLevel::debug, "this kernel has no Landlock, so files are not restricted");
    return {};
  }
  const Ruleset rules(version);
  if (rules && allow_all(rules, needed) && rules.enforce()) return {};
  return fail_errno(ErrorCode::io_error, "the files of this process cannot be restricted", errno,
                    "report this with the version of the kernel");
}

}  // namespace pollux::tool
