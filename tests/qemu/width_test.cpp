// SPDX-License-Identifier: BSD-3-Clause
// Registers of 8, 16 and 32 bits on QEMU's devices: a virtio network device, whose common configuration has all three
// widths, and the igb, whose registers have 32 bits.
#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include <optional>

#include "backends/qtest/device.hpp"
#include "device/capability_list.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/device/register.hpp"
#include "qemu/fixture.hpp"

namespace pollux {
namespace {

/// "struct virtio_pci_common_cfg" of Virtual I/O Device 1.1, 4.1.4.3, as in Linux, include/uapi/linux/virtio_pci.h.
namespace common {
struct DEVICE_FEATURE_SELECT : Register<DEVICE_FEATURE_SELECT, VIRTIO_PCI_COMMON_DFSELECT, Access::rw> {};
struct DEVICE_FEATURE : Register<DEVICE_FEATURE, VIRTIO_PCI_COMMON_DF, Access::ro> {
  static constexpr Bit VERSION_1{0};  // of the upper 32 features
};
struct NUM_QUEUES : Register16<NUM_QUEUES, VIRTIO_PCI_COMMON_NUMQ, Access::ro> {};
struct DEVICE_STATUS : Register8<DEVICE_STATUS, VIRTIO_PCI_COMMON_STATUS, Access::rw> {
  static constexpr Bit ACKNOWLEDGE{0}, DRIVER{1};
};
struct QUEUE_SELECT : Register16<QUEUE_SELECT, VIRTIO_PCI_COMMON_Q_SELECT, Access::rw> {};
struct QUEUE_SIZE : Register16<QUEUE_SIZE, VIRTIO_PCI_COMMON_Q_SIZE, Access::rw> {};
using Registers = RegisterWindow<DEVICE_FEATURE_SELECT>;
}  // namespace common

/// The part of a register window that begins at offset `start`.
class Part final : public RemoteRegisters {
 public:
  Part(const Bar& bar, std::uint32_t start) : bar_(bar), start_(start) {}
  std::uint32_t read32(std::uint32_t offset) noexcept override { return bar_.read32(start_ + offset); }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override { bar_.write32(start_ + offset, value); }
  std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
    return bar_.read(start_ + offset, width);
  }
  void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    bar_.write(start_ + offset, width, value);
  }
  void flush() noexcept override { bar_.flush(); }

 private:
  Bar bar_;
  std::uint32_t start_;
};

/// Finds the common configuration ("struct virtio_pci_cap"), one of several vendor-specific capabilities.
std::optional<Part> common_configuration(Device& device) {
  const auto read = [&](std::uint32_t at, unsigned width) { return device.read_config(at, width); };
  const auto found = find_capabilities(PCI_CAP_ID_VNDR, read).value();
  EXPECT_GE(found.size(), 4U);
  for (const std::uint32_t at : found) {
    if (read(at + VIRTIO_PCI_CAP_CFG_TYPE, 1).value() != VIRTIO_PCI_CAP_COMMON_CFG) continue;
    const auto bar = device.bar(read(at + VIRTIO_PCI_CAP_BAR, 1).value());
    if (!bar) return std::nullopt;
    return std::optional<Part>(std::in_place, *bar, read(at + VIRTIO_PCI_CAP_OFFSET, 4).value());
  }
  return std::nullopt;
}

TEST(Width, VirtiosRegistersOfEveryWidthWork) {
  test::QemuFixture fixture;
  auto device = qtest::open_qtest(fixture.context, "0?card=virtio-net");
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->identity().vendor, 0x1AF4);
  auto part = common_configuration(**device);
  ASSERT_TRUE(part);
  const common::Registers regs(Bar(*part, sizeof(virtio_pci_common_cfg)));

  regs.write<common::DEVICE_STATUS>(common::DEVICE_STATUS::Value(0));
  regs.write<common::DEVICE_STATUS>(common::DEVICE_STATUS::ACKNOWLEDGE);
  regs.modify<common::DEVICE_STATUS>(common::DEVICE_STATUS::DRIVER);
  EXPECT_EQ(regs.read<common::DEVICE_STATUS>().raw(), 3u);
  regs.write<common::DEVICE_FEATURE_SELECT>(common::DEVICE_FEATURE_SELECT::Value(1));
  EXPECT_TRUE(regs.read<common::DEVICE_FEATURE>().has(common::DEVICE_FEATURE::VERSION_1));
  EXPECT_EQ(regs.read<common::NUM_QUEUES>().raw(), 3u) << "one receive, one transmit and one control queue";
  regs.write<common::QUEUE_SELECT>(common::QUEUE_SELECT::Value(1));
  EXPECT_EQ(regs.read<common::QUEUE_SELECT>().raw(), 1u);
  EXPECT_EQ(regs.read<common::QUEUE_SIZE>().raw(), 256u);
  EXPECT_EQ(regs.read<common::DEVICE_STATUS>().raw(), 3u) << "a write to QUEUE_SELECT must not change DEVICE_STATUS";
}

// [I-M-NARROW] describes this behaviour of QEMU.
TEST(Width, QemusIgbHasOnly32BitRegisters) {
  test::QemuFixture fixture;
  auto device = qtest::open_qtest(fixture.context, "0");
  ASSERT_TRUE(device) << device.error().message();
  const Bar bar = (*device)->bar(0).value();
  const std::uint32_t rlpml = hw::igb::RLPML::offset(0);
  bar.write32(rlpml, 0x3456);
  EXPECT_EQ(bar.read8(rlpml), 0x56);
  EXPECT_EQ(bar.read16(rlpml), 0x3456);
  EXPECT_EQ(bar.read8(rlpml + 1), 0x56) << "the low bits of the register, not byte 1";
  bar.write8(rlpml, 0x12);
  EXPECT_EQ(bar.read32(rlpml), 0x12u) << "the upper bits are cleared";
}

}  // namespace
}  // namespace pollux
