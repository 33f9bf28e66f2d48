// SPDX-License-Identifier: BSD-3-Clause
// Registers of the 82576 that lie from some access on, for ever: a card that hangs in one of its parts.
#include <gtest/gtest.h>

#include <utility>

#include "hw/intel/igb/registers.hpp"
#include "unit/faults/sweep.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

Fault liar(std::string name, RegisterLie lie) {
  return {.name = std::move(name),
          .options = {.device = {.kind = FaultKind::liar, .count = FaultPlan::kForEver, .lie = lie}}};
}

template <class R>
Fault always_set(std::string name, typename R::Setting bits) {
  return liar(std::move(name), {.offset = R::offset(0), .set = bits.bits()});
}

template <class R>
Fault never_set(std::string name, typename R::Setting bits) {
  return liar(std::move(name), {.offset = R::offset(0), .clear = bits.bits()});
}

TEST(EveryPlace, PhyThatDoesNotAnswer) { sweep(never_set<reg::MDIC>("PHY does not answer", reg::MDIC::READY)); }
TEST(EveryPlace, PhyThatReportsErrors) { sweep(always_set<reg::MDIC>("PHY reports errors", reg::MDIC::ERROR)); }
TEST(EveryPlace, SoftwareSemaphoreTaken) { sweep(always_set<reg::SWSM>("software semaphore taken", reg::SWSM::SMBI)); }
TEST(EveryPlace, FirmwareSemaphoreNotGranted) {
  sweep(never_set<reg::SWSM>("firmware semaphore not granted", reg::SWSM::SWESMBI));
}
TEST(EveryPlace, FirmwareHoldsTheNvmAndThePhy) {
  sweep(always_set<reg::SW_FW_SYNC>("firmware holds NVM and PHY", reg::SW_FW_SYNC::FW_EEP | reg::SW_FW_SYNC::FW_PHY0));
}
TEST(EveryPlace, NvmThatDoesNotAnswer) { sweep(never_set<reg::EERD>("NVM does not answer", reg::EERD::DONE)); }
TEST(EveryPlace, ResetThatDoesNotEnd) { sweep(always_set<reg::CTRL>("reset does not end", reg::CTRL::RST)); }
TEST(EveryPlace, MasteringThatDoesNotEnd) {
  sweep(always_set<reg::STATUS>("bus mastering does not end", reg::STATUS::GIO_MASTER_ENABLE));
}
TEST(EveryPlace, LinkThatDoesNotComeUp) { sweep(never_set<reg::STATUS>("no link", reg::STATUS::LU)); }
TEST(EveryPlace, RxQueueThatDoesNotStart) {
  sweep(never_set<reg::RXDCTL>("receive queue does not start", reg::RXDCTL::ENABLE));
}
TEST(EveryPlace, RxQueueThatDoesNotStop) {
  sweep(always_set<reg::RXDCTL>("receive queue does not stop", reg::RXDCTL::ENABLE));
}
TEST(EveryPlace, TxQueueThatDoesNotStart) {
  sweep(never_set<reg::TXDCTL>("transmit queue does not start", reg::TXDCTL::ENABLE));
}
TEST(EveryPlace, TxQueueThatDoesNotStop) {
  sweep(always_set<reg::TXDCTL>("transmit queue does not stop", reg::TXDCTL::ENABLE));
}
TEST(EveryPlace, RxQueueThatHangs) {
  sweep(liar("receive queue hangs", {.offset = reg::RDT::offset(0), .ignores_writes = true}));
}
TEST(EveryPlace, TxQueueThatHangs) {
  sweep(liar("transmit queue hangs", {.offset = reg::TDT::offset(0), .ignores_writes = true}));
}
TEST(EveryPlace, RxHeadOutOfRange) {
  sweep(liar("receive head out of range", {.offset = reg::RDH::offset(0), .set = 0xFFFFFFFF}));
}

// The wire is pulled at an access and comes back a few accesses later.
TEST(EveryPlace, LinkThatFlaps) {
  constexpr std::uint64_t kAway = 5;
  Fault fault{.name = "link flaps",
              .options = {.device = {.kind = FaultKind::action, .count = kAway},
                          .action =
                              [](Fixture& fixture, std::uint64_t strike) {
                                if (strike == 0) fixture.wire().set_carrier(false);
                                if (strike == kAway - 1) fixture.wire().set_carrier(true);
                              }},
              .stride = 7};
  sweep(fault);
}

TEST(EveryPlace, DamagedNvm) {
  const auto damage = [](std::uint64_t word) {
    return [word](Fixture& fixture) {
      fixture.card().with([word](models::igb::Card& card) { return card.nvm().words()[word] ^= 0x10; });
    };
  };
  sweep({.name = "damaged NVM word",
         .order =
             [&](RigOptions& options, std::uint64_t word) {
               options.at_begin = damage(word);
               options.at_end = damage(word);
             },
         .numbered = 64});
}

TEST(EveryPlace, PoolRunsEmpty) {
  sweep({.name = "pool runs empty",
         .order =
             [](RigOptions& options, std::uint64_t place) {
               options.pool = static_cast<std::uint32_t>(place + 1);
               options.recovers = options.pool >= Fixture::kRing + 40;
             },
         .numbered = 64});
}

}  // namespace
}  // namespace pollux::test
