// SPDX-License-Identifier: BSD-3-Clause
// A device whose capabilities (VIRTIO 1.2, 4.1.4) cannot be true is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "device/capability_list.hpp"
#include "device/decorator.hpp"
#include "hw/virtio/pci.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/open.hpp"

namespace pollux::drivers::virtio::test {
namespace {

namespace cap = hw::virtio::cap;
using hw::virtio::CapabilityType;

/// A field that reads as something else in the capability of one type.
struct Lie {
  CapabilityType of;
  std::uint32_t field;
  std::uint32_t value;
  std::string said;
};
std::ostream& operator<<(std::ostream& out, const Lie& lie) { return out << lie.said; }

class LyingDevice final : public DeviceDecorator {
 public:
  LyingDevice(std::unique_ptr<Device> device, Lie lie) : DeviceDecorator(std::move(device)), lie_(std::move(lie)) {
    const auto read = [this](std::uint32_t at, unsigned width) { return inner().read_config(at, width); };
    const auto all = find_capabilities(PCI_CAP_ID_VNDR, read).value();
    for (const std::uint32_t at : all) {
      // The first of a type counts (4.1.4.1), so the others must not.
      if (at_ == 0 && read(at + cap::kType, 1) == static_cast<std::uint32_t>(lie_.of)) at_ = at + lie_.field;
    }
  }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    if (offset == at_) return lie_.value;
    return inner().read_config(offset, width);
  }

 private:
  Lie lie_;
  std::uint32_t at_ = 0;
};

class Capabilities : public testing::TestWithParam<Lie> {};
INSTANTIATE_TEST_SUITE_P(
    , Capabilities,
    testing::Values(Lie{CapabilityType::notify, cap::kLength, 16, "the capability of its doorbells has 16 bytes"},
                    Lie{CapabilityType::common, cap::kLength, 12, "the capability of its common configuration"},
                    Lie{CapabilityType::device, cap::kSize, 4, "its network configuration has 4 bytes"},
                    Lie{CapabilityType::common, cap::kOffset, 2, "its common configuration has"},
                    Lie{CapabilityType::notify, cap::kOffset, 0xFFFFFFFC, "its doorbells has"},
                    Lie{CapabilityType::device, cap::kType, 9, "a legacy virtio device"}));

TEST_P(Capabilities, ThatCannotBeTrueAreRefused) {
  Context context;
  auto device = open_device(context, "sim:0?card=virtio-net").value();
  const auto port = open(context, std::make_unique<LyingDevice>(std::move(device), GetParam()));
  ASSERT_FALSE(port);
  EXPECT_THAT(port.error().what, testing::HasSubstr(GetParam().said));
  EXPECT_FALSE(port.error().hint.empty());
}

}  // namespace
}  // namespace pollux::drivers::virtio::test
