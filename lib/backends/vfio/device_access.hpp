// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "device/device_handover.hpp"
#include "pci/device_info.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/dma_domain.hpp"
#include "pollux/pci/paths.hpp"

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
  /// See DeviceHandover.
  [[nodiscard]] virtual Result<void> exchange_memory() = 0;
  /// Adds to what another program needs that goes on with the device.
  virtual void describe(DeviceHandover::Offer& offer) const = 0;
};

/// An opened device: its descriptor and the access it depends on. The Device does not depend on the kind of access.
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

/// What is left of `ranges` without those that another program uses.
[[nodiscard]] std::vector<IovaRange> without(std::vector<IovaRange> ranges, const std::vector<IovaRange>& used);

/// The error of opening /dev/vfio/vfio or /dev/iommu. `absent` says what a missing file means, `remedy` what to do
/// then.
[[nodiscard]] tl::unexpected<Error> explain_control_file(const std::string& path, int error, std::string_view absent,
                                                         std::string_view remedy);
/// The error of opening the file `path` of a device or of its group. `control_file` is needed besides it. `permission`
/// is the hint for a user who may not open it.
[[nodiscard]] tl::unexpected<Error> explain_node(const std::string& path, const std::string& address,
                                                 std::string_view control_file, int error, std::string permission);
/// The hint for a user who may not open a device: the command names that user, whoever types it.
[[nodiscard]] std::string bind_for_this_user(const std::string& address);

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

/// Access modes in a DeviceRecord.
inline constexpr std::string_view kGroupAccess = "group";
inline constexpr std::string_view kNoIommuAccess = "noiommu";
inline constexpr std::string_view kIommufdAccess = "iommufd";
/// Names of descriptors in it.
inline constexpr std::string_view kDeviceFile = "device";
inline constexpr std::string_view kGroupFile = "group";
inline constexpr std::string_view kSpaceFile = "space";  ///< the container, or the IOMMUFD

/// Takes a descriptor from the record. Error invalid_argument: there is none.
[[nodiscard]] inline Result<Descriptor> take_file(const Host& host, DeviceRecord& record, std::string_view name) {
  auto file = record.take(name);
  if (!file) return pass_on(std::move(file));
  return adopt(host, *std::move(file));
}

/// Opens `device`, which is behind an IOMMU, through its IOMMU group. All devices of a Context share one container. The
/// first device opens it and attaches it to the Context, the last one closes it. Errors: those of Container, Group and
/// of mapping the Context's existing memory. `token`: see VfioUri. `alone`: the device has
/// a container of its own.
[[nodiscard]] Result<OpenedDevice> open_through_group(Context& context, const Host& host, const pci::DeviceInfo& device,
                                                      const std::string& token, bool alone);

/// The same for a device that no IOMMU isolates, with a no-IOMMU container. Logs a warning about the risk to the
/// Context's log, once.
[[nodiscard]] Result<OpenedDevice> open_without_iommu(Context& context, const Host& host,
                                                      const pci::DeviceInfo& device);

/// The device's own file (cdev), /dev/vfio/devices/vfioN. Sysfs gives N. None on a kernel before 6.6 or without
/// CONFIG_VFIO_DEVICE_CDEV.
[[nodiscard]] std::optional<std::filesystem::path> device_node(const Host& host, const pci::DeviceInfo& device);

/// Opens `device` through its own file and an IOMMUFD. All devices of a Context share one IOMMUFD. The first device
/// opens it and attaches it to the Context, the last one closes it. Errors: `not_supported` (no device file),
/// `permission_denied`, `not_found`, and those of Iommufd and of mapping the Context's existing memory. `alone`: the
/// device has an IOMMUFD of its own.
[[nodiscard]] Result<OpenedDevice> open_through_iommufd(Context& context, const Host& host,
                                                        const pci::DeviceInfo& device, bool alone);

/// The device that another program has opened, with that program's descriptors: for access by group and without an
/// IOMMU, and for an IOMMUFD. Memory of `context` is mapped at addresses that it does not use; if it has ended, by
/// `exchange_memory`. Errors: invalid_argument
/// (the record), not_supported (memory is mapped already at such addresses), and those of mapping.
///@{
[[nodiscard]] Result<OpenedDevice> take_group(Context& context, const Host& host, const pci::DeviceInfo& device,
                                              DeviceRecord& record);
[[nodiscard]] Result<OpenedDevice> take_iommufd(Context& context, const Host& host, const pci::DeviceInfo& device,
                                                DeviceRecord& record);
///@}

/// The Device of a descriptor, for every access mode. Takes ownership of the descriptor and brings the function into a
/// known state: powered, memory decoding on, bus mastering off, INTx masked, error and removal-request events enabled
/// if the device has them. Errors: `device_removed`, `not_supported`, `device_fault`, `io_error`, `timeout`.
/// One that `is_shared` with another program stays as it is.
[[nodiscard]] Result<std::unique_ptr<Device>> make_device(Clock& clock, const pci::DeviceInfo& info,
                                                          OpenedDevice opened, pci::SystemPaths paths,
                                                          bool is_shared = false);

/// /dev/vfio/N.
[[nodiscard]] std::filesystem::path group_node(const Host& host, std::uint32_t group);
/// /dev/vfio/noiommu-N.
[[nodiscard]] std::filesystem::path no_iommu_node(const Host& host, std::uint32_t group);

/// A VFIO container. IOMMU groups join it before their devices can be opened. All groups in one container share its
/// address translation, or have none.
class GroupContainer : public DmaDomain {
 public:
  [[nodiscard]] virtual int descriptor() const noexcept = 0;
  /// Call once, after the first group joined.
  [[nodiscard]] virtual Result<void> set_iommu() = 0;
  /// Unmaps all memory, whoever mapped it.
  [[nodiscard]] virtual Result<void> unmap_all() { return {}; }
  /// Queries the IOVA ranges that all groups now in the container can use.
  [[nodiscard]] virtual Result<std::vector<IovaRange>> read_usable_iova() const = 0;
};

/// Physical addresses of this process's pages, from /proc/self/pagemap (Linux, Documentation/admin-guide/mm/
/// pagemap.rst). Not for a forked child: the open file still describes the parent's pages.
class Pagemap final : public PhysicalAddresses {
 public:
  /// Opens the file and looks up one page as a test. Errors: `permission_denied` (the kernel hides addresses from a
  /// process without CAP_SYS_ADMIN), `not_supported` (a kernel without the file).
  [[nodiscard]] static Result<std::shared_ptr<const Pagemap>> open(const Host& host);

  explicit Pagemap(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  [[nodiscard]] Result<std::uint64_t> find(const std::byte* address) const override;

 private:
  Descriptor descriptor_;
};

/// Opens /dev/vfio/vfio and checks its API version. Errors: `module_not_loaded`, `permission_denied`,
/// `not_supported`.
[[nodiscard]] Result<Descriptor> open_container_file(const Host& host);

/// The container of another program, which `set_iommu` was called for; `used`: see DeviceRecord.
///@{
[[nodiscard]] Result<std::shared_ptr<GroupContainer>> take_container(const Host& host, Descriptor descriptor,
                                                                     const std::vector<IovaRange>& used);
[[nodiscard]] Result<std::shared_ptr<GroupContainer>> take_no_iommu_container(const Host& host, Descriptor descriptor,
                                                                              const std::vector<IovaRange>& used);
///@}

/// Opens /dev/vfio/vfio and checks that it supports type1. Memory can be mapped after a group has joined and
/// `set_iommu` was called. Errors: those of `open_container_file`.
[[nodiscard]] Result<std::shared_ptr<GroupContainer>> open_container(const Host& host);

/// Opens /dev/vfio/vfio, and /proc/self/pagemap for physical addresses. Errors: `module_not_loaded`,
/// `permission_denied`, `not_supported`.
[[nodiscard]] Result<std::shared_ptr<GroupContainer>> open_no_iommu_container(const Host& host);

}  // namespace pollux::vfio
