// SPDX-License-Identifier: BSD-3-Clause
// Registers of the 82576 with stuck bits from some access on, as in a card with a hung part.
#include <gtest/gtest.h>

#include <utility>

#include "hw/intel/igb/registers.hpp"
#include "unit/faults/sweep.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

Fault stuck(std::string name, StuckRegister defect) {
  return {.name = std::move(name),
          .options = {.device = {.kind = FaultKind::stuck_register, .count = FaultPlan::kForEver, .stuck = defect}}};
}

template <class R>
Fault always_set(std::string name, typename R::Setting bits) {
  return stuck(std::move(name), {.offset = R::offset(0), .set = bits.bits()});
}

template <class R>
Fault never_set(std::string name, typename R::Setting bits) {
  return stuck(std::move(name), {.offset = R::offset(0), .clear = bits.bits()});
}

TEST(EveryFaultPoint, PhyThatDoesNotAnswer) { sweep(never_set<reg::MDIC>("PHY does not answer", reg::MDIC::READY)); }
TEST(EveryFaultPoint, PhyThatReportsErrors) { sweep(always_set<reg::MDIC>("PHY reports errors", reg::MDIC::ERROR)); }
TEST(EveryFaultPoint, SoftwareSemaphoreTaken) {
  sweep(always_set<reg::SWSM>("software semaphore taken", reg::SWSM::SMBI));
}
TEST(EveryFaultPoint, FirmwareSemaphoreNotGranted) {
  sweep(never_set<reg::SWSM>("firmware semaphore not granted", reg::SWSM::SWESMBI));
}
TEST(EveryFaultPoint, FirmwareHoldsTheNvmAndThePhy) {
  sweep(always_set<reg::SW_FW_SYNC>("firmware holds NVM and PHY", reg::SW_FW_SYNC::FW_EEP | reg::SW_FW_SYNC::FW_PHY0));
}
TEST(EveryFaultPoint, NvmThatDoesNotAnswer) { sweep(never_set<reg::EERD>("NVM does not answer", reg::EERD::DONE)); }
TEST(EveryFaultPoint, ResetThatDoesNotEnd) { sweep(always_set<reg::CTRL>("reset does not end", reg::CTRL::RST)); }
TEST(EveryFaultPoint, MasteringThatDoesNotEnd) {
  sweep(always_set<reg::STATUS>("bus mastering does not end", reg::STATUS::GIO_MASTER_ENABLE));
}
TEST(EveryFaultPoint, LinkThatDoesNotComeUp) { sweep(never_set<reg::STATUS>("no link", reg::STATUS::LU)); }
TEST(EveryFaultPoint, RxQueueThatDoesNotStart) {
  sweep(never_set<reg::RXDCTL>("receive queue does not start", reg::RXDCTL::ENABLE));
}
TEST(EveryFaultPoint, RxQueueThatDoesNotStop) {
  sweep(always_set<reg::RXDCTL>("receive queue does not stop", reg::RXDCTL::ENABLE));
}
TEST(EveryFaultPoint, TxQueueThatDoesNotStart) {
  sweep(never_set<reg::TXDCTL>("transmit queue does not start", reg::TXDCTL::ENABLE));
}
TEST(EveryFaultPoint, TxQueueThatDoesNotStop) {
  sweep(always_set<reg::TXDCTL>("transmit queue does not stop", reg::TXDCTL::ENABLE));
}
TEST(EveryFaultPoint, RxQueueThatHangs) {
  sweep(stuck("receive queue hangs", {.offset = reg::RDT::offset(0), .ignores_writes = true}));
}
TEST(EveryFaultPoint, TxQueueThatHangs) {
  sweep(stuck("transmit queue hangs", {.offset = reg::TDT::offset(0), .ignores_writes = true}));
}
TEST(EveryFaultPoint, RxHeadOutOfRange) {
  sweep(stuck("receive head out of range", {.offset = reg::RDH::offset(0), .set = 0xFFFFFFFF}));
}

// The link goes down at an access and comes up again a few accesses later.
TEST(EveryFaultPoint, LinkThatFlaps) {
  constexpr std::uint64_t kAway = 5;
  Fault fault{.name = "link flaps",
              .options = {.device = {.kind = FaultKind::action, .count = kAway},
                          .action =
                              [](FaultFixture& fixture, std::uint64_t injection) {
                                if (injection == 0) fixture.wire().set_carrier(false);
                                if (injection == kAway - 1) fixture.wire().set_carrier(true);
                              }},
              .stride = 7};
  sweep(fault);
}

TEST(EveryFaultPoint, DamagedNvm) {
  const auto damage = [](std::uint64_t word) {
    return [word](FaultFixture& fixture) {
      fixture.card().with([word](models::igb::Card& card) { return card.nvm().words()[word] ^= 0x10; });
    };
  };
  sweep({.name = "damaged NVM word",
         .prepare =
             [&](FaultFixtureOptions& options, std::uint64_t word) {
               options.before_open = damage(word);
               options.before_recovery = damage(word);
             },
         .numbered = 64});
}

TEST(EveryFaultPoint, PoolRunsEmpty) {
  sweep({.name = "pool runs empty",
         .prepare =
             [](FaultFixtureOptions& options, std::uint64_t point) {
               options.pool = static_cast<std::uint32_t>(point + 1);
               options.recovers = options.pool >= FaultFixture::kRing + 40;
             },
         .numbered = 64});
}

}  // namespace
}  // namespace pollux::test
