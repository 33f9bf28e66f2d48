// SPDX-License-Identifier: BSD-3-Clause

#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <poll.h>

#include <chrono>
#include <map>
#include <memory>

#include "backends/sim/device.hpp"
#include "backends/sim/open_sim.hpp"
#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/card.hpp"

namespace pollux::sim {
namespace {

namespace hw = pollux::hw::igb;

class SimConfigSpace : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_sim(context, "0", models::igb::make_card);
    ASSERT_TRUE(opened) << opened.error().message();
    device = *std::move(opened);
    std::uint32_t at = read(PCI_CAPABILITY_LIST, 1);
    while (at != 0 && capabilities.size() < 10) {
      capabilities[read(at, 1)] = at;
      at = read(at + 1, 1);
    }
  }
  [[nodiscard]] std::uint32_t read(std::uint32_t offset, unsigned width) { return *device->read_config(offset, width); }
  void write(std::uint32_t offset, unsigned width, std::uint32_t value) {
    ASSERT_TRUE(device->write_config(offset, width, value));
  }
  [[nodiscard]] hw::Registers registers() { return hw::Registers(*device->bar(0)); }
  [[nodiscard]] bool dma_active() {
    return dynamic_cast<SimDevice&>(*device).wire().with_card(
        0, [](DeviceModel& card) { return static_cast<models::igb::Card&>(card).dma().active(); });
  }
  void raise_link_change() {
    registers().write<hw::IMS>(hw::IMS::LSC);
    registers().write<hw::ICS>(hw::ICS::LSC);
  }
  [[nodiscard]] static bool is_signalled(int descriptor) {
    pollfd wait{descriptor, POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  std::unique_ptr<Device> device;
  std::map<std::uint32_t, std::uint32_t> capabilities;
};

TEST_F(SimConfigSpace, HasTheCapabilitiesOfAnExpressCard) {
  const std::map<std::uint32_t, std::uint32_t> expected{
      {PCI_CAP_ID_PM, 0x40}, {PCI_CAP_ID_MSI, 0x50}, {PCI_CAP_ID_MSIX, 0x70}, {PCI_CAP_ID_EXP, 0xA0}};
  EXPECT_EQ(capabilities, expected);
  EXPECT_EQ(read(PCI_INTERRUPT_PIN, 1), 1u);
  EXPECT_EQ(read(0x50 + PCI_MSI_FLAGS, 2), std::uint32_t{PCI_MSI_FLAGS_64BIT}) << "one message, 64-bit address";
  const std::uint32_t can = read(0xA0 + PCI_EXP_DEVCAP, 4);
  EXPECT_NE(can & PCI_EXP_DEVCAP_RBER, 0u);
  EXPECT_NE(can & PCI_EXP_DEVCAP_FLR, 0u);
  const std::uint32_t link = read(0xA0 + PCI_EXP_LNKSTA, 2);
  EXPECT_EQ(link & PCI_EXP_LNKSTA_CLS, std::uint32_t{PCI_EXP_LNKSTA_CLS_2_5GB});
  EXPECT_EQ(link & PCI_EXP_LNKSTA_NLW, std::uint32_t{PCI_EXP_LNKSTA_NLW_X4});
  EXPECT_EQ(read(0xA0 + PCI_EXP_LNKCAP, 4) & (PCI_EXP_LNKCAP_SLS | PCI_EXP_LNKCAP_MLW), 0x41u);
}

/// The place of an extended capability; 0 if there is none.
std::uint32_t find_extended(Device& device, std::uint32_t id) {
  std::uint32_t at = PCI_CFG_SPACE_SIZE;
  while (at != 0) {
    const std::uint32_t header = *device.read_config(at, 4);
    if (PCI_EXT_CAP_ID(header) == id) return at;
    at = PCI_EXT_CAP_NEXT(header);
  }
  return 0;
}

TEST_F(SimConfigSpace, HasTheCapabilityOfVirtualFunctions) {
  const std::uint32_t at = find_extended(*device, PCI_EXT_CAP_ID_SRIOV);
  ASSERT_NE(at, 0u);
  EXPECT_EQ(find_extended(*device, PCI_EXT_CAP_ID_ERR), std::uint32_t{PCI_CFG_SPACE_SIZE});
  EXPECT_EQ(read(at + PCI_SRIOV_TOTAL_VF, 2), 8u);
  EXPECT_EQ(read(at + PCI_SRIOV_INITIAL_VF, 2), 8u);
  EXPECT_EQ(read(at + PCI_SRIOV_VF_OFFSET, 2), 0x80u);
  EXPECT_EQ(read(at + PCI_SRIOV_VF_STRIDE, 2), 2u);
  EXPECT_EQ(read(at + PCI_SRIOV_VF_DID, 2), 0x10CAu);
  write(at + PCI_SRIOV_BAR, 4, ~0u);
  EXPECT_EQ(read(at + PCI_SRIOV_BAR, 4), 0xFFFFC00Cu) << "16 KiB, 64-bit, prefetchable";
  write(at + PCI_SRIOV_BAR + 12, 4, ~0u);
  EXPECT_EQ(read(at + PCI_SRIOV_BAR + 12, 4), 0xFFFFC00Cu);
}

TEST_F(SimConfigSpace, EnablesVirtualFunctions) {
  const std::uint32_t at = find_extended(*device, PCI_EXT_CAP_ID_SRIOV);
  auto function = open_sim(context, "0.vf1", models::igb::make_card);
  ASSERT_TRUE(function) << function.error().message();
  EXPECT_EQ((*function)->identity().device, 0x10CAu);
  EXPECT_EQ((*function)->bar(0)->read32(8), ~0u);
  write(at + PCI_SRIOV_NUM_VF, 2, 2);
  write(at + PCI_SRIOV_CTRL, 2, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
  EXPECT_NE((*function)->bar(0)->read32(8), ~0u);
  EXPECT_EQ(registers().read<hw::STATUS>().get(hw::STATUS::NUM_VFS), 2u);
  const auto busy = open_sim(context, "0.vf1", models::igb::make_card);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::busy);
  ASSERT_TRUE(device->reset());
  EXPECT_EQ((*function)->bar(0)->read32(8), ~0u) << "a function level reset disables them";
  EXPECT_EQ(read(at + PCI_SRIOV_CTRL, 2), 0u);
  EXPECT_EQ(read(at + PCI_SRIOV_NUM_VF, 2), 0u);
}

TEST_F(SimConfigSpace, GivesAVirtualFunctionMsixAndExpressOnly) {
  auto function = open_sim(context, "0.vf0", models::igb::make_card);
  ASSERT_TRUE(function) << function.error().message();
  Device& own = **function;
  EXPECT_EQ(*own.read_config(PCI_DEVICE_ID, 2), 0x10CAu);
  EXPECT_EQ(*own.read_config(PCI_INTERRUPT_PIN, 1), 0u);
  const std::uint32_t first = *own.read_config(PCI_CAPABILITY_LIST, 1);
  EXPECT_EQ(*own.read_config(first, 1), std::uint32_t{PCI_CAP_ID_MSIX});
  EXPECT_EQ(*own.read_config(first + PCI_MSIX_FLAGS, 2), 2u) << "three vectors";
  const std::uint32_t second = *own.read_config(first + 1, 1);
  EXPECT_EQ(*own.read_config(second, 1), std::uint32_t{PCI_CAP_ID_EXP});
  EXPECT_EQ(*own.read_config(second + 1, 1), 0u);
  EXPECT_EQ(find_extended(own, PCI_EXT_CAP_ID_SRIOV), 0u);
}

TEST(SimFunction, NeedsItsCard) {
  Context context{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  const auto opened = open_sim(context, "4.vf0", models::igb::make_card);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
}

TEST_F(SimConfigSpace, ReportsTheInterruptPin) {
  EXPECT_EQ(read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0u);
  raise_link_change();
  EXPECT_NE(read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0u);
  EXPECT_NE(read(PCI_COMMAND, 4) >> 16 & PCI_STATUS_INTERRUPT, 0u);
  write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
  EXPECT_NE(read(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE, 0u);
  EXPECT_NE(read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0u) << "the status does not depend on the disable bit";
  static_cast<void>(registers().read_and_clear<hw::ICR>());
  EXPECT_EQ(read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0u);
}

TEST_F(SimConfigSpace, EnablesMsi) {
  write(0x50 + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
  const auto events = device->enable_interrupts(1);
  ASSERT_TRUE(events);
  write(0x70 + PCI_MSIX_FLAGS, 2, 0);
  raise_link_change();
  EXPECT_TRUE(is_signalled((*events)[0]));
}

TEST_F(SimConfigSpace, SendsNoMessageThroughThePin) {
  const auto events = device->enable_interrupts(1);
  ASSERT_TRUE(events);
  EXPECT_NE(read(0x70 + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE, 0u);
  write(0x70 + PCI_MSIX_FLAGS, 2, 0);
  raise_link_change();
  EXPECT_FALSE(is_signalled((*events)[0]));
  EXPECT_NE(read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0u);
}

TEST_F(SimConfigSpace, SleepsWithoutDmaAndWakesReset) {
  ASSERT_TRUE(device->set_bus_master(true));
  registers().write<hw::LEDCTL>(hw::LEDCTL::LED0_MODE(14));
  EXPECT_TRUE(dma_active());
  write(0x40 + PCI_PM_CTRL, 2, 3);
  EXPECT_EQ(read(0x40 + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK, 3u);
  EXPECT_FALSE(dma_active());
  write(0x40 + PCI_PM_CTRL, 2, 0);
  EXPECT_EQ(registers().read<hw::LEDCTL>().raw(), 0u);
  EXPECT_EQ(read(PCI_COMMAND, 2) & PCI_COMMAND_MASTER, 0u);
}

TEST_F(SimConfigSpace, HasNoRegistersWhileItSleeps) {
  auto& card = dynamic_cast<SimDevice&>(*device);
  const auto status = registers().read<hw::STATUS>();
  write(0x40 + PCI_PM_CTRL, 2, 3);
  EXPECT_TRUE(registers().read<hw::STATUS>().all_ones());
  EXPECT_EQ(device->bar(0)->read16(hw::STATUS::offset()), 0xFFFFU);
  registers().write<hw::LEDCTL>(hw::LEDCTL::LED0_MODE(14));
  EXPECT_EQ(card.accesses_asleep(), 3U);
  ASSERT_TRUE(device->reset());
  EXPECT_EQ(read(0x40 + PCI_PM_CTRL, 2), 0U) << "a reset ends in D0";
  EXPECT_EQ(registers().read<hw::STATUS>(), status);
  EXPECT_EQ(registers().read<hw::LEDCTL>().raw(), 0U) << "the write was ignored";
  EXPECT_EQ(card.accesses_asleep(), 3U);
}

TEST_F(SimConfigSpace, KeepsItsInterruptsOverASleep) {
  const auto events = device->enable_interrupts(1);
  ASSERT_TRUE(events);
  write(0x40 + PCI_PM_CTRL, 2, 3);
  write(0x40 + PCI_PM_CTRL, 2, 0);
  EXPECT_NE(read(0x70 + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE, 0U);
  clock->advance(std::chrono::milliseconds(2));
  raise_link_change();
  EXPECT_TRUE(is_signalled((*events)[0]));
}

TEST_F(SimConfigSpace, AWakeUpEventSetsPmeStatusUntilOneIsWritten) {
  const auto requested = [this] { return (read(0x40 + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_STATUS) != 0; };
  EXPECT_FALSE(requested());
  dynamic_cast<SimDevice&>(*device).wire().with_card(0, [](DeviceModel& card) {
    static_cast<models::igb::Card&>(card).registers().change<hw::WUC>(0, hw::WUC::PME_STATUS);
  });
  EXPECT_TRUE(requested());
  write(0x40 + PCI_PM_CTRL, 2, PCI_PM_CTRL_PME_ENABLE);
  EXPECT_TRUE(requested()) << "0 was written";
  write(0x40 + PCI_PM_CTRL + 1, 1, PCI_PM_CTRL_PME_STATUS >> 8);
  EXPECT_FALSE(requested());
}

TEST_F(SimConfigSpace, IsResetByAFunctionLevelReset) {
  ASSERT_TRUE(device->set_bus_master(true));
  write(PCI_BASE_ADDRESS_0, 4, 0xFE000000);
  write(0x50 + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
  write(0xA0 + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
  EXPECT_EQ(read(PCI_COMMAND, 2) & PCI_COMMAND_MASTER, 0u);
  EXPECT_FALSE(dma_active());
  EXPECT_EQ(read(PCI_BASE_ADDRESS_0, 4), 0u);
  EXPECT_EQ(read(0x50 + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE, 0u);
}

}  // namespace
}  // namespace pollux::sim
