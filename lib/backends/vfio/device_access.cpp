// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/device_access.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "backends/vfio/region.hpp"

namespace pollux::vfio {
namespace {

/// How much memory this process has locked and may lock, in bytes.
struct LockedMemory {
  std::uint64_t locked = 0;
  std::optional<std::uint64_t> limit;  ///< RLIMIT_MEMLOCK; absent: unlimited
  bool exempt = false;                 ///< the process has CAP_IPC_LOCK, so the limit does not apply
};

std::string read_status(const Host& host) {
  const int opened = host.kernel->open(host.paths.proc / "self/status", O_RDONLY);
  if (opened < 0) return {};
  const Descriptor file(host.kernel, opened);
  std::array<char, 8192> text{};
  const long size = host.kernel->pread(opened, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

// The number after `name` (a line break, a key and a colon) in `status`; 0 if the key is missing.
std::uint64_t field(std::string_view status, std::string_view name, int base) {
  std::size_t at = status.find(name);
  if (at == std::string_view::npos) return 0;
  at = status.find_first_not_of(" \t", at + name.size());
  if (at == std::string_view::npos) return 0;
  std::uint64_t number = 0;
  std::from_chars(status.data() + at, status.data() + status.size(), number, base);
  return number;
}

LockedMemory read_locked_memory(const Host& host) {
  LockedMemory memory;
  rlimit limit{};
  if (host.kernel->getrlimit(RLIMIT_MEMLOCK, limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    memory.limit = limit.rlim_cur;
  }
  const std::string status = read_status(host);
  memory.locked = field(status, "\nVmLck:", 10) * 1024;
  memory.exempt = (field(status, "\nCapEff:", 16) & (std::uint64_t{1} << CAP_IPC_LOCK)) != 0;
  return memory;
}

std::string subject(const RejectedMapping& rejected) {
  return fmt::format("{} KiB at IOVA {:#x} cannot be mapped for DMA", rejected.segment.size / 1024,
                     rejected.segment.iova);
}

Error explain_no_memory(const Host& host, const RejectedMapping& rejected) {
  const LockedMemory memory = read_locked_memory(host);
  if (!memory.limit) {
    return {ErrorCode::no_memory, subject(rejected) + ": the kernel is out of memory; RLIMIT_MEMLOCK is unlimited",
            "free memory, or use fewer or larger pages"};
  }
  const std::uint64_t locked = rejected.pinned.value_or(memory.locked);
  const std::uint64_t needed = locked + rejected.segment.size;
  const std::string figures =
      fmt::format("{} KiB are already locked, RLIMIT_MEMLOCK is {} KiB", locked / 1024, *memory.limit / 1024);
  if (needed <= *memory.limit || memory.exempt) {
    const std::string_view others =
        rejected.pinned ? ", and memory that the user's other processes pin counts, too" : "";
    return {ErrorCode::no_memory,
            fmt::format("{}: the kernel is out of memory; {}{}", subject(rejected), figures,
                        memory.exempt ? " and does not apply with CAP_IPC_LOCK" : others),
            "free memory, or use fewer or larger pages"};
  }
  return {ErrorCode::memlock_too_small,
          fmt::format("{}: this process may not lock the {} KiB that it needs; {}", subject(rejected), needed / 1024,
                      figures),
          fmt::format("in the shell that starts it, as root: ulimit -l {0}; permanently: \"USER - memlock {0}\" in "
                      "/etc/security/limits.conf, or LimitMEMLOCK= in its systemd unit",
                      needed / 1024)};
}

Error explain_no_space(const RejectedMapping& rejected, const Descriptor& container, std::size_t mappings) {
  const auto info = read_iommu_info(container);
  if (info && info->mappings_left.value_or(0) != 0) {
    return fail_errno(ErrorCode::io_error, subject(rejected), ENOSPC).value();
  }
  return {ErrorCode::mapping_limit,
          fmt::format("{}: the VFIO container has {} mappings and allows no more", subject(rejected), mappings),
          "use huge pages (sysctl vm.nr_hugepages=512), or raise the limit for containers opened later: "
          "echo 1000000 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit"};
}

Error explain_invalid(const RejectedMapping& rejected) {
  std::string listed;
  for (const IovaRange& range : rejected.ranges) {
    listed += fmt::format("{}{:#x} to {:#x}", listed.empty() ? "" : ", ", range.first, range.last);
  }
  return {ErrorCode::not_supported,
          fmt::format("{}: the kernel rejects that address; usable IOVA ranges: {}", subject(rejected), listed),
          "open the device before memory is allocated, so that addresses are chosen from its usable IOVA ranges"};
}

}  // namespace

std::filesystem::path group_node(const Host& host, std::uint32_t group) {
  return host.paths.dev / "vfio" / std::to_string(group);
}

std::filesystem::path no_iommu_node(const Host& host, std::uint32_t group) {
  return host.paths.dev / "vfio" / fmt::format("noiommu-{}", group);
}

tl::unexpected<Error> explain_control_file(const std::string& path, int error, std::string_view absent,
                                           std::string_view remedy) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail(ErrorCode::module_not_loaded, fmt::format("{} does not exist: {}", path, absent),
                  std::string(remedy));
    case EACCES:
    case EPERM:
      return fail_errno(ErrorCode::permission_denied, fmt::format("{} cannot be opened", path), error,
                        fmt::format("chmod 0666 {} (it grants nothing by itself), or run as root", path));
    default: return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened", path), error);
  }
}

tl::unexpected<Error> explain_node(const std::string& path, const std::string& address, std::string_view control_file,
                                   int error, std::string permission) {
  switch (error) {
    case EACCES:
    case EPERM:
      return fail_errno(ErrorCode::permission_denied,
                        fmt::format("{} cannot be opened: this user may not open {}", address, path), error,
                        std::move(permission));
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail_errno(ErrorCode::not_found, fmt::format("{} cannot be opened: {} does not exist", address, path),
                        error,
                        fmt::format("in a container, pass {0} and {1} into it; otherwise bind again: "
                                    "pollux unbind {2} && pollux bind {2}",
                                    path, control_file, address));
    default: return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened: {}", address, path), error);
  }
}

std::string bind_for_this_user(const std::string& address) {
  return fmt::format("as root: pollux bind --user $(id -nu {}) {}, or run as root", ::geteuid(), address);
}

Error explain_map_failure(const Host& host, const RejectedMapping& rejected, const Descriptor& container,
                          std::size_t mappings) {
  if (rejected.error_number == ENOSPC) return explain_no_space(rejected, container, mappings);
  return explain_map_failure(host, rejected);
}

std::vector<IovaRange> without(std::vector<IovaRange> ranges, const std::vector<IovaRange>& used) {
  for (const IovaRange& gone : used) {
    std::vector<IovaRange> left;
    for (const IovaRange& range : ranges) {
      if (range.last < gone.first || range.first > gone.last) {
        left.push_back(range);
        continue;
      }
      if (range.first < gone.first) left.push_back({range.first, gone.first - 1});
      if (range.last > gone.last) left.push_back({gone.last + 1, range.last});
    }
    ranges = std::move(left);
  }
  return ranges;
}

Error explain_map_failure(const Host& host, const RejectedMapping& rejected) {
  switch (rejected.error_number) {
    case ENOMEM: return explain_no_memory(host, rejected);
    case EINVAL: return explain_invalid(rejected);
    case EADDRINUSE:
    case EEXIST: return {ErrorCode::bad_state, subject(rejected) + ": memory is already mapped there", {}};
    case EFAULT:
      return {ErrorCode::invalid_argument, subject(rejected) + ": the memory does not exist or is not writable", {}};
    default: return fail_errno(ErrorCode::io_error, subject(rejected), rejected.error_number).value();
  }
}

}  // namespace pollux::vfio
