// SPDX-License-Identifier: BSD-3-Clause
// Fails each system call in a device's life in turn: opening, mapping memory while it is open, registers, interrupts,
// bus mastering, reset and closing.
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

/// Violations that are allowed after a failed call during closing. A real kernel cleans up when the descriptors are
/// closed; the fake kernel only records a violation.
const std::vector<std::string> kAllowedViolations{"armed event closed", "device closed with interrupts armed",
                                                  "last group closed with memory mapped"};

/// Calls whose failure is not an error, and their number over both errno values: optional events, a read that is
/// retried, and calls during closing, which closing the descriptors makes up for.
const std::map<std::string, unsigned> kNoError{
    {"DEVICE_GET_IRQ_INFO", 4}, {"UNMAP_DMA", 4}, {"disarm irqs", 4}, {"pread", 3}};

/// Opens a device, uses it and closes it. Returns the errors in the order of the calls.
std::vector<Error> open_use_close(Fixture& fixture) {
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

TEST(EveryCall, LeavesNothingOpenWhenItFails) {
  std::map<std::string, unsigned> outcomes;
  std::map<std::string, unsigned> without_error;
  for (const int error : {EIO, ENODEV}) {
    int call = 0;
    int left_to_kernel = 0;
    for (;; ++call) {
      Fixture fixture;
      fixture.kernel->fail_call(call, error);
      const std::vector<Error> errors = open_use_close(fixture);
      if (!fixture.kernel->failed_call()) {
        EXPECT_THAT(errors, IsEmpty()) << "without a fault";
        break;
      }
      for (const Error& got : errors) {
        EXPECT_FALSE(got.what.empty());
        ++outcomes[std::string(to_string(got.code))];
      }
      if (errors.empty()) {
        ++outcomes["works"];
        ++without_error[fixture.kernel->failed_step()];
      }
      EXPECT_LE(errors.size(), 1u) << "call " << call << ": one failing call is one error, " << errors.front().what;
      EXPECT_EQ(fixture.kernel->open_descriptors(), 0u) << "call " << call << " with " << error;
      EXPECT_EQ(fixture.kernel->mappings(), 0u) << "call " << call << " with " << error;
      if (!fixture.kernel->violations().empty()) {
        EXPECT_THAT(fixture.kernel->violations(), Each(AnyOfArray(kAllowedViolations)))
            << "call " << call << " with " << error;
        ++left_to_kernel;
        continue;
      }
      EXPECT_THAT(open_use_close(fixture), IsEmpty()) << "the next attempt works; call " << call << " with " << error;
      fixture.expect_clean();
    }
    EXPECT_LE(left_to_kernel, 6) << "closing makes only a few calls";
    EXPECT_GT(call, 30);
    std::cout << "errno " << error << ": " << call << " system calls failed in turn\n";
  }
  EXPECT_EQ(without_error, kNoError);
  for (const auto& [outcome, times] : outcomes) std::cout << times << " x " << outcome << '\n';
}

}  // namespace
}  // namespace pollux::vfio::test
