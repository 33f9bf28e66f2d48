// SPDX-License-Identifier: BSD-3-Clause
#include "unit/igbvf/physical_side.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "backends/sim/device.hpp"
#include "hw/intel/igb/phy.hpp"

namespace pollux::drivers::igbvf {
namespace {

namespace card = pollux::hw::igb;
using hw::igbvf::Message;
using namespace std::chrono_literals;

void phy_write(const card::Registers& regs, ManualClock& clock, std::uint32_t number, std::uint16_t value) {
  regs.write<card::MDIC>(card::MDIC::DATA(value) | card::MDIC::REGADD(number) |
                         card::MDIC::PHYADD(card::phy::kAddress) | card::MDIC::WRITE);
  clock.advance(1ms);
}

}  // namespace

PhysicalSide::PhysicalSide(std::unique_ptr<Device> device, const std::shared_ptr<ManualClock>& clock)
    : device_(std::move(device)), regs_(device_->bar(0).value()) {
  using sim::ConfigSpace;
  EXPECT_TRUE(device_->set_bus_master(true));
  EXPECT_TRUE(device_->write_config(ConfigSpace::kFunctionsNumber, 2, 1));
  EXPECT_TRUE(device_->write_config(ConfigSpace::kFunctionsControl, 2, ConfigSpace::kFunctionsEnable));
  start_link(*clock);
  set_up_pools();
  regs_.write<card::CTRL_EXT>(card::CTRL_EXT::PFRSTD);
  clock->follow([this](Duration) { work(); });
}

void PhysicalSide::start_link(ManualClock& clock) {
  regs_.write<card::CTRL>(regs_.read<card::CTRL>().with(card::CTRL::SLU));
  phy_write(regs_, clock, card::phy::kControl, card::phy::kControlAutonegotiate | card::phy::kControlRestart);
  clock.advance(3s);
}

void PhysicalSide::set_up_pools() {
  regs_.write<card::MRQC>(card::MRQC::VMDQ);
  regs_.write<card::VT_CTL>(card::VT_CTL::DEFAULT_POOL(kPool) | card::VT_CTL::REPLICATION_EN);
  regs_.write<card::DTXSWC>(card::DTXSWC::VMDQ_LOOPBACK_EN);
  regs_.write<card::VMOLR>(0, regs_.read<card::VMOLR>(0).with(card::VMOLR::BAM | card::VMOLR::AUPE));
  regs_.write<card::VFRE>({});
  regs_.write<card::VFTE>({});
  set_address(0, kOwn, kPool);
  regs_.write<card::RCTL>(card::RCTL::RXEN | card::RCTL::BAM | card::RCTL::SECRC | card::RCTL::LPE);
  regs_.write<card::TCTL>(card::TCTL::EN | card::TCTL::PSP);
}

void PhysicalSide::set_address(std::uint32_t entry, const MacAddress& mac, std::uint32_t pool) {
  std::uint32_t low = 0;
  std::memcpy(&low, mac.data(), sizeof low);
  regs_.write<card::RAL>(entry, card::RAL::Value(low));
  regs_.write<card::RAH>(
      entry, card::RAH::ADDRESS(mac[4] | std::uint32_t{mac[5]} << 8) | card::RAH::POOLSEL(1U << pool) | card::RAH::AV);
}

// Linux igb, igb_main.c, igb_ping_all_vfs; e1000_mbx.c, igb_write_mbx_pf.
void PhysicalSide::send(std::uint32_t word) {
  regs_.write<card::P2VMAILBOX>(0, card::P2VMAILBOX::PFU);
  regs_.write<card::VMBMEM>(0, card::VMBMEM::Value(word));
  regs_.write<card::P2VMAILBOX>(0, card::P2VMAILBOX::STS);
}

// The clock is advanced by accesses to registers, too.
void PhysicalSide::work() {
  if (std::exchange(working_, true)) return;
  const auto causes = regs_.read<card::MBVFICR>();
  if (!causes.all_ones() && (causes.get(card::MBVFICR::REQUEST) & 1) != 0) {
    regs_.write<card::MBVFICR>(card::MBVFICR::REQUEST(1));
    answer();
  }
  working_ = false;
}

void PhysicalSide::answer() {
  regs_.write<card::P2VMAILBOX>(0, card::P2VMAILBOX::PFU);
  std::array<std::uint32_t, 3> words{};
  for (std::uint32_t i = 0; i < words.size(); ++i) words[i] = regs_.read<card::VMBMEM>(i).raw();
  regs_.write<card::P2VMAILBOX>(0, card::P2VMAILBOX::ACK | card::P2VMAILBOX::PFU);
  const Message kind = hw::igbvf::kind_of(words[0]);
  requests.push_back(kind);
  if (kind == Message::reset) {
    set_address(1, kAssigned, 0);
    regs_.write<card::VFRE>(card::VFRE::POOLS(3));
    regs_.write<card::VFTE>(card::VFTE::POOLS(3));
    std::memcpy(&words[1], kAssigned.data(), kAssigned.size());
  } else {
    words[0] |= hw::igbvf::kClearToSend;
  }
  if (kind == Message::set_max_frame) {
    regs_.write<card::VMOLR>(
        0,
        regs_.read<card::VMOLR>(0).without(card::VMOLR::RLPML).with(card::VMOLR::LPE | card::VMOLR::RLPML(words[1])));
  }
  words[0] |= hw::igbvf::kAccepted;
  for (std::uint32_t i = 0; i < words.size(); ++i) regs_.write<card::VMBMEM>(i, card::VMBMEM::Value(words[i]));
  regs_.write<card::P2VMAILBOX>(0, card::P2VMAILBOX::STS);
}

}  // namespace pollux::drivers::igbvf
