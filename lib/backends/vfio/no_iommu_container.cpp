// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/no_iommu_container.hpp"

#include <linux/vfio.h>

#include <cerrno>

#include "backends/vfio/container.hpp"

namespace pollux::vfio {

Result<std::shared_ptr<GroupContainer>> NoIommuContainer::open(const Host& host) {
  auto pagemap = Pagemap::open(host);
  if (!pagemap) return pass_on(std::move(pagemap));
  auto descriptor = open_container_file(host);
  if (!descriptor) return pass_on(std::move(descriptor));
  if (host.kernel->ioctl_with_number(descriptor->get(), VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU) <= 0) {
    return fail(ErrorCode::not_supported, "no-IOMMU mode is not enabled in the kernel's VFIO",
                "echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode; where that file is missing, use a "
                "kernel with CONFIG_VFIO_NOIOMMU");
  }
  return std::make_shared<NoIommuContainer>(*std::move(descriptor), *std::move(pagemap));
}

Result<void> NoIommuContainer::set_iommu() {
  const int result = descriptor_.kernel().ioctl_with_number(descriptor_.get(), VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
  if (result == -EPERM) {
    return fail_errno(ErrorCode::permission_denied, "VFIO's no-IOMMU mode is refused: it requires CAP_SYS_RAWIO", EPERM,
                      "run as root");
  }
  if (result < 0) return fail_errno(ErrorCode::io_error, "VFIO cannot set up its no-IOMMU mode", -result, "see dmesg");
  return {};
}

}  // namespace pollux::vfio
