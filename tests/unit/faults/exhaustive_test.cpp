// SPDX-License-Identifier: BSD-3-Clause
// One fault at each register access, call, mapping and access to memory of open, configure, start, traffic, stop and
// close. What must hold whatever happens is in fixture.cpp; what the user gets is in docs/82576/faults.md.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "unit/faults/sweep.hpp"

namespace pollux::test {
namespace {

Fault device(std::string name, FaultPlan plan, std::uint64_t stride = 1) {
  return {.name = std::move(name), .options = {.device = std::move(plan)}, .stride = stride};
}

TEST(EveryPlace, Removal) { sweep(device("removal", {.kind = FaultKind::removal}, 3)); }
TEST(EveryPlace, RemovalEvent) { sweep(device("removal event", {.kind = FaultKind::removal_event}, 11)); }
TEST(EveryPlace, ErrorEvent) { sweep(device("error event", {.kind = FaultKind::error_event}, 11)); }
TEST(EveryPlace, ReadOfOnes) { sweep(device("read of ones", {.kind = FaultKind::ones}, 2)); }
TEST(EveryPlace, ReadOfZeros) { sweep(device("read of zeros", {.kind = FaultKind::zeros}, 5)); }
TEST(EveryPlace, LostWrite) { sweep(device("lost write", {.kind = FaultKind::lost_write})); }
TEST(EveryPlace, FailingCall) { sweep(device("failing call", {.kind = FaultKind::call_fails})); }
TEST(EveryPlace, FailingMap) { sweep(device("failing map", {.kind = FaultKind::map_fails})); }
TEST(EveryPlace, FailingUnmap) { sweep(device("failing unmap", {.kind = FaultKind::unmap_fails})); }

// A kind whose places are never passed would pass unjudged.
TEST(EveryPlaceItself, AFaultWithoutPlacesFails) {
  // The driver never asks for this write-back.
  static const Fault fault{
      .name = "removal", .options = {.memory = {.what = ModelAccess::head_write_back}}, .in_memory = true};
  EXPECT_FATAL_FAILURE(sweep(fault), "no place to strike at");
}

}  // namespace
}  // namespace pollux::test
