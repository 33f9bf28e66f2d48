// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/mapping_error.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "backends/vfio/iommu_info.hpp"
#include "backends/vfio/locked_memory.hpp"

namespace pollux::vfio {
namespace {

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

Error explain_map_failure(const Host& host, const RejectedMapping& rejected, const Descriptor& container,
                          std::size_t mappings) {
  if (rejected.error_number == ENOSPC) return explain_no_space(rejected, container, mappings);
  return explain_map_failure(host, rejected);
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
