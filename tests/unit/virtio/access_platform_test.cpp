// SPDX-License-Identifier: BSD-3-Clause
// A device without ACCESS_PLATFORM takes physical addresses (VIRTIO 1.3, 6.1), which a device behind an IOMMU does not
// get.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "device/decorator.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/dma_domain.hpp"
#include "pollux/open.hpp"

namespace pollux::drivers::virtio::test {
namespace {

/// The domain of an in-process device, which says that it is an IOMMU.
class IommuDomain final : public DmaDomain {
 public:
  explicit IommuDomain(DmaDomain& inner) : inner_(inner) {}
  [[nodiscard]] std::string_view name() const override { return "test domain"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return inner_.usable_iova(); }
  [[nodiscard]] bool is_iommu() const override { return true; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override { return inner_.map(segment); }
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override { return inner_.unmap(segment); }

 private:
  DmaDomain& inner_;
};

class BehindIommu final : public DeviceDecorator {
 public:
  explicit BehindIommu(std::unique_ptr<Device> device) : DeviceDecorator(std::move(device)) {}
  [[nodiscard]] DmaDomain& dma_domain() override { return domain_; }

 private:
  IommuDomain domain_{inner().dma_domain()};
};

Result<Port> open_device_of(Context& context, const std::string& options, bool behind_iommu) {
  auto device = open_device(context, "sim:0?card=virtio-net" + options);
  if (!device) return tl::unexpected<Error>(device.error());
  if (behind_iommu) device = std::make_unique<BehindIommu>(*std::move(device));
  return open(context, *std::move(device));
}

TEST(AccessPlatform, IsNeededBehindAnIommuOnly) {
  for (const std::string options : {"", "+no-access-platform"}) {
    for (const bool behind_iommu : {false, true}) {
      Context context;
      const auto port = open_device_of(context, options, behind_iommu);
      ASSERT_EQ(port.has_value(), options.empty() || !behind_iommu) << options << behind_iommu;
      if (port) continue;
      EXPECT_EQ(port.error().code, ErrorCode::not_supported);
      EXPECT_THAT(port.error().what, testing::HasSubstr("bypasses the IOMMU"));
      EXPECT_THAT(port.error().hint, testing::HasSubstr("iommu_platform=on"));
    }
  }
}

}  // namespace
}  // namespace pollux::drivers::virtio::test
