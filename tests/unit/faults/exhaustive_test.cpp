// SPDX-License-Identifier: BSD-3-Clause
// Injects one fault at register accesses, calls and mappings while a port is opened, configured, started, carries
// traffic, is stopped and closed: at each one with POLLUX_EVERY_FAULT, else with the stride of the fault. fixture.cpp
// checks what must always hold; docs/82576/faults.md lists the allowed outcomes.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "unit/faults/sweep.hpp"

namespace pollux::test {
namespace {

Fault device(std::string name, FaultPlan plan, std::uint64_t stride = 1) {
  return {.name = std::move(name), .options = {.device = std::move(plan)}, .stride = stride};
}

TEST(EveryFaultPoint, Removal) { sweep(device("removal", {.kind = FaultKind::removal}, 3)); }
TEST(EveryFaultPoint, RemovalEvent) { sweep(device("removal event", {.kind = FaultKind::removal_event}, 11)); }
TEST(EveryFaultPoint, ErrorEvent) { sweep(device("error event", {.kind = FaultKind::error_event}, 11)); }
TEST(EveryFaultPoint, ReadOfOnes) { sweep(device("read of ones", {.kind = FaultKind::ones}, 2)); }
TEST(EveryFaultPoint, ReadOfZeros) { sweep(device("read of zeros", {.kind = FaultKind::zeros}, 5)); }
TEST(EveryFaultPoint, LostWrite) { sweep(device("lost write", {.kind = FaultKind::lost_write})); }
TEST(EveryFaultPoint, FailingCall) { sweep(device("failing call", {.kind = FaultKind::call_fails})); }
TEST(EveryFaultPoint, FailingMap) { sweep(device("failing map", {.kind = FaultKind::map_fails})); }
TEST(EveryFaultPoint, FailingUnmap) { sweep(device("failing unmap", {.kind = FaultKind::unmap_fails})); }

// Otherwise a fault that is never injected would pass the test.
TEST(FaultSweep, FailsIfAFaultIsNeverTriggered) {
  // The driver never enables this write-back.
  static const Fault fault{
      .name = "removal", .options = {.memory = {.what = ModelAccess::head_write_back}}, .in_memory = true};
  EXPECT_FATAL_FAILURE(sweep(fault), "is never triggered");
}

}  // namespace
}  // namespace pollux::test
