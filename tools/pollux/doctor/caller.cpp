// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/caller.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "host/handover.hpp"
#include "pci/sysfs.hpp"

namespace pollux::tool::doctor {
namespace {

std::optional<std::uint64_t> bytes_of(rlim_t limit) {
  if (limit == RLIM_INFINITY) return std::nullopt;
  return limit;
}

bool may_lock_anything(const pci::SystemPaths& paths) {
  const std::string status = pci::sysfs::read_text(paths.proc / "self/status").value_or("");
  constexpr std::string_view kKey = "\nCapEff:\t";
  const auto at = status.find(kKey);
  if (at == std::string::npos) return false;
  std::uint64_t capabilities = 0;
  std::from_chars(status.data() + at + kKey.size(), status.data() + status.size(), capabilities, 16);
  return (capabilities & (std::uint64_t{1} << CAP_IPC_LOCK)) != 0;
}

std::string name_of_user(uid_t uid) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return entry.pw_name;
  return std::to_string(uid);
}

std::vector<gid_t> groups_of(const host::User& user) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(std::max(count, 1)));
    ::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count);
  }
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  return groups;
}

bool mode_allows(const std::filesystem::path& file, const host::User& user, const std::vector<gid_t>& groups) {
  if (user.uid == 0) return true;
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return false;
  const bool in_group = std::find(groups.begin(), groups.end(), status.st_gid) != groups.end();
  const mode_t wanted = status.st_uid == user.uid ? 0600U : in_group ? 0060U : 0006U;
  return (status.st_mode & wanted) == wanted;
}

}  // namespace

Caller this_caller(const pci::SystemPaths& paths) {
  rlimit limit{};
  LockLimits locks;
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    locks = {bytes_of(limit.rlim_cur), bytes_of(limit.rlim_max), may_lock_anything(paths)};
  }
  const auto may_open = [](const std::filesystem::path& file) {
    return ::faccessat(AT_FDCWD, file.c_str(), R_OK | W_OK, AT_EACCESS) == 0;
  };
  return {name_of_user(::geteuid()), ::geteuid(), locks, may_open};
}

Result<Caller> caller_named(const std::string& name) {
  auto user = host::find_user(name);
  if (!user) return pass_on(std::move(user));
  const auto may_open = [user = *user, groups = groups_of(*user)](const std::filesystem::path& file) {
    return mode_allows(file, user, groups);
  };
  std::optional<LockLimits> locks;
  if (user->uid == 0) locks = LockLimits{{}, {}, true};
  return Caller{name, user->uid, locks, may_open};
}

}  // namespace pollux::tool::doctor
