// SPDX-License-Identifier: BSD-3-Clause
// Each system call of a device's life fails in turn: opening, memory mapped while it is open, registers, interrupts,
// bus mastering, reset and the way back.
#include <cerrno>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::AnyOfArray;
using testing::Each;
using testing::IsEmpty;

/// A call on the way back that fails leaves to the kernel what it does anyway when the descriptors are closed. The fake
/// one only complains.
const std::vector<std::string> kWayBack{"armed event closed", "device closed with interrupts armed",
                                        "last group closed with memory mapped"};

/// Calls whose failure is no error: events that a kernel need not offer, what is tried again, and the way back, where
/// closing the descriptors does it anyway. With how many of them, over both error numbers.
const std::map<std::string, unsigned> kNoError{
    {"DEVICE_GET_IRQ_INFO", 4}, {"UNMAP_DMA", 4}, {"disarm irqs", 4}, {"pread", 3}};

/// What failed, in the order of the calls; the device and its memory are gone again at the end.
std::vector<Error> live(Fixture& fixture) {
  std::vector<Error> errors;
  const auto note = [&errors](const auto& result) {
    if (!result) errors.push_back(result.error());
    return result.has_value();
  };
  auto before = fixture.context.allocate({.size = 4096, .purpose = "before"});
  auto device = fixture.open();
  if (!note(device)) return errors;
  {
    auto memory = fixture.context.allocate({.size = 8192, .purpose = "rings"});
    note(memory);
    note((*device)->bar(0));
    note((*device)->enable_interrupts(3));
    note((*device)->set_bus_master(true));
    note((*device)->reset());
    note((*device)->read_config(0, 4));
    EXPECT_TRUE(!(*device)->removed() || fixture.kernel->failed_call());
    note((*device)->enable_interrupts(0));
    note((*device)->set_bus_master(false));
  }
  device->reset();
  return errors;
}

TEST(EveryCall, IsAnErrorThatLeavesNothingBehind) {
  std::map<std::string, unsigned> became;
  std::map<std::string, unsigned> without_error;
  for (const int error : {EIO, ENODEV}) {
    int call = 0;
    int left_to_kernel = 0;
    for (;; ++call) {
      Fixture fixture;
      fixture.kernel->fail_call(call, error);
      const std::vector<Error> errors = live(fixture);
      if (!fixture.kernel->failed_call()) {
        EXPECT_THAT(errors, IsEmpty()) << "without a fault";
        break;
      }
      for (const Error& got : errors) {
        EXPECT_FALSE(got.what.empty());
        ++became[std::string(to_string(got.code))];
      }
      if (errors.empty()) {
        ++became["works"];
        ++without_error[fixture.kernel->failed_step()];
      }
      EXPECT_LE(errors.size(), 1u) << "call " << call << ": one failing call is one error, " << errors.front().what;
      EXPECT_EQ(fixture.kernel->open_descriptors(), 0u) << "call " << call << " with " << error;
      EXPECT_EQ(fixture.kernel->mappings(), 0u) << "call " << call << " with " << error;
      if (!fixture.kernel->violations().empty()) {
        EXPECT_THAT(fixture.kernel->violations(), Each(AnyOfArray(kWayBack))) << "call " << call << " with " << error;
        ++left_to_kernel;
        continue;
      }
      EXPECT_THAT(live(fixture), IsEmpty()) << "the next one works; call " << call << " with " << error;
      fixture.expect_clean();
    }
    EXPECT_LE(left_to_kernel, 6) << "only a few calls are on the way back";
    EXPECT_GT(call, 30);
    std::cout << "errno " << error << ": " << call << " system calls failed in turn\n";
  }
  EXPECT_EQ(without_error, kNoError);
  for (const auto& [outcome, times] : became) std::cout << times << " x " << outcome << '\n';
}

}  // namespace
}  // namespace pollux::vfio::test
