// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/device_access.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "backends/vfio/kernel.hpp"
#include "base/undo.hpp"
#include "mem/context_state.hpp"
#include "pci/device_info.hpp"
#include "pci/iommu_group.hpp"
#include "pollux/base/error.hpp"

namespace pollux::vfio {
namespace {

enum class GroupKind {
  behind_iommu,
  without_iommu,  ///< created by VFIO for a device that no IOMMU isolates
};

tl::unexpected<Error> explain_open(const std::string& path, const std::string& address, GroupKind kind, int error) {
  if (error == EBUSY) {
    return fail(ErrorCode::group_in_use,
                fmt::format("{} cannot be opened: its IOMMU group is in use: {} is open in another process, or in "
                            "another Context of this process",
                            address, path),
                "find the process and end it: fuser -v " + path);
  }
  return explain_node(path, address, "/dev/vfio/vfio", error,
                      kind == GroupKind::behind_iommu
                          ? bind_for_this_user(address)
                          : "run as root: a device without an IOMMU requires CAP_SYS_RAWIO, even from the owner of its "
                            "file");
}

tl::unexpected<Error> explain_not_viable(const Host& host, const pci::DeviceInfo& device) {
  const std::array leaving{device.address};
  const auto group = pci::read_group(host.paths, *device.iommu_group);
  if (group) {
    if (auto viable = pci::check_viable(*group, leaving); !viable) return pass_on(std::move(viable));
  }
  // A group is also not viable while another user owns its DMA (Linux, drivers/vfio/group.c,
  // vfio_group_ioctl_get_status).
  return fail(ErrorCode::group_in_use,
              fmt::format("{} cannot be opened: IOMMU group {} is in use by another process or driver",
                          device.address.to_string(), *device.iommu_group),
              "find the process that has one of its devices open: fuser -v /dev/vfio/* /dev/vfio/devices/*");
}

/// An IOMMU group that this process has opened. The kernel allows one open descriptor for each group.
class Group {
 public:
  /// Opens the group of `device` and checks that all its devices are bound to VFIO. Errors: `permission_denied`,
  /// `group_in_use`, `group_not_viable`, `not_found`.
  [[nodiscard]] static Result<Group> open(const Host& host, const pci::DeviceInfo& device, GroupKind kind) {
    const std::string path = kind == GroupKind::behind_iommu ? group_node(host, *device.iommu_group)
                                                             : no_iommu_node(host, *device.iommu_group);
    const int opened = host.kernel->open(path, O_RDWR);
    if (opened < 0) return explain_open(path, device.address.to_string(), kind, -opened);
    Group group(Descriptor(host.kernel, opened), *device.iommu_group);

    vfio_group_status status{};
    status.argsz = sizeof status;
    if (const int result = group.descriptor_.ioctl(VFIO_GROUP_GET_STATUS, &status); result < 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: the group's status cannot be read", path), -result);
    }
    if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) return explain_not_viable(host, device);
    return group;
  }

  /// One that another program has opened, and that has joined its container.
  [[nodiscard]] static Group taken(Descriptor descriptor, std::uint32_t number) {
    return {std::move(descriptor), number};
  }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }

  /// Adds the group to the container's address space. Error `not_supported` if the container cannot take this group.
  [[nodiscard]] Result<void> join(const GroupContainer& container) {
    int descriptor = container.descriptor();
    const int result = descriptor_.ioctl(VFIO_GROUP_SET_CONTAINER, &descriptor);
    if (result >= 0) return {};
    const std::string what = fmt::format("IOMMU group {} cannot join the process's VFIO container", number_);
    switch (-result) {
      case EBUSY:
      case EPERM:
        return fail_errno(
            ErrorCode::group_in_use, what, -result,
            "find the process that has one of its devices open: fuser -v /dev/vfio/* /dev/vfio/devices/*");
      // The new group cannot use an IOVA that is already mapped, or reserves it. Linux, vfio_iommu_type1.c.
      case EINVAL:
        return fail_errno(ErrorCode::not_supported, what + ": memory is mapped at IOVAs that it cannot use", -result,
                          "open this device before memory is allocated, or in a Context of its own");
      default: return fail_errno(ErrorCode::io_error, what, -result, "see dmesg");
    }
  }
  /// Opens one of the group's devices. `token`: see VfioUri; empty: none. Error `permission_denied`: it needs another.
  /// Call after `join` and after the container's `set_iommu`.
  [[nodiscard]] Result<Descriptor> open_device(pci::Address address, const std::string& token) const {
    const std::string name = address.to_string();
    std::string request = token.empty() ? name : fmt::format("{} vf_token={}", name, token);
    const int opened = descriptor_.ioctl(VFIO_GROUP_GET_DEVICE_FD, request.data());
    if (opened >= 0) return Descriptor(descriptor_.shared_kernel(), opened);
    // Linux, drivers/vfio/pci/vfio_pci_core.c, vfio_pci_validate_vf_token.
    if (opened == -EACCES || (opened == -EINVAL && !token.empty())) {
      return fail_errno(
          ErrorCode::permission_denied,
          fmt::format("{} cannot be opened {}", name, token.empty() ? "without a vf_token" : "with this vf_token"),
          -opened,
          "open a physical function that VFIO has and its virtual functions with the same ?vf_token=UUID; give no "
          "other "
          "device a token");
    }
    switch (-opened) {
      case ENODEV:
        return fail_errno(ErrorCode::not_bound, fmt::format("{} is not bound to VFIO", name), -opened,
                          "pollux bind " + name);
      case EBUSY:
        return fail_errno(ErrorCode::busy, fmt::format("{} is already open", name), -opened,
                          fmt::format("find the process and end it: fuser -v /dev/vfio/{}", number_));
      default:
        return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened through VFIO", name), -opened,
                          "see dmesg");
    }
  }
  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }

 private:
  Group(Descriptor descriptor, std::uint32_t number) : descriptor_(std::move(descriptor)), number_(number) {}

  Descriptor descriptor_;
  std::uint32_t number_;
};

/// Shares one container between the devices of a Context. Records the open container, its groups, and the open devices
/// of each group. Thread rule: any thread. Lock order: its own lock first, then the Context's.
class ContainerRegistry {
 public:
  using OpenContainer = Result<std::shared_ptr<GroupContainer>> (*)(const Host& host);
  using TakeContainer = Result<std::shared_ptr<GroupContainer>> (*)(const Host& host, Descriptor descriptor,
                                                                    const std::vector<IovaRange>& used);
  ContainerRegistry(OpenContainer open_container, TakeContainer take_container, GroupKind kind)
      : open_container_(open_container), take_container_(take_container), kind_(kind) {}

  struct Share {
    std::shared_ptr<GroupContainer> container;
    Descriptor device;
  };

  /// Opens `device`, and its group and the container if they are not open yet. A failed call changes nothing. Error
  /// `busy` for a device that is already open in this Context, because the kernel would allow a second open. Other
  /// errors: those of the container and of Group.
  [[nodiscard]] Result<Share> acquire(ContextState& context, const Host& host, const pci::DeviceInfo& device,
                                      const std::string& token) {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = *device.iommu_group;
    if (!groups_.contains(number)) {
      auto opened =
          container_ == nullptr ? open_first_group(context, host, device) : open_another_group(context, host, device);
      if (!opened) return pass_on(std::move(opened));
    }
    OpenGroup& open = groups_.at(number);
    if (open.devices.contains(device.address)) {
      return fail(ErrorCode::busy, fmt::format("{} is already open in this Context", device.address.to_string()),
                  "use the open port, or close it first");
    }
    auto descriptor = open.group.open_device(device.address, token);
    if (!descriptor) {
      if (open.devices.empty()) close_group(context, number);
      return pass_on(std::move(descriptor));
    }
    open.devices.insert(device.address);
    return Share{container_, std::move(*descriptor)};
  }
  /// The same with the descriptors of another program, all of whose devices are in one container.
  [[nodiscard]] Result<Share> take(ContextState& context, const Host& host, const pci::DeviceInfo& device,
                                   DeviceRecord& record) {
    const std::lock_guard lock(mutex_);
    if (container_ != nullptr && !is_taken_) {
      return fail(ErrorCode::not_supported,
                  fmt::format("{} cannot be taken over: this Context has a VFIO container", record.name),
                  "open the ports that are taken over first, or in a Context of their own");
    }
    auto opened = take_file(host, record, kDeviceFile);
    if (!opened) return pass_on(std::move(opened));
    const std::uint32_t number = *device.iommu_group;
    if (!groups_.contains(number)) {
      auto group = take_file(host, record, kGroupFile);
      if (!group) return pass_on(std::move(group));
      auto space = take_file(host, record, kSpaceFile);
      if (!space) return pass_on(std::move(space));
      if (container_ == nullptr) {
        auto container = take_container_(host, *std::move(space), record.used);
        if (!container) return pass_on(std::move(container));
        if (!record.ended) {
          if (auto attached = context.attach(*container); !attached) return pass_on(std::move(attached));
        }
        container_ = *std::move(container);
        is_taken_ = true;
      }
      groups_.emplace(number, OpenGroup(Group::taken(*std::move(group), number)));
    }
    groups_.at(number).devices.insert(device.address);
    return Share{container_, *std::move(opened)};
  }
  /// See DeviceHandover.
  [[nodiscard]] Result<void> exchange_memory(ContextState& context) {
    const std::lock_guard lock(mutex_);
    auto unmapped = container_->unmap_all();
    return unmapped ? context.attach(container_) : unmapped;
  }
  /// The descriptor of a group that is open.
  [[nodiscard]] int group_file(std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    return groups_.at(number).group.descriptor();
  }
  /// Call once for each `acquire` and `take`, after the device's descriptor was closed. The last call unmaps all memory
  /// and closes the container.
  void release(ContextState& context, std::uint32_t group, pci::Address device) {
    const std::lock_guard lock(mutex_);
    std::set<pci::Address>& devices = groups_.at(group).devices;
    devices.erase(device);
    if (devices.empty()) close_group(context, group);
  }

 private:
  struct OpenGroup {
    explicit OpenGroup(Group opened) : group(std::move(opened)) {}
    Group group;
    std::set<pci::Address> devices;
    std::shared_ptr<DmaDomain> narrowed;  // set if this group reduced the usable IOVA ranges
  };

  [[nodiscard]] Result<void> open_first_group(ContextState& context, const Host& host, const pci::DeviceInfo& device) {
    auto container = open_container_(host);
    if (!container) return pass_on(std::move(container));
    auto group = Group::open(host, device, kind_);
    if (!group) return pass_on(std::move(group));
    if (auto joined = group->join(**container); !joined) return joined;
    if (auto set = (*container)->set_iommu(); !set) return set;
    if (auto attached = context.attach(*container); !attached) return attached;
    container_ = std::move(*container);
    groups_.emplace(group->number(), OpenGroup(std::move(*group)));
    return {};
  }
  [[nodiscard]] Result<void> open_another_group(ContextState& context, const Host& host,
                                                const pci::DeviceInfo& device) {
    auto group = Group::open(host, device, kind_);
    if (!group) return pass_on(std::move(group));
    if (auto joined = group->join(*container_); !joined) return joined;
    OpenGroup open(std::move(*group));
    auto ranges = container_->read_usable_iova();
    if (!ranges) return pass_on(std::move(ranges));
    if (!same_ranges(*ranges, container_->usable_iova())) {
      open.narrowed = std::make_shared<NarrowedIovaRanges>(*std::move(ranges));
      if (auto attached = context.attach(open.narrowed); !attached) return attached;
    }
    groups_.emplace(open.group.number(), std::move(open));
    return {};
  }
  void close_group(ContextState& context, std::uint32_t number) {
    const auto found = groups_.find(number);
    if (found->second.narrowed != nullptr) context.detach(*found->second.narrowed);
    // Unmap while a group is still in the container: the kernel drops the address space together with the last group.
    if (groups_.size() == 1) context.detach(*container_);
    groups_.erase(found);
    if (!groups_.empty()) return;
    container_.reset();
    is_taken_ = false;
  }

  OpenContainer open_container_;
  TakeContainer take_container_;
  GroupKind kind_;
  std::mutex mutex_;
  std::shared_ptr<GroupContainer> container_;
  bool is_taken_ = false;  // the container was opened by another program
  std::map<std::uint32_t, OpenGroup> groups_;
};

class GroupAccess final : public DeviceAccess {
 public:
  GroupAccess(std::shared_ptr<ContextState> context, std::shared_ptr<ContainerRegistry> registry,
              std::shared_ptr<GroupContainer> container, std::uint32_t group, pci::Address device)
      : context_(std::move(context)),
        registry_(std::move(registry)),
        container_(std::move(container)),
        group_(group),
        device_(device) {}
  ~GroupAccess() override {
    // Drops this reference first, because the registry must be the last owner: it closes the container after the last
    // group.
    container_.reset();
    registry_->release(*context_, group_, device_);
  }
  DmaDomain& dma_domain() override { return *container_; }
  Result<void> exchange_memory() override { return registry_->exchange_memory(*context_); }
  void describe(DeviceHandover::Offer& offer) const override {
    offer.access = container_->is_iommu() ? kGroupAccess : kNoIommuAccess;
    offer.descriptors.emplace_back(kGroupFile, registry_->group_file(group_));
    offer.descriptors.emplace_back(kSpaceFile, container_->descriptor());
  }

 private:
  std::shared_ptr<ContextState> context_;
  std::shared_ptr<ContainerRegistry> registry_;
  std::shared_ptr<GroupContainer> container_;
  std::uint32_t group_;
  pci::Address device_;
};

// These are two types, because a Context has one service of each type.
struct TypeOneRegistry : ContainerRegistry {
  TypeOneRegistry() : ContainerRegistry(open_container, take_container, GroupKind::behind_iommu) {}
};
struct NoIommuRegistry : ContainerRegistry {
  NoIommuRegistry() : ContainerRegistry(open_no_iommu_container, take_no_iommu_container, GroupKind::without_iommu) {}
  std::atomic<bool> warned{false};
};

/// The registry of a Context's devices, or one for a device alone.
template <class Registry>
std::shared_ptr<Registry> registry_of(Context& context, bool alone) {
  if (alone) return std::make_shared<Registry>();
  return {context.state(), &context.service<Registry>()};
}

Result<OpenedDevice> as_opened(Context& context, const std::shared_ptr<ContainerRegistry>& registry,
                               const pci::DeviceInfo& device, Result<ContainerRegistry::Share> share) {
  if (!share) return pass_on(std::move(share));
  Undo release([&] {
    share->container.reset();  // the registry is the last owner
    registry->release(*context.state(), *device.iommu_group, device.address);
  });
  auto access = std::make_unique<GroupAccess>(context.state(), registry, std::move(share->container),
                                              *device.iommu_group, device.address);
  release.keep();
  return OpenedDevice{std::move(access), std::move(share->device)};
}

Result<OpenedDevice> open_group(Context& context, const std::shared_ptr<ContainerRegistry>& registry, const Host& host,
                                const pci::DeviceInfo& device, const std::string& token) {
  return as_opened(context, registry, device, registry->acquire(*context.state(), host, device, token));
}

}  // namespace

Result<OpenedDevice> take_group(Context& context, const Host& host, const pci::DeviceInfo& device,
                                DeviceRecord& record) {
  std::shared_ptr<ContainerRegistry> registry;
  if (record.access == kNoIommuAccess) {
    registry = registry_of<NoIommuRegistry>(context, record.ended);
  } else {
    registry = registry_of<TypeOneRegistry>(context, record.ended);
  }
  return as_opened(context, registry, device, registry->take(*context.state(), host, device, record));
}

Result<OpenedDevice> open_through_group(Context& context, const Host& host, const pci::DeviceInfo& device,
                                        const std::string& token, bool alone) {
  return open_group(context, registry_of<TypeOneRegistry>(context, alone), host, device, token);
}

Result<OpenedDevice> open_without_iommu(Context& context, const Host& host, const pci::DeviceInfo& device) {
  const auto registry = registry_of<NoIommuRegistry>(context, false);
  auto opened = open_group(context, registry, host, device, {});
  if (opened && !registry->warned.exchange(true)) {
    context.log(LogLevel::warning,
                fmt::format("{} is used without an IOMMU: the card, or a bug in the program that gives it addresses, "
                            "can read and overwrite any memory of this machine, the kernel's included; the kernel is "
                            "now tainted (reported once)",
                            device.address.to_string()));
  }
  return opened;
}

}  // namespace pollux::vfio
