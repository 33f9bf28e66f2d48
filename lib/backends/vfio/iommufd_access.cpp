// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/iommufd_access.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <mutex>

#include "backends/vfio/iommufd.hpp"
#include "backends/vfio/narrowed_iova_ranges.hpp"
#include "mem/context_state.hpp"
#include "pci/sysfs.hpp"

namespace pollux::vfio {
namespace {

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
  Result<Share> acquire(ContextState& context, const Host& host, const pci::DeviceInfo& device);
  /// Call once for each `acquire`, after the device's descriptor was closed.
  void release(ContextState& context, const std::shared_ptr<DmaDomain>& narrowed);

 private:
  std::mutex mutex_;
  std::shared_ptr<Iommufd> iommufd_;
  std::size_t devices_ = 0;
};

class IommufdAccess final : public DeviceAccess {
 public:
  IommufdAccess(std::shared_ptr<ContextState> context, IommufdRegistry& registry, std::shared_ptr<Iommufd> iommufd,
                std::shared_ptr<DmaDomain> narrowed)
      : context_(std::move(context)),
        registry_(&registry),
        iommufd_(std::move(iommufd)),
        narrowed_(std::move(narrowed)) {}
  ~IommufdAccess() override {
    iommufd_.reset();
    registry_->release(*context_, narrowed_);
  }
  DmaDomain& dma_domain() override { return *iommufd_; }

 private:
  std::shared_ptr<ContextState> context_;  // keeps `registry_` alive
  IommufdRegistry* registry_;
  std::shared_ptr<Iommufd> iommufd_;
  std::shared_ptr<DmaDomain> narrowed_;
};

tl::unexpected<Error> explain_open(const std::string& path, const std::string& address, int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return fail_errno(ErrorCode::permission_denied,
                        fmt::format("{} cannot be opened: this user may not open {}", address, path), error,
                        fmt::format("pollux bind --user $USER {}, or run as root", address));
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail_errno(ErrorCode::not_found, fmt::format("{} cannot be opened: {} does not exist", address, path),
                        error,
                        fmt::format("in a container, pass {} and /dev/iommu into it; otherwise bind again: "
                                    "pollux unbind {} && pollux bind {}",
                                    path, address, address));
    default: return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened: {}", address, path), error);
  }
}

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
  if (opened < 0) return explain_open(*node, address, -opened);
  return Descriptor(host.kernel, opened);
}

Result<IommufdRegistry::Share> IommufdRegistry::acquire(ContextState& context, const Host& host,
                                                        const pci::DeviceInfo& device) {
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

void IommufdRegistry::release(ContextState& context, const std::shared_ptr<DmaDomain>& narrowed) {
  const std::lock_guard lock(mutex_);
  if (narrowed != nullptr) context.detach(*narrowed);
  if (--devices_ != 0) return;
  context.detach(*iommufd_);
  iommufd_.reset();
}

}  // namespace

std::optional<std::filesystem::path> device_node(const Host& host, const pci::DeviceInfo& device) {
  const auto directory = pci::sysfs::device(host.paths, device.address) / "vfio-dev";
  for (const std::string& name : pci::sysfs::entries(directory)) {
    // Linux 6.1 already has this directory. The `dev` attribute exists only where the device has its own file.
    if (pci::sysfs::exists(directory / name / "dev")) return host.paths.dev / "vfio/devices" / name;
  }
  return std::nullopt;
}

Result<OpenedDevice> open_through_iommufd(Context& context, const Host& host, const pci::DeviceInfo& device) {
  auto& registry = context.service<IommufdRegistry>();
  auto share = registry.acquire(*context.state(), host, device);
  if (!share) return pass_on(std::move(share));
  auto access =
      std::make_unique<IommufdAccess>(context.state(), registry, std::move(share->iommufd), std::move(share->narrowed));
  return OpenedDevice{std::move(access), std::move(share->device)};
}

}  // namespace pollux::vfio
