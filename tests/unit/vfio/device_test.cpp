// SPDX-License-Identifier: BSD-3-Clause
#include <linux/pci_regs.h>

#include <algorithm>
#include <cerrno>

#include "lab.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

struct Reopened : Lab {
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

TEST(VfioDevice, StartsWithTheBusQuietAndMemoryDecoded) {
  Reopened lab;
  lab.device.reset();
  lab.card().set16(PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_SERR);
  lab.reopen();
  EXPECT_EQ(lab.command(), unsigned{PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_SERR});
}

TEST(VfioDevice, SwitchesBusMastering) {
  Reopened lab;
  ASSERT_TRUE(lab.device->set_bus_master(true));
  EXPECT_NE(lab.command() & PCI_COMMAND_MASTER, 0u);
  ASSERT_TRUE(lab.device->set_bus_master(false));
  EXPECT_EQ(lab.command() & PCI_COMMAND_MASTER, 0u);
  ASSERT_TRUE(lab.device->set_bus_master(true));
  lab.device.reset();
  EXPECT_EQ(lab.command() & PCI_COMMAND_MASTER, 0u);
  lab.expect_clean();
}

TEST(VfioDevice, ReportsABusMasterBitThatStays) {
  Reopened lab;
  ASSERT_TRUE(lab.device->set_bus_master(true));
  lab.card().stuck_command_bits = PCI_COMMAND_MASTER;
  const auto set = lab.device->set_bus_master(false);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::device_fault);
  lab.card().stuck_command_bits = 0;
}

TEST(VfioDevice, ReadsAndWritesConfigurationSpace) {
  Reopened lab;
  EXPECT_EQ(lab.device->read_config(PCI_VENDOR_ID, 4).value(), 0x10c9'8086u);
  EXPECT_EQ(lab.device->read_config(PCI_REVISION_ID, 1).value(), 1u);
  ASSERT_TRUE(lab.device->write_config(PCI_CACHE_LINE_SIZE, 1, 0x10));
  EXPECT_EQ(lab.card().config[PCI_CACHE_LINE_SIZE], 0x10);
}

TEST(VfioDevice, RefusesPlacesThatAreNoField) {
  Reopened lab;
  for (const auto& [offset, width] :
       {std::pair{0u, 3u}, {0u, 0u}, {0u, 8u}, {2u, 4u}, {1u, 2u}, {4096u, 1u}, {0xffff'fffcu, 4u}}) {
    const auto read = lab.device->read_config(offset, width);
    ASSERT_FALSE(read) << offset << ", " << width;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(lab.device->write_config(offset, width, 0));
  }
  lab.kernel->fail("pread", ENODEV);
  EXPECT_EQ(lab.device->read_config(0, 4).error().code, ErrorCode::device_removed);
  lab.kernel->fail("pwrite", EPERM);
  EXPECT_EQ(lab.device->write_config(4, 2, 0).error().code, ErrorCode::io_error);
}

TEST(VfioDevice, WakesAFunctionThatSleeps) {
  Lab lab;
  lab.card().reads_asleep = 50;
  ASSERT_TRUE(lab.open());
  EXPECT_GT(lab.clock->now().count(), 0);
  lab.card().reads_asleep = 1'000'000;
  const Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.what, HasSubstr("power state D0"));
  lab.expect_clean();
}

TEST(VfioDevice, EndsACapabilityListThatLoops) {
  Lab lab;
  lab.card().config[0x40] = PCI_CAP_ID_VPD;
  lab.card().config[0x41] = 0x40;
  EXPECT_TRUE(lab.open());
}

TEST(VfioDevice, RefusesADeviceThatDoesNotAnswer) {
  Lab lab;
  lab.card().silent = true;
  EXPECT_EQ(lab.refusal().code, ErrorCode::device_removed);
  lab.expect_clean();
}

TEST(VfioDevice, RefusesWhatIsNoPciDevice) {
  Lab lab;
  lab.card().flags = VFIO_DEVICE_FLAGS_PLATFORM;
  EXPECT_EQ(lab.refusal().code, ErrorCode::not_supported);
  lab.card().flags = VFIO_DEVICE_FLAGS_PCI;
  lab.card().region_count = VFIO_PCI_CONFIG_REGION_INDEX;
  EXPECT_EQ(lab.refusal().code, ErrorCode::not_supported);
  lab.expect_clean();
}

TEST(VfioDevice, ResetsWhereTheKernelCan) {
  Reopened lab;
  ASSERT_TRUE(lab.device->set_bus_master(true));
  lab.card().set16(PCI_COMMAND, 0);
  ASSERT_TRUE(lab.device->reset());
  EXPECT_EQ(lab.kernel->count("DEVICE_RESET"), 1u);
  EXPECT_NE(lab.command() & PCI_COMMAND_MASTER, 0u);
  EXPECT_NE(lab.command() & PCI_COMMAND_INTX_DISABLE, 0u);

  lab.device.reset();
  lab.card().flags = VFIO_DEVICE_FLAGS_PCI;
  lab.reopen();
  const auto reset = lab.device->reset();
  ASSERT_FALSE(reset);
  EXPECT_EQ(reset.error().code, ErrorCode::not_supported);
  EXPECT_EQ(lab.kernel->count("DEVICE_RESET"), 1u);
}

TEST(VfioDevice, ReportsAResetThatFails) {
  Reopened lab;
  lab.kernel->fail("DEVICE_RESET", EAGAIN);
  EXPECT_EQ(lab.device->reset().error().code, ErrorCode::io_error);
  lab.kernel->fail("DEVICE_RESET", ENODEV);
  EXPECT_EQ(lab.device->reset().error().code, ErrorCode::device_removed);
}

TEST(VfioDevice, KnowsThatItWasAskedBack) {
  Reopened lab;
  EXPECT_FALSE(lab.device->removed());
  ASSERT_GE(lab.device->removal_event(), 0);
  EXPECT_NE(lab.device->removal_event(), lab.device->error_event());
  lab.kernel->signalled.insert(lab.device->removal_event());
  EXPECT_TRUE(lab.device->removed());
}

TEST(VfioDevice, KnowsThatItIsGone) {
  Reopened lab;
  ASSERT_TRUE(lab.device->set_bus_master(true));
  lab.card().silent = true;
  EXPECT_TRUE(lab.device->removed());
  EXPECT_EQ(lab.device->set_bus_master(false).error().code, ErrorCode::device_removed);
  lab.card().silent = false;
  EXPECT_TRUE(lab.device->removed());
}

TEST(VfioDevice, KnowsThatItsDescriptorIsDead) {
  Reopened lab;
  lab.kernel->fail("pread", ENODEV);
  EXPECT_TRUE(lab.device->removed());
}

TEST(VfioDevice, DoesWithoutEventsThatAreNotOffered) {
  Lab lab;
  lab.card().irqs.erase(VFIO_PCI_ERR_IRQ_INDEX);
  lab.card().irqs[VFIO_PCI_REQ_IRQ_INDEX].count = 0;
  auto device = lab.open();
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->error_event(), -1);
  EXPECT_EQ((*device)->removal_event(), -1);
  EXPECT_FALSE((*device)->removed());
}

TEST(VfioDevice, EnablesAllVectorsInOneCall) {
  Reopened lab;
  ASSERT_EQ(lab.device->interrupt_vectors(), 10u);
  const std::size_t before = lab.kernel->count("arm irqs");
  const auto events = lab.device->enable_interrupts(10);
  ASSERT_TRUE(events);
  EXPECT_EQ(events->size(), 10u);
  EXPECT_EQ(lab.kernel->count("arm irqs"), before + 1);
  EXPECT_EQ(lab.kernel->sizes("DEVICE_SET_IRQS").back(), sizeof(vfio_irq_set) + 10 * sizeof(int));
  const auto& armed = lab.kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX);
  EXPECT_TRUE(std::equal(armed.begin(), armed.end(), events->begin(), events->end()));

  ASSERT_TRUE(lab.device->enable_interrupts(4));
  EXPECT_EQ(lab.kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX).size(), 4u);
  ASSERT_TRUE(lab.device->enable_interrupts(0));
  EXPECT_TRUE(lab.kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX).empty());
  ASSERT_TRUE(lab.device->enable_interrupts(10));
  lab.device.reset();
  lab.expect_clean();
}

TEST(VfioDevice, RefusesMoreVectorsThanThereAre) {
  Reopened lab;
  const auto events = lab.device->enable_interrupts(11);
  ASSERT_FALSE(events);
  EXPECT_EQ(events.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(events.error().what, HasSubstr("11"));
  EXPECT_THAT(events.error().what, HasSubstr("10"));
}

TEST(VfioDevice, LeavesNoEventBehindWhereVectorsCannotBeHad) {
  Reopened lab;
  const std::size_t before = lab.kernel->open_descriptors();
  lab.kernel->fail("eventfd", EMFILE, 5);
  const auto short_of_files = lab.device->enable_interrupts(10);
  ASSERT_FALSE(short_of_files);
  EXPECT_THAT(short_of_files.error().hint, HasSubstr("ulimit -n"));
  EXPECT_EQ(lab.kernel->open_descriptors(), before);
  lab.kernel->fail("arm irqs", EINVAL);
  EXPECT_FALSE(lab.device->enable_interrupts(10));
  EXPECT_EQ(lab.kernel->open_descriptors(), before);
  lab.kernel->vectors_granted = 3;
  const auto too_few = lab.device->enable_interrupts(10);
  ASSERT_FALSE(too_few);
  EXPECT_THAT(too_few.error().what, HasSubstr("gives 3 interrupt vectors"));
  EXPECT_EQ(lab.kernel->open_descriptors(), before);
}

TEST(VfioDevice, DoesNotBelieveInThousandsOfVectors) {
  Lab lab;
  lab.card().irqs[VFIO_PCI_MSIX_IRQ_INDEX].count = 0xffff'ffff;
  EXPECT_EQ(lab.refusal().code, ErrorCode::device_fault);
  lab.expect_clean();
}

}  // namespace
}  // namespace pollux::vfio::test
