// SPDX-License-Identifier: BSD-3-Clause
// A card goes on in another program: here a second Context with copies of the first one's descriptors.
#include <linux/pci_regs.h>

#include <utility>

#include "device/device_handover.hpp"
#include "fixture.hpp"
#include "mem/context_state.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

/// A program that runs, with memory and interrupts, and one that gets its card. The parameter is the access mode.
class VfioHandover : public testing::TestWithParam<std::string>, public Fixture {
 protected:
  void SetUp() override {
    if (GetParam() == "iommufd") {
      machine.write(machine.paths.dev / "iommu", "");
      machine.write(machine.device(*pci::Address::parse(kFirst)) / "vfio-dev/vfio0/dev", "");
      machine.write(machine.paths.dev / "vfio/devices/vfio0", "");
      card().file = "vfio0";
    } else if (GetParam() == "noiommu") {
      machine.write(machine.paths.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
      machine.write(machine.paths.dev / "vfio/noiommu-7", "");
      kernel->no_iommu = true;
      kernel->no_iommu_groups.insert(7);
      kernel->pagemap = [](std::uint64_t page) { return std::uint64_t{1} << 63U | (page & 0xffff) | 0x10'0000; };
    }
    auto opened = open(kFirst + "?via=" + GetParam());
    ASSERT_TRUE(opened) << opened.error().message();
    old = *std::move(opened);
    ASSERT_TRUE(old->set_bus_master(true));
    ASSERT_TRUE(old->enable_interrupts(2));
    if (!is_translated()) return;
    auto allocated = context.allocate({.size = 4096, .purpose = "test"});
    ASSERT_TRUE(allocated);
    memory = *std::move(allocated);
  }
  void TearDown() override {
    give_back();
    fresh.reset();
    old.reset();
    expect_clean();
  }
  [[nodiscard]] static bool is_translated() { return GetParam() != "noiommu"; }

  [[nodiscard]] DeviceRecord record() {
    const DeviceHandover::Offer offer = old->handover()->describe();
    DeviceRecord record{
        .name = old->name(), .access = offer.access, .space = offer.space, .used = context.state()->used_iova()};
    for (const auto& [name, descriptor] : offer.descriptors)
      record.files.emplace_back(name, FileDescriptor(kernel->pass(descriptor)));
    return record;
  }
  [[nodiscard]] Result<std::unique_ptr<Device>> take(DeviceRecord taken, const std::string& options = "") {
    successor.service<TakenDevices>().add(std::move(taken));
    return open_vfio(successor, kFirst + options, Host{kernel, machine.paths});
  }
  void take() {
    auto taken = take(record());
    ASSERT_TRUE(taken) << taken.error().message();
    fresh = *std::move(taken);
  }
  /// Closes what nobody has taken: these descriptors are the fake kernel's.
  void give_back() {
    auto& devices = successor.service<TakenDevices>();
    if (DeviceRecord* const left = devices.find("vfio:" + kFirst)) {
      for (auto& [name, file] : left->files) {
        if (file) kernel->close(file.release());
      }
    }
    devices.clear();
  }
  [[nodiscard]] bool masters() const { return (card().get16(PCI_COMMAND) & PCI_COMMAND_MASTER) != 0; }

  Context successor{small_context(clock)};
  std::unique_ptr<Device> old, fresh;
  DmaMemory memory;
};

TEST_P(VfioHandover, ItStaysOpenAndMastersTheBusFromOneToTheOther) {
  const std::size_t resets = kernel->count("DEVICE_RESET");
  const std::vector<int> before = kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX);
  take();
  EXPECT_TRUE(fresh->handover()->is_shared());
  EXPECT_EQ(fresh->name(), old->name());
  EXPECT_TRUE(masters());
  EXPECT_EQ(kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX), before);
  old->handover()->leave();
  old.reset();
  EXPECT_EQ(kernel->count("close device " + kFirst), 0u);
  EXPECT_TRUE(masters());
  ASSERT_TRUE(fresh->handover()->own());
  EXPECT_FALSE(fresh->handover()->is_shared());
  ASSERT_TRUE(fresh->enable_interrupts(2));
  EXPECT_NE(kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX), before);
  EXPECT_TRUE(masters());
  EXPECT_EQ(kernel->count("DEVICE_RESET"), resets);
  fresh.reset();
  EXPECT_FALSE(masters());
  EXPECT_EQ(kernel->count("close device " + kFirst), 1u);
}

TEST_P(VfioHandover, BothProgramsHaveMemoryForIt) {
  if (!is_translated()) GTEST_SKIP() << "nothing is mapped";
  take();
  const std::size_t before = kernel->dma_mappings();
  const auto own = successor.allocate({.size = 8192, .purpose = "test"});
  ASSERT_TRUE(own) << own.error().message();
  EXPECT_EQ(kernel->dma_mappings(), before + 1);
  old->handover()->leave();
  old.reset();
  EXPECT_EQ(kernel->dma_mappings(), before) << "the first program's memory stays mapped";
  EXPECT_TRUE(kernel->dma().contains(own->segments()[0].iova));
  ASSERT_TRUE(fresh->handover()->own());
}

TEST_P(VfioHandover, ASuccessorThatGivesUpChangesNothing) {
  const std::vector<int> before = kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX);
  const auto mapped = kernel->dma();
  take();
  fresh.reset();
  EXPECT_TRUE(masters());
  EXPECT_EQ(kernel->armed(kFirst, VFIO_PCI_MSIX_IRQ_INDEX), before);
  EXPECT_EQ(kernel->dma(), mapped);
  EXPECT_EQ(kernel->count("close device " + kFirst), 0u);
}

TEST_P(VfioHandover, AnotherAccessModeIsRefused) {
  const auto taken = take(record(), GetParam() == "group" ? "?via=iommufd" : "?via=group");
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(taken.error().what, HasSubstr("is open with ?via=" + GetParam()));
}

TEST_P(VfioHandover, ARecordWithoutADescriptorIsRefused) {
  for (const char* const name : {"device", "group", "space"}) {
    DeviceRecord taken = record();
    auto missing = taken.take(name);
    if (missing) kernel->close(missing->release());
    const auto opened = take(std::move(taken));
    EXPECT_EQ(opened.has_value(), !missing.has_value()) << name;
    if (!opened) {
      EXPECT_THAT(opened.error().what, HasSubstr("gives no descriptor '" + std::string(name)));
    }
    give_back();
  }
}

TEST_P(VfioHandover, MemoryThatWasThereBeforeCannotHaveTheSameAddresses) {
  if (!is_translated()) GTEST_SKIP() << "nothing is mapped";
  const auto early = successor.allocate({.size = 4096, .purpose = "test"});
  ASSERT_TRUE(early);
  ASSERT_EQ(early->segments()[0].iova, memory.segments()[0].iova);
  const auto taken = take(record());
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::not_supported);
  EXPECT_THAT(taken.error().hint, HasSubstr("before memory is allocated"));
}

INSTANTIATE_TEST_SUITE_P(AccessModes, VfioHandover, testing::Values("group", "iommufd", "noiommu"),
                         [](const auto& mode) { return mode.param; });

}  // namespace
}  // namespace pollux::vfio::test
