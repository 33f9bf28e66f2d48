// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// What the process needs before it can open a device: the VFIO access (a group in a container, or an IOMMUFD) and the
/// DMA domain. The destructor releases both, so close the device's descriptor before it runs.
class DeviceAccess {
 public:
  DeviceAccess() = default;
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
  virtual ~DeviceAccess() = default;
  [[nodiscard]] virtual DmaDomain& dma_domain() = 0;
};

/// An opened device: its descriptor and the access it depends on. VfioDevice does not depend on the kind of access.
struct OpenedDevice {
  std::unique_ptr<DeviceAccess> access;
  Descriptor descriptor;  // declared last: closed first
};

/// Tells the Context that a device has fewer usable IOVAs than the attached domain that it joined. An attached domain
/// cannot change its ranges, so this second domain, which maps nothing, is attached with the fewer ranges.
class NarrowedIovaRanges final : public DmaDomain {
 public:
  explicit NarrowedIovaRanges(std::vector<IovaRange> ranges) : ranges_(std::move(ranges)) {}
  std::string_view name() const override { return "a device with fewer usable IOVAs than the devices before it"; }
  std::vector<IovaRange> usable_iova() const override { return ranges_; }
  Result<void> map(const DmaSegment&) override { return {}; }
  Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  std::vector<IovaRange> ranges_;
};

[[nodiscard]] inline bool same_ranges(const std::vector<IovaRange>& one, const std::vector<IovaRange>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const IovaRange& a, const IovaRange& b) { return a.first == b.first && a.last == b.last; });
}

/// The error of opening /dev/vfio/vfio or /dev/iommu. `absent` says what a missing file means, `remedy` what to do
/// then.
[[nodiscard]] tl::unexpected<Error> explain_control_file(const std::string& path, int error, std::string_view absent,
                                                         std::string_view remedy);
/// The error of opening the file `path` of a device or of its group. `control_file` is needed besides it. `permission`
/// is the hint for a user who may not open it.
[[nodiscard]] tl::unexpected<Error> explain_node(const std::string& path, const std::string& address,
                                                 std::string_view control_file, int error, std::string permission);

/// A mapping that the kernel rejected.
struct RejectedMapping {
  const DmaSegment& segment;
  const std::vector<IovaRange>& ranges;
  int error_number;
  /// Bytes that this domain has pinned. Set if the kernel accounts them to the user, not to the process.
  std::optional<std::uint64_t> pinned = std::nullopt;
};

/// Finds the cause of a rejected mapping. The kernel returns ENOMEM both when RLIMIT_MEMLOCK is exceeded and when it is
/// out of memory. The two are told apart by the process's locked memory and its limit, computed as the kernel does
/// (Linux, drivers/vfio/vfio_iommu_type1.c, vfio_lock_acct; drivers/iommu/iommufd/pages.c, incr_user_locked_vm).
[[nodiscard]] Error explain_map_failure(const Host& host, const RejectedMapping& rejected);

/// The same for a container, which limits the number of mappings and now has `mappings` of them.
[[nodiscard]] Error explain_map_failure(const Host& host, const RejectedMapping& rejected, const Descriptor& container,
                                        std::size_t mappings);

}  // namespace pollux::vfio
