// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "hw/intel/igbvf/ids.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "unit/models/function_fixture.hpp"

namespace pollux::models::igb {
namespace {

using V2P = vf::V2PMAILBOX;
using P2V = hw::P2VMAILBOX;

/// A virtual function without traffic: its window, mailbox, interrupts and reset.
class CardFunction : public testing::Test {
 protected:
  /// The vectors of the function's transmit queue, receive queue and mailbox, as Linux's igbvf sets them.
  void enable_own_interrupts() {
    fixture.own_write<vf::VTIVAR>(vf::VTIVAR::TX0(0) | vf::VTIVAR::TX0_VALID | vf::VTIVAR::RX0(1) |
                                  vf::VTIVAR::RX0_VALID);
    fixture.own_write<vf::VTIVAR_MISC>(vf::VTIVAR_MISC::MAILBOX(2) | vf::VTIVAR_MISC::MAILBOX_VALID);
    fixture.own_write<vf::EIAC>(vf::EIAC::Value(7));
    fixture.own_write<vf::EIAM>(vf::EIAM::Value(7));
    fixture.own_write<vf::EIMS>(vf::EIMS::Value(7));
  }
  FunctionFixture fixture;
};

TEST_F(CardFunction, HasTheIdentityAndWindowsOfAVirtualFunction) {
  EXPECT_EQ(fixture.function->identity().device, vf::kCards[0].id);
  EXPECT_EQ(fixture.function->identity().vendor, vf::kVendorId);
  EXPECT_EQ(fixture.function->bar_size(0), 16384u);
  EXPECT_EQ(fixture.function->bar_size(3), 16384u);
  EXPECT_EQ(fixture.function->bar_size(1), 0u);
  EXPECT_EQ(fixture.function->interrupt_vectors(), 3u);
  EXPECT_TRUE(fixture.function->is_function());
}

TEST_F(CardFunction, HasNoRegistersUntilItIsEnabled) {
  EXPECT_NE(fixture.own<vf::STATUS>().raw(), ~0u);
  EXPECT_EQ(fixture.read<hw::STATUS>().get(hw::STATUS::NUM_VFS), 1u);
  DeviceModel& second = *fixture.card.function(1);
  EXPECT_EQ(second.read32(0, vf::STATUS::offset()), ~0u);
  fixture.card.reset();
  EXPECT_EQ(fixture.own<vf::STATUS>().raw(), ~0u) << "a function level reset of the physical function disables it";
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::IOV_MODE));
  EXPECT_EQ(fixture.card.function(8), nullptr);
}

TEST_F(CardFunction, HasTheQueuesNAndNPlus8) {
  fixture.card.enable_functions(3);
  DeviceModel& third = *fixture.card.function(2);
  using pollux::hw::intel::RDBAL;
  using pollux::hw::intel::TDLEN;
  third.write32(0, FunctionFixture::place<RDBAL>(0), 0x1000);
  third.write32(0, FunctionFixture::place<RDBAL>(1), 0x2000);
  third.write32(0, FunctionFixture::place<TDLEN>(1), 0x80);
  EXPECT_EQ(fixture.read<hw::RDBAL>(2).raw(), 0x1000u);
  EXPECT_EQ(fixture.read<hw::RDBAL>(10).raw(), 0x2000u);
  EXPECT_EQ(fixture.read<hw::TDLEN>(10).raw(), 0x80u);
  EXPECT_EQ(third.read32(0, FunctionFixture::place<TDLEN>(1)), 0x80u);
  third.write32(0, hw::RCTL::offset(), ~0u);
  EXPECT_EQ(fixture.read<hw::RCTL>().raw(), 0u) << "nothing else of the card is in its window";
}

TEST_F(CardFunction, ExchangesAMessageWithThePhysicalFunction) {
  enable_own_interrupts();
  fixture.own_write<V2P>(V2P::VFU);
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::VFU));
  fixture.own_write<vf::VMBMEM>(vf::VMBMEM::Value(0x1234), 15);
  fixture.own_write<V2P>(V2P::REQ);
  EXPECT_FALSE(fixture.own<V2P>().has(V2P::VFU)) << "the request releases the memory";
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{0});
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::VMMB));
  EXPECT_EQ(fixture.read<hw::MBVFICR>().raw(), hw::MBVFICR::REQUEST(1).bits());
  fixture.write<hw::MBVFICR>(hw::MBVFICR::REQUEST(1));
  EXPECT_EQ(fixture.read<hw::MBVFICR>().raw(), 0u);
  EXPECT_EQ(fixture.read<hw::VMBMEM>(15).raw(), 0x1234u);

  fixture.write<P2V>(0, P2V::ACK);
  EXPECT_EQ(fixture.own_messages, std::vector<unsigned>{2});
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::PFACK));
  EXPECT_FALSE(fixture.own<V2P>().has(V2P::PFACK)) << "reading clears it";
  fixture.own_write<vf::EIMS>(vf::EIMS::Value(4));
  fixture.write<hw::VMBMEM>(0, hw::VMBMEM::Value(0x8000'0001));
  fixture.write<P2V>(0, P2V::STS);
  EXPECT_EQ(fixture.own_messages.size(), 2u);
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::PFSTS));
  EXPECT_EQ(fixture.own<vf::VMBMEM>(0).raw(), 0x8000'0001u);
}

TEST_F(CardFunction, LetsOneSideHoldTheMailbox) {
  fixture.write<P2V>(0, P2V::PFU);
  EXPECT_TRUE(fixture.read<P2V>(0).has(P2V::PFU));
  fixture.own_write<V2P>(V2P::VFU);
  EXPECT_FALSE(fixture.own<V2P>().has(V2P::VFU));
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::PFU));
  fixture.write<P2V>(0, P2V::Value());
  fixture.own_write<V2P>(V2P::VFU);
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::VFU));
  fixture.write<P2V>(0, P2V::PFU);
  EXPECT_EQ(fixture.read<P2V>(0).raw(), P2V::Value(P2V::VFU).raw());
  fixture.write<P2V>(0, P2V::PFU | P2V::RVFU);
  EXPECT_EQ(fixture.read<P2V>(0).raw(), P2V::Value(P2V::PFU).raw()) << "RVFU takes it from a function that is stuck";
}

TEST_F(CardFunction, MasksRequestsOfFunctions) {
  fixture.write<hw::MBVFIMR>(hw::MBVFIMR::POOLS(0xFE));
  fixture.own_write<V2P>(V2P::REQ);
  EXPECT_TRUE(fixture.messages.empty());
  EXPECT_NE(fixture.read<hw::MBVFICR>().raw(), 0u);
}

TEST_F(CardFunction, ReportsItsResetAndStopsItsQueues) {
  enable_own_interrupts();
  fixture.start_own_rx();
  EXPECT_TRUE(fixture.own<pollux::hw::intel::RXDCTL>().has(pollux::hw::intel::RXDCTL::ENABLE));
  fixture.own_write<vf::CTRL>(vf::CTRL::RST);
  EXPECT_FALSE(fixture.own<pollux::hw::intel::RXDCTL>().has(pollux::hw::intel::RXDCTL::ENABLE));
  EXPECT_EQ(fixture.own<vf::EIMS>().raw(), 0u);
  EXPECT_EQ(fixture.own<vf::VTIVAR>().raw(), 0u);
  EXPECT_EQ(fixture.read<hw::VFRE>().raw(), 0xFEu);
  EXPECT_EQ(fixture.read<hw::VFTE>().raw(), 0xFEu);
  EXPECT_EQ(fixture.read<hw::VFLRE>().raw(), 1u);
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{0});
  fixture.write<hw::VFLRE>(hw::VFLRE::POOLS(1));
  EXPECT_EQ(fixture.read<hw::VFLRE>().raw(), 0u);
  fixture.function->reset();
  EXPECT_EQ(fixture.read<hw::VFLRE>().raw(), 1u) << "its function level reset, too";
}

TEST_F(CardFunction, SeesAResetOfThePhysicalFunction) {
  fixture.write<hw::CTRL_EXT>(hw::CTRL_EXT::PFRSTD);
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::RSTD)) << "from power-on to the first driver";
  fixture.write<hw::CTRL>(hw::CTRL::RST);
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::RSTI));
  fixture.pass(Card::kResetTime);
  EXPECT_TRUE(fixture.own<V2P>().has(V2P::RSTI)) << "until the driver says that it is ready";
  fixture.write<hw::CTRL_EXT>(hw::CTRL_EXT::PFRSTD);
  const auto ended = fixture.own<V2P>();
  EXPECT_TRUE(ended.has(V2P::RSTD) && !ended.has(V2P::RSTI));
  EXPECT_EQ(fixture.own<V2P>().raw(), 0u);
  fixture.write<hw::CTRL_EXT>(hw::CTRL_EXT::PFRSTD | hw::CTRL_EXT::DRV_LOAD);
  EXPECT_EQ(fixture.own<V2P>().raw(), 0u) << "only when it is set";
}

TEST_F(CardFunction, KeepsItsVectorsFromThePhysicalFunction) {
  enable_own_interrupts();
  fixture.write<hw::EIMC>(hw::EIMC::Value(~0u));
  fixture.write<hw::EIAC>(hw::EIAC::Value());
  fixture.write<hw::EIAM>(hw::EIAM::Value());
  EXPECT_EQ(fixture.own<vf::EIMS>().raw(), 7u);
  EXPECT_EQ(fixture.own<vf::EIAC>().raw(), 7u);
  EXPECT_EQ(fixture.own<vf::EIAM>().raw(), 7u);
  fixture.write<hw::EICS>(hw::EICS::VECTORS(7U << 22));
  EXPECT_TRUE(fixture.own_messages.empty());
  fixture.own_write<vf::EICS>(vf::EICS::Value(5));
  EXPECT_EQ(fixture.own_messages, (std::vector<unsigned>{0, 2}));
  EXPECT_TRUE(fixture.messages.empty());
  EXPECT_EQ(fixture.own<vf::EIMS>().raw(), 2u) << "EIAM masks what was sent";
}

TEST_F(CardFunction, KeepsAMessageWhileItsVectorIsMasked) {
  enable_own_interrupts();
  fixture.function->write32(vf::kMsixBar, 2 * 16 + 12, 1);
  fixture.own_write<vf::EICS>(vf::EICS::Value(4));
  EXPECT_TRUE(fixture.own_messages.empty());
  EXPECT_EQ(fixture.function->read32(vf::kMsixBar, 0x2000), 4u);
  fixture.function->write32(vf::kMsixBar, 2 * 16 + 12, 0);
  EXPECT_EQ(fixture.own_messages, std::vector<unsigned>{2});
  EXPECT_EQ(fixture.function->read32(vf::kMsixBar, 0x2000), 0u);
}

TEST_F(CardFunction, ModeratesItsOwnInterrupts) {
  enable_own_interrupts();
  fixture.own_write<vf::EITR>(vf::EITR::INTERVAL(100), 1);
  EXPECT_EQ(fixture.read<hw::EITR>(23).get(hw::EITR::INTERVAL), 100u);
  fixture.own_write<vf::EICS>(vf::EICS::Value(2));
  fixture.own_write<vf::EIMS>(vf::EIMS::Value(2));
  fixture.own_write<vf::EICS>(vf::EICS::Value(2));
  EXPECT_EQ(fixture.own_messages.size(), 1u);
  fixture.pass(std::chrono::microseconds(100));
  EXPECT_EQ(fixture.own_messages.size(), 2u);
}

}  // namespace
}  // namespace pollux::models::igb
