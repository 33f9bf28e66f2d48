// SPDX-License-Identifier: BSD-3-Clause
#include <linux/pci_regs.h>

#include <algorithm>
#include <cerrno>

#include "device/power_state.hpp"
#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

struct Reopened : Fixture {
  Reopened() { reopen(); }
  void reopen() {
    device.reset();
    auto opened = open();
    EXPECT_TRUE(opened) << opened.error().message();
    if (opened) device = std::move(*opened);
  }
  [[nodiscard]] unsigned command() const { return card().get16(PCI_COMMAND); }
  std::unique_ptr<Device> device;
};

TEST(VfioDevice, StartsWithBusMasteringOffAndMemoryDecodingOn) {
  Reopened fixture;
  fixture.device.reset();
  fixture.card().set16(PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_SERR);
  fixture.reopen();
  EXPECT_EQ(fixture.command(), unsigned{PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_SERR});
}

TEST(VfioDevice, SwitchesBusMastering) {
  Reopened fixture;
  ASSERT_TRUE(fixture.device->set_bus_master(true));
  EXPECT_NE(fixture.command() & PCI_COMMAND_MASTER, 0u);
  ASSERT_TRUE(fixture.device->set_bus_master(false));
  EXPECT_EQ(fixture.command() & PCI_COMMAND_MASTER, 0u);
  ASSERT_TRUE(fixture.device->set_bus_master(true));
  fixture.device.reset();
  EXPECT_EQ(fixture.command() & PCI_COMMAND_MASTER, 0u);
  fixture.expect_clean();
}

TEST(VfioDevice, ReportsABusMasterBitThatCannotBeCleared) {
  Reopened fixture;
  ASSERT_TRUE(fixture.device->set_bus_master(true));
  fixture.card().stuck_command_bits = PCI_COMMAND_MASTER;
  const auto set = fixture.device->set_bus_master(false);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::device_fault);
  fixture.card().stuck_command_bits = 0;
}

TEST(VfioDevice, ReadsAndWritesConfigurationSpace) {
  Reopened fixture;
  EXPECT_EQ(fixture.device->read_config(PCI_VENDOR_ID, 4).value(), 0x10c9'8086u);
  EXPECT_EQ(fixture.device->read_config(PCI_REVISION_ID, 1).value(), 1u);
  ASSERT_TRUE(fixture.device->write_config(PCI_CACHE_LINE_SIZE, 1, 0x10));
  EXPECT_EQ(fixture.card().config[PCI_CACHE_LINE_SIZE], 0x10);
}

TEST(VfioDevice, RejectsInvalidConfigurationAccesses) {
  Reopened fixture;
  for (const auto& [offset, width] :
       {std::pair{0u, 3u}, {0u, 0u}, {0u, 8u}, {2u, 4u}, {1u, 2u}, {4096u, 1u}, {0xffff'fffcu, 4u}}) {
    const auto read = fixture.device->read_config(offset, width);
    ASSERT_FALSE(read) << offset << ", " << width;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(fixture.device->write_config(offset, width, 0));
  }
  fixture.kernel->fail("pread", ENODEV);
  EXPECT_EQ(fixture.device->read_config(0, 4).error().code, ErrorCode::device_removed);
  fixture.kernel->fail("pwrite", EPERM);
  EXPECT_EQ(fixture.device->write_config(4, 2, 0).error().code, ErrorCode::io_error);
}

TEST(VfioDevice, BringsASleepingFunctionToPowerStateD0) {
  Fixture fixture;
  fixture.card().reads_asleep = 50;
  ASSERT_TRUE(fixture.open());
  EXPECT_GT(fixture.clock->now().count(), 0);
  fixture.card().reads_asleep = 1'000'000;
  const Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.what, HasSubstr("power state D0"));
  fixture.expect_clean();
}

TEST(VfioDevice, LetsTheCardReportErrorsIfTheyCanBeSignalled) {
  constexpr std::uint32_t kDeviceControl = 0xA0 + PCI_EXP_DEVCTL;
  constexpr std::uint32_t kReports =
      PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE;
  Fixture fixture;
  ASSERT_TRUE(fixture.open());
  EXPECT_EQ(fixture.card().get16(kDeviceControl), kReports | PCI_EXP_DEVCTL_RELAX_EN);
  Fixture without;
  without.card().irqs.erase(VFIO_PCI_ERR_IRQ_INDEX);
  ASSERT_TRUE(without.open());
  EXPECT_EQ(without.card().get16(kDeviceControl), std::uint32_t{PCI_EXP_DEVCTL_RELAX_EN});
}

TEST(VfioDevice, EntersAndLeavesPowerStateD3hot) {
  constexpr std::uint32_t kControl = 0x40 + PCI_PM_CTRL;
  Fixture fixture;
  auto device = fixture.open();
  ASSERT_TRUE(device);
  Clock& clock = *fixture.clock;
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(enter_d3hot(**device, clock, true));
    EXPECT_EQ((*device)->read_config(kControl, 2).value(), 3U) << "VFIO hides PME from its users";
    ASSERT_TRUE(enter_d0(**device, clock));
    EXPECT_EQ((*device)->read_config(kControl, 2).value(), 0U);
  }
  fixture.card().stays_in_d0 = true;
  EXPECT_EQ(enter_d3hot(**device, clock, false).error().code, ErrorCode::device_fault);
  EXPECT_TRUE(enter_d0(**device, clock));
  fixture.card().silent = true;
  EXPECT_EQ(enter_d0(**device, clock).error().code, ErrorCode::device_removed);
  fixture.card().silent = false;
  fixture.kernel->fail("pwrite", EPERM);
  EXPECT_EQ(enter_d3hot(**device, clock, false).error().code, ErrorCode::io_error);
}

TEST(VfioDevice, EndsACapabilityListThatLoops) {
  Fixture fixture;
  fixture.card().config[0x40] = PCI_CAP_ID_VPD;
  fixture.card().config[0x41] = 0x40;
  EXPECT_TRUE(fixture.open());
}

TEST(VfioDevice, RejectsAnUnresponsiveDevice) {
  Fixture fixture;
  fixture.card().silent = true;
  EXPECT_EQ(fixture.open_error().code, ErrorCode::device_removed);
  fixture.expect_clean();
}

TEST(VfioDevice, RejectsADeviceThatIsNotPci) {
  Fixture fixture;
  fixture.card().flags = VFIO_DEVICE_FLAGS_PLATFORM;
  EXPECT_EQ(fixture.open_error().code, ErrorCode::not_supported);
  fixture.card().flags = VFIO_DEVICE_FLAGS_PCI;
  fixture.card().region_count = VFIO_PCI_CONFIG_REGION_INDEX;
  EXPECT_EQ(fixture.open_error().code, ErrorCode::not_supported);
  fixture.expect_clean();
}

TEST(VfioDevice, ResetsIfTheKernelSupportsIt) {
  Reopened fixture;
  ASSERT_TRUE(fixture.device->set_bus_master(true));
  fixture.card().set16(PCI_COMMAND, 0);
  ASSERT_TRUE(fixture.device->reset());
  EXPECT_EQ(fixture.kernel->count("DEVICE_RESET"), 1u);
  EXPECT_NE(fixture.command() & PCI_COMMAND_MASTER, 0u);
  EXPECT_NE(fixture.command() & PCI_COMMAND_INTX_DISABLE, 0u);

  fixture.device.reset();
  fixture.card().flags = VFIO_DEVICE_FLAGS_PCI;
  fixture.reopen();
  const auto reset = fixture.device->reset();
  ASSERT_FALSE(reset);
  EXPECT_EQ(reset.error().code, ErrorCode::not_supported);
  EXPECT_EQ(fixture.kernel->count("DEVICE_RESET"), 1u);
}

TEST(VfioDevice, ReportsAResetThatFails) {
  Reopened fixture;
  fixture.kernel->fail("DEVICE_RESET", EAGAIN);
  EXPECT_EQ(fixture.device->reset().error().code, ErrorCode::io_error);
  fixture.kernel->fail("DEVICE_RESET", ENODEV);
  EXPECT_EQ(fixture.device->reset().error().code, ErrorCode::device_removed);
}

TEST(VfioDevice, IsRemovedAfterTheHostRequestsItBack) {
  Reopened fixture;
  EXPECT_FALSE(fixture.device->removed());
  ASSERT_GE(fixture.device->removal_event(), 0);
  EXPECT_NE(fixture.device->removal_event(), fixture.device->error_event());
  fixture.kernel->signalled.insert(fixture.device->removal_event());
  EXPECT_TRUE(fixture.device->removed());
}

TEST(VfioDevice, IsRemovedWhenItReadsAllOnes) {
  Reopened fixture;
  ASSERT_TRUE(fixture.device->set_bus_master(true));
  fixture.card().silent = true;
  EXPECT_TRUE(fixture.device->removed());
  EXPECT_EQ(fixture.device->set_bus_master(false).error().code, ErrorCode::device_removed);
  fixture.card().silent = false;
  EXPECT_TRUE(fixture.device->removed());
}

TEST(VfioDevice, IsRemovedWhenItsDescriptorFails) {
  Reopened fixture;
  fixture.kernel->fail("pread", ENODEV);
  EXPECT_TRUE(fixture.device->removed());
}

TEST(VfioDevice, WorksWithoutErrorAndRemovalEvents) {
  Fixture fixture;
  fixture.card().irqs.erase(VFIO_PCI_ERR_IRQ_INDEX);
  fixture.card().irqs[VFIO_PCI_REQ_IRQ_INDEX].count = 0;
  auto device = fixture.open();
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->error_event(), -1);
  EXPECT_EQ((*device)->removal_event(), -1);
  EXPECT_FALSE((*device)->removed());
}

TEST(VfioDevice, EnablesAllVectorsInOneCall) {
  Reopened fixture;
  ASSERT_EQ(fixture.device->interrupt_vectors(), 10u);
  const std::size_t before = fixture.kernel->count("arm irqs");
  const auto events = fixture.device->enable_interrupts(10);
  ASSERT_TRUE(events);
  EXPECT_EQ(events->size(), 10u);
  EXPECT_EQ(fixture.kernel->count("arm irqs"), before + 1);
  EXPECT_EQ(fixture.kernel->sizes("DEVICE_SET_IRQS").back(), sizeof(vfio_irq_set) + 10 * sizeof(int));
  const auto& armed = fixture.kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX);
  EXPECT_TRUE(std::equal(armed.begin(), armed.end(), events->begin(), events->end()));

  ASSERT_TRUE(fixture.device->enable_interrupts(4));
  EXPECT_EQ(fixture.kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX).size(), 4u);
  ASSERT_TRUE(fixture.device->enable_interrupts(0));
  EXPECT_TRUE(fixture.kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX).empty());
  ASSERT_TRUE(fixture.device->enable_interrupts(10));
  fixture.device.reset();
  fixture.expect_clean();
}

TEST(VfioDevice, RejectsMoreVectorsThanAvailable) {
  Reopened fixture;
  const auto events = fixture.device->enable_interrupts(11);
  ASSERT_FALSE(events);
  EXPECT_EQ(events.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(events.error().what, HasSubstr("11"));
  EXPECT_THAT(events.error().what, HasSubstr("10"));
}

TEST(VfioDevice, ClosesAllEventsWhenVectorsCannotBeEnabled) {
  Reopened fixture;
  const std::size_t before = fixture.kernel->open_descriptors();
  fixture.kernel->fail("eventfd", EMFILE, 5);
  const auto short_of_files = fixture.device->enable_interrupts(10);
  ASSERT_FALSE(short_of_files);
  EXPECT_THAT(short_of_files.error().hint, HasSubstr("ulimit -n"));
  EXPECT_EQ(fixture.kernel->open_descriptors(), before);
  fixture.kernel->fail("arm irqs", EINVAL);
  EXPECT_FALSE(fixture.device->enable_interrupts(10));
  EXPECT_EQ(fixture.kernel->open_descriptors(), before);
  fixture.kernel->vectors_granted = 3;
  const auto too_few = fixture.device->enable_interrupts(10);
  ASSERT_FALSE(too_few);
  EXPECT_THAT(too_few.error().what, HasSubstr("provides 3 interrupt vectors"));
  EXPECT_EQ(fixture.kernel->open_descriptors(), before);
}

TEST(VfioDevice, RejectsAnImpossibleVectorCount) {
  Fixture fixture;
  fixture.card().irqs[VFIO_PCI_MSIX_IRQ_INDEX].count = 0xffff'ffff;
  EXPECT_EQ(fixture.open_error().code, ErrorCode::device_fault);
  fixture.expect_clean();
}

}  // namespace
}  // namespace pollux::vfio::test
