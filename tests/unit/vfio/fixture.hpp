// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "backends/vfio/open_vfio.hpp"
#include "fake_kernel.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::vfio::test {

inline const std::string kFirst = "0000:01:00.0";
inline const std::string kSameGroup = "0000:01:00.1";  ///< in the group of kFirst
inline const std::string kSecond = "0000:02:00.0";     ///< in a group of its own

/// Options for a small Context without huge pages.
inline ContextOptions small_context(std::shared_ptr<Clock> clock = nullptr) {
  ContextOptions options;
  options.clock = std::move(clock);
  options.huge_pages = HugePages::never;
  options.arena_size = std::size_t{1} << 30;
  return options;
}

/// A machine with an IOMMU and three cards that are bound to vfio-pci, and a Context.
class Fixture {
 public:
  Fixture() {
    machine.write(machine.paths.dev / "vfio/vfio", "");
    add(kFirst, 7);
    add(kSameGroup, 7);
    add(kSecond, 8);
  }
  void add(const std::string& address, std::uint32_t group, const std::string& driver = "vfio-pci") {
    machine.add({.address = address, .driver = driver, .group = group});
    kernel->cards[address].group = group;
  }
  [[nodiscard]] FakeCard& card(const std::string& address = kFirst) const { return kernel->cards.at(address); }
  [[nodiscard]] Result<std::unique_ptr<Device>> open(const std::string& address = kFirst) {
    return open_vfio(context, address, Host{kernel, machine.paths});
  }
  /// Expects that the device cannot be opened, and returns the error.
  [[nodiscard]] Error open_error(const std::string& address = kFirst) {
    auto opened = open(address);
    EXPECT_FALSE(opened) << address << " was opened";
    return opened ? Error{} : opened.error();
  }
  /// Expects that nothing is left open or mapped, and that no call came in a harmful order.
  void expect_clean() const {
    EXPECT_EQ(kernel->open_descriptors(), 0u);
    EXPECT_EQ(kernel->mappings(), 0u);
    EXPECT_EQ(kernel->dma_mappings(), 0u);
    EXPECT_THAT(kernel->violations(), testing::IsEmpty());
  }

  pci::test::FakeMachine machine;
  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{small_context(clock)};
};

}  // namespace pollux::vfio::test
