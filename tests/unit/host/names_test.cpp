// SPDX-License-Identifier: BSD-3-Clause
#include "host/names.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using pci::test::FakeMachine;

constexpr const char* kList =
    "8086  Made-up Vendor\n\t10c9  Made-up Card\n\nC 02  Network things\n\t00  Ethernet thing\n";

TEST(Names, OfADeviceAreThoseOfTheList) {
  FakeMachine machine;
  machine.write(machine.paths.run / "pci.ids", kList);
  Names names(machine.paths.run / "pci.ids");
  pci::DeviceInfo info;
  info.vendor = 0x8086;
  info.device = 0x10c9;
  info.class_code = 0x020000;
  names.name(info);
  EXPECT_EQ(info.vendor_name, "Made-up Vendor");
  EXPECT_EQ(info.device_name, "Made-up Card");
  EXPECT_EQ(info.class_name, "Ethernet thing");
}

TEST(Names, AreEmptyForWhatIsNotListed) {
  FakeMachine machine;
  machine.write(machine.paths.run / "pci.ids", kList);
  Names names(machine.paths.run / "pci.ids");
  EXPECT_EQ(names.vendor(0x1234), "");
  EXPECT_EQ(names.device(0x8086, 0x1234), "");
  EXPECT_EQ(names.device_class(0x010000), "");
}

TEST(Names, AreEmptyWithoutAList) {
  FakeMachine machine;
  Names names(machine.paths.run / "none");
  EXPECT_EQ(names.vendor(0x8086), "");
}

// libpci's default error handler would exit the process here.
TEST(Names, SurviveADamagedList) {
  FakeMachine machine;
  machine.write(machine.paths.run / "pci.ids", "garbage\n\t\t\tzzz\n");
  Names names(machine.paths.run / "pci.ids");
  EXPECT_EQ(names.vendor(0x8086), "");
  EXPECT_EQ(names.device(0x8086, 0x10c9), "");
  Names moved = std::move(names);
  EXPECT_EQ(moved.device_class(0x020000), "");
}

}  // namespace
}  // namespace pollux::host
