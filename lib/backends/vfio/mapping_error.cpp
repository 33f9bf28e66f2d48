// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/mapping_error.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "backends/vfio/iommu_info.hpp"
#include "backends/vfio/locked_memory.hpp"

namespace pollux::vfio {
namespace {

std::string subject(const RefusedMapping& refused) {
  return fmt::format("{} KiB at IOVA {:#x} cannot be mapped for DMA", refused.segment.size / 1024,
                     refused.segment.iova);
}

Error explain_no_memory(const Host& host, const RefusedMapping& refused) {
  const LockedMemory memory = read_locked_memory(host);
  if (!memory.limit) {
    return {ErrorCode::no_memory, subject(refused) + ": the kernel ran out of memory, RLIMIT_MEMLOCK is unlimited",
            "free memory, or use fewer or larger pages"};
  }
  const std::uint64_t locked = refused.pinned.value_or(memory.locked);
  const std::uint64_t needed = locked + refused.segment.size;
  const std::string figures =
      fmt::format("{} KiB are locked already, RLIMIT_MEMLOCK is {} KiB", locked / 1024, *memory.limit / 1024);
  if (needed <= *memory.limit || memory.exempt) {
    const std::string_view others = refused.pinned ? ", and what the user's other processes pin counts, too" : "";
    return {ErrorCode::no_memory,
            fmt::format("{}: the kernel ran out of memory; {}{}", subject(refused), figures,
                        memory.exempt ? ", which CAP_IPC_LOCK lifts" : others),
            "free memory, or use fewer or larger pages"};
  }
  return {ErrorCode::memlock_too_small,
          fmt::format("{}: this process may not lock the {} KiB that it then needs; {}", subject(refused),
                      needed / 1024, figures),
          fmt::format("in the shell that starts it, as root: ulimit -l {0}; for good: \"USER - memlock {0}\" in "
                      "/etc/security/limits.conf, or LimitMEMLOCK= in its systemd unit",
                      needed / 1024)};
}

Error explain_no_space(const RefusedMapping& refused, const Descriptor& container, std::size_t mappings) {
  const auto info = read_iommu_info(container);
  if (info && info->mappings_left.value_or(0) != 0) {
    return fail_errno(ErrorCode::io_error, subject(refused), ENOSPC).value();
  }
  return {ErrorCode::mapping_limit,
          fmt::format("{}: the VFIO container takes no more mappings than the {} it has", subject(refused), mappings),
          "use huge pages (sysctl vm.nr_hugepages=512), or raise the limit for containers opened later: "
          "echo 1000000 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit"};
}

Error explain_invalid(const RefusedMapping& refused) {
  std::string listed;
  for (const IovaRange& range : refused.ranges) {
    listed += fmt::format("{}{:#x} to {:#x}", listed.empty() ? "" : ", ", range.first, range.last);
  }
  return {ErrorCode::not_supported,
          fmt::format("{}: the kernel does not take that address; the IOMMU reaches {}", subject(refused), listed),
          "open the device before memory is allocated, so that addresses are chosen from what it reaches"};
}

}  // namespace

Error explain_map_failure(const Host& host, const RefusedMapping& refused, const Descriptor& container,
                          std::size_t mappings) {
  if (refused.error_number == ENOSPC) return explain_no_space(refused, container, mappings);
  return explain_map_failure(host, refused);
}

Error explain_map_failure(const Host& host, const RefusedMapping& refused) {
  switch (refused.error_number) {
    case ENOMEM: return explain_no_memory(host, refused);
    case EINVAL: return explain_invalid(refused);
    case EADDRINUSE:
    case EEXIST: return {ErrorCode::bad_state, subject(refused) + ": something is mapped there already", {}};
    case EFAULT:
      return {ErrorCode::invalid_argument, subject(refused) + ": the memory is not there, or cannot be written", {}};
    default: return fail_errno(ErrorCode::io_error, subject(refused), refused.error_number).value();
  }
}

}  // namespace pollux::vfio
