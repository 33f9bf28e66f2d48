// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/device_access.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "backends/vfio/iommufd_uapi.hpp"
#include "backends/vfio/kernel.hpp"
#include "backends/vfio/region.hpp"
#include "mem/context_state.hpp"
#include "pci/device_info.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {
namespace {

// Bounds the count that the kernel reports. The reserved windows of an IOMMU leave fewer ranges than this.
constexpr std::uint32_t kMaxRanges = 4096;

// A device cannot be bound while another driver or process uses its group or owns the group's DMA.
tl::unexpected<Error> explain_group_in_use(const Host& host, const pci::DeviceInfo& device, const std::string& what,
                                           int error) {
  if (device.iommu_group) {
    const std::array leaving{device.address};
    if (const auto group = pci::read_group(host.paths, *device.iommu_group)) {
      if (auto viable = pci::check_viable(*group, leaving); !viable) return pass_on(std::move(viable));
    }
  }
  // EPERM is also the error of an IOMMU without interrupt remapping. Linux, drivers/iommu/iommufd/device.c,
  // iommufd_device_bind.
  const std::string find_user =
      "find the process that has one of its group's devices open: fuser -v /dev/vfio/* /dev/vfio/devices/*";
  if (error == EPERM) {
    return fail_errno(ErrorCode::group_in_use,
                      what + ": another process uses a device of its group, or the IOMMU does not remap interrupts",
                      error,
                      find_user +
                          "; or switch interrupt remapping (x2APIC) on in the firmware, or accept the risk: "
                          "echo 1 > /sys/module/iommufd/parameters/allow_unsafe_interrupts");
  }
  return fail_errno(ErrorCode::group_in_use, what + ": its IOMMU group is in use", error, find_user);
}

tl::unexpected<Error> explain_bind(const Host& host, const pci::DeviceInfo& device, int error) {
  const std::string what = fmt::format("{} cannot be bound to the IOMMUFD", device.address.to_string());
  switch (error) {
    // A device file serves one process at a time. Linux, drivers/vfio/vfio_main.c, vfio_df_open.
    case EINVAL:
      return fail(ErrorCode::busy, what + ": it is in use by this or another process",
                  "find the process and end it: fuser -v /dev/vfio/devices/*");
    case EBUSY:
    case EPERM: return explain_group_in_use(host, device, what, error);
    default: return fail_errno(ErrorCode::io_error, what, error, "see dmesg");
  }
}

tl::unexpected<Error> explain_attach(const pci::DeviceInfo& device, int error) {
  const std::string what = fmt::format("{} cannot join the process's IOMMU address space", device.address.to_string());
  // Linux, drivers/iommu/iommufd/io_pagetable.c, iopt_reserve_iova.
  if (error == EADDRINUSE) {
    return fail_errno(ErrorCode::not_supported, what + ": memory is mapped at IOVAs that it cannot use", error,
                      "open this device before memory is allocated, or in a Context of its own");
  }
  return fail_errno(ErrorCode::io_error, what, error, "see dmesg");
}

/// An IOMMUFD with one address space. All devices of a Context share it, so memory is pinned once.
class Iommufd final : public DmaDomain {
 public:
  /// Opens /dev/iommu and creates the address space. Errors: `module_not_loaded`, `permission_denied`, `io_error`.
  [[nodiscard]] static Result<std::shared_ptr<Iommufd>> open(const Host& host) {
    const std::string path = host.paths.dev / "iommu";
    const int opened = host.kernel->open(path, O_RDWR);
    if (opened < 0) {
      return explain_control_file(
          path, -opened, "this kernel has no IOMMUFD, or it is not loaded",
          "modprobe iommufd; where the kernel is built without it, use the group: vfio:ADDRESS?via=group");
    }
    Descriptor descriptor(host.kernel, opened);
    uapi::IoasAlloc request;
    if (const int result = descriptor.ioctl(uapi::kIoasAlloc, &request); result < 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{} cannot create an address space", path), -result,
                        "see dmesg");
    }
    return std::make_shared<Iommufd>(host, std::move(descriptor), request.ioas);
  }

  Iommufd(const Host& host, Descriptor descriptor, std::uint32_t ioas)
      : host_(host), descriptor_(std::move(descriptor)), ioas_(ioas) {}

  /// Binds the device file `opened` to this IOMMUFD and attaches the device to the address space, until the file is
  /// closed. Errors: `busy`, `group_in_use`, `group_not_viable`, `not_supported`, `io_error`.
  [[nodiscard]] Result<void> attach_device(const Descriptor& opened, const pci::DeviceInfo& device) {
    uapi::BindIommufd bind;
    bind.iommufd = descriptor_.get();
    if (const int result = opened.ioctl(uapi::kDeviceBindIommufd, &bind); result < 0) {
      return explain_bind(host_, device, -result);
    }
    uapi::AttachPageTable attach;
    attach.page_table = ioas_;
    const int result = opened.ioctl(uapi::kDeviceAttachPageTable, &attach);
    if (result < 0) return explain_attach(device, -result);
    return {};
  }
  /// Queries the IOVA ranges that all attached devices can use.
  [[nodiscard]] Result<std::vector<IovaRange>> read_usable_iova() const {
    uapi::IoasIovaRanges request;
    request.ioas = ioas_;
    std::vector<uapi::IovaRange> reported;
    int result = descriptor_.ioctl(uapi::kIoasIovaRanges, &request);
    if (result == -EMSGSIZE && request.count <= kMaxRanges) {
      reported.resize(request.count);
      request.ranges = reinterpret_cast<std::uintptr_t>(reported.data());
      result = descriptor_.ioctl(uapi::kIoasIovaRanges, &request);
    }
    if (result < 0) return fail_errno(ErrorCode::io_error, "the IOMMUFD's usable IOVA ranges cannot be read", -result);
    if (request.count < reported.size()) reported.resize(request.count);
    std::vector<IovaRange> ranges;
    for (const uapi::IovaRange& range : reported) {
      if (auto added = add_range(ranges, {range.start, range.last}); !added) return pass_on(std::move(added));
    }
    if (auto checked = check_not_empty(ranges); !checked) return pass_on(std::move(checked));
    return ranges;
  }
  /// Sets the value of `usable_iova`. Call after the first device was attached to this IOMMUFD, and before this IOMMUFD
  /// is attached to a Context.
  void set_usable_iova(std::vector<IovaRange> ranges) { ranges_ = std::move(ranges); }

  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  [[nodiscard]] std::uint32_t space() const noexcept { return ioas_; }

  [[nodiscard]] std::string_view name() const override { return "IOMMUFD"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return ranges_; }
  [[nodiscard]] bool is_iommu() const override { return true; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    uapi::IoasMap request;
    request.flags = uapi::kMapFixedIova | uapi::kMapReadable | (segment.writable ? uapi::kMapWriteable : 0U);
    request.ioas = ioas_;
    request.address = reinterpret_cast<std::uintptr_t>(segment.address);
    request.length = segment.size;
    request.iova = segment.iova;
    if (const int result = descriptor_.ioctl(uapi::kIoasMap, &request); result < 0) {
      return tl::unexpected(explain_map_failure(host_, {segment, ranges_, -result, pinned_}));
    }
    pinned_ += segment.size;
    return {};
  }
  /// Unmaps all memory, whoever mapped it.
  [[nodiscard]] Result<void> unmap_all() {
    uapi::IoasUnmap request;
    request.ioas = ioas_;
    request.length = ~std::uint64_t{0};
    const int result = descriptor_.ioctl(uapi::kIoasUnmap, &request);
    if (result >= 0 || result == -ENOENT) return {};  // nothing is mapped
    return fail_errno(ErrorCode::io_error, "the memory of a program that has ended cannot be unmapped", -result);
  }
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override {
    uapi::IoasUnmap request;
    request.ioas = ioas_;
    request.iova = segment.iova;
    request.length = segment.size;
    const int result = descriptor_.ioctl(uapi::kIoasUnmap, &request);
    const auto what = [&] {
      return fmt::format("{} bytes at IOVA {:#x} cannot be unmapped", segment.size, segment.iova);
    };
    if (result < 0) return fail_errno(ErrorCode::io_error, what(), -result);
    if (request.length != segment.size) {
      return fail(ErrorCode::io_error, fmt::format("{}: the IOMMU unmapped {} bytes", what(), request.length));
    }
    pinned_ -= segment.size;
    return {};
  }

 private:
  Host host_;
  Descriptor descriptor_;
  std::uint32_t ioas_;
  std::vector<IovaRange> ranges_;
  std::uint64_t pinned_ = 0;
};

Result<Descriptor> open_node(const Host& host, const pci::DeviceInfo& device) {
  const std::string address = device.address.to_string();
  const auto node = device_node(host, device);
  if (!node) {
    return fail(ErrorCode::not_supported,
                fmt::format("{} has no device file of its own: this kernel's VFIO does not create one (Linux 6.6 does, "
                            "with CONFIG_VFIO_DEVICE_CDEV)",
                            address),
                fmt::format("open it through its group: vfio:{}?via=group", address));
  }
  const int opened = host.kernel->open(*node, O_RDWR);
  if (opened < 0) {
    return explain_node(*node, address, "/dev/iommu", -opened, bind_for_this_user(address));
  }
  return Descriptor(host.kernel, opened);
}

/// Shares one IOMMUFD between the devices of a Context and counts them.
/// Thread rule: any thread. Lock order: its own lock first, then the Context's.
class IommufdRegistry {
 public:
  struct Share {
    std::shared_ptr<Iommufd> iommufd;
    std::shared_ptr<DmaDomain> narrowed;  // set if the device reduced the usable IOVA ranges
    Descriptor device;
  };

  /// Opens the device, and the IOMMUFD if it is not open yet. A failed call changes nothing.
  Result<Share> acquire(ContextState& context, const Host& host, const pci::DeviceInfo& device) {
    const std::lock_guard lock(mutex_);
    auto opened = open_node(host, device);
    if (!opened) return pass_on(std::move(opened));
    std::shared_ptr<Iommufd> iommufd = iommufd_;
    if (iommufd == nullptr) {
      auto first = Iommufd::open(host);
      if (!first) return pass_on(std::move(first));
      iommufd = *std::move(first);
    }
    // Declared after the IOMMUFD, so that an error closes the descriptor first.
    Share share{iommufd, nullptr, *std::move(opened)};
    if (auto joined = iommufd->attach_device(share.device, device); !joined) return pass_on(std::move(joined));
    auto ranges = iommufd->read_usable_iova();
    if (!ranges) return pass_on(std::move(ranges));
    if (iommufd_ == nullptr) {
      iommufd->set_usable_iova(*std::move(ranges));
      if (auto attached = context.attach(iommufd); !attached) return pass_on(std::move(attached));
    } else if (!same_ranges(*ranges, iommufd->usable_iova())) {
      share.narrowed = std::make_shared<NarrowedIovaRanges>(*std::move(ranges));
      if (auto attached = context.attach(share.narrowed); !attached) return pass_on(std::move(attached));
    }
    iommufd_ = std::move(iommufd);
    ++devices_;
    return share;
  }
  /// The same with the descriptors of another program, all of whose devices share one IOMMUFD.
  Result<Share> take(ContextState& context, const Host& host, DeviceRecord& record) {
    const std::lock_guard lock(mutex_);
    if (iommufd_ != nullptr && !is_taken_) {
      return fail(ErrorCode::not_supported,
                  fmt::format("{} cannot be taken over: this Context has an IOMMUFD", record.name),
                  "open the ports that are taken over first, or in a Context of their own");
    }
    auto opened = take_file(host, record, kDeviceFile);
    if (!opened) return pass_on(std::move(opened));
    auto space = take_file(host, record, kSpaceFile);
    if (!space) return pass_on(std::move(space));
    std::shared_ptr<Iommufd> iommufd = iommufd_;
    if (iommufd == nullptr) {
      iommufd = std::make_shared<Iommufd>(host, *std::move(space), record.space);
      auto ranges = iommufd->read_usable_iova();
      if (!ranges) return pass_on(std::move(ranges));
      iommufd->set_usable_iova(without(*std::move(ranges), record.used));
      if (!record.ended) {
        if (auto attached = context.attach(iommufd); !attached) return pass_on(std::move(attached));
      }
      is_taken_ = true;
    }
    iommufd_ = std::move(iommufd);
    ++devices_;
    return Share{iommufd_, nullptr, *std::move(opened)};
  }
  /// See DeviceHandover.
  [[nodiscard]] Result<void> exchange_memory(ContextState& context) {
    const std::lock_guard lock(mutex_);
    auto unmapped = iommufd_->unmap_all();
    return unmapped ? context.attach(iommufd_) : unmapped;
  }
  /// Call once for each `acquire` and `take`, after the device's descriptor was closed.
  void release(ContextState& context, const std::shared_ptr<DmaDomain>& narrowed) {
    const std::lock_guard lock(mutex_);
    if (narrowed != nullptr) context.detach(*narrowed);
    if (--devices_ != 0) return;
    context.detach(*iommufd_);
    iommufd_.reset();
    is_taken_ = false;
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<Iommufd> iommufd_;
  bool is_taken_ = false;  // it was opened by another program
  std::size_t devices_ = 0;
};

class IommufdAccess final : public DeviceAccess {
 public:
  IommufdAccess(std::shared_ptr<ContextState> context, std::shared_ptr<IommufdRegistry> registry,
                std::shared_ptr<Iommufd> iommufd, std::shared_ptr<DmaDomain> narrowed)
      : context_(std::move(context)),
        registry_(std::move(registry)),
        iommufd_(std::move(iommufd)),
        narrowed_(std::move(narrowed)) {}
  ~IommufdAccess() override {
    iommufd_.reset();
    registry_->release(*context_, narrowed_);
  }
  DmaDomain& dma_domain() override { return *iommufd_; }
  Result<void> exchange_memory() override { return registry_->exchange_memory(*context_); }
  void describe(DeviceHandover::Offer& offer) const override {
    offer.access = kIommufdAccess;
    offer.space = iommufd_->space();
    offer.descriptors.emplace_back(kSpaceFile, iommufd_->descriptor());
  }

 private:
  std::shared_ptr<ContextState> context_;
  std::shared_ptr<IommufdRegistry> registry_;
  std::shared_ptr<Iommufd> iommufd_;
  std::shared_ptr<DmaDomain> narrowed_;
};

}  // namespace

std::optional<std::filesystem::path> device_node(const Host& host, const pci::DeviceInfo& device) {
  const auto directory = pci::sysfs::device(host.paths, device.address) / "vfio-dev";
  for (const std::string& name : pci::sysfs::entries(directory)) {
    // Linux 6.1 already has this directory. The `dev` attribute exists only where the device has its own file.
    if (pci::sysfs::exists(directory / name / "dev")) return host.paths.dev / "vfio/devices" / name;
  }
  return std::nullopt;
}

namespace {

/// The registry of a Context's devices, or one for a device alone.
std::shared_ptr<IommufdRegistry> registry_of(Context& context, bool alone) {
  if (alone) return std::make_shared<IommufdRegistry>();
  return {context.state(), &context.service<IommufdRegistry>()};
}

Result<OpenedDevice> as_opened(Context& context, const std::shared_ptr<IommufdRegistry>& registry,
                               Result<IommufdRegistry::Share> share) {
  if (!share) return pass_on(std::move(share));
  auto access =
      std::make_unique<IommufdAccess>(context.state(), registry, std::move(share->iommufd), std::move(share->narrowed));
  return OpenedDevice{std::move(access), std::move(share->device)};
}

}  // namespace

Result<OpenedDevice> open_through_iommufd(Context& context, const Host& host, const pci::DeviceInfo& device,
                                          bool alone) {
  const auto registry = registry_of(context, alone);
  return as_opened(context, registry, registry->acquire(*context.state(), host, device));
}

Result<OpenedDevice> take_iommufd(Context& context, const Host& host, const pci::DeviceInfo& /*device*/,
                                  DeviceRecord& record) {
  const auto registry = registry_of(context, record.ended);
  return as_opened(context, registry, registry->take(*context.state(), host, record));
}

}  // namespace pollux::vfio
