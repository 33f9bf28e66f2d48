// SPDX-License-Identifier: BSD-3-Clause
#include "faked_card.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "hw/intel/gigabit/phy.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/nvm.hpp"
#include "hw/intel/igb/registers.hpp"

namespace pollux::bench {

namespace reg = hw::igb;

namespace {

constexpr std::size_t kBarSize = 128 * 1024;

// 02:00:00:00:00:01, zeros, and the checksum.
std::uint16_t nvm_word(std::uint32_t address) {
  std::array<std::uint16_t, hw::igb::nvm::kSummedWords> words{0x0002, 0x0000, 0x0100};
  words[hw::igb::nvm::kChecksum] = hw::igb::nvm::checksum_for(std::span(words).first<hw::igb::nvm::kSummedWords - 1>());
  return address < words.size() ? words[address] : 0;
}

// A PHY whose link is up and autonegotiated (IEEE 802.3, clause 22: control, status, identifiers).
std::uint16_t phy_register(FakedCard::Kind kind, std::uint32_t address) {
  if (kind == FakedCard::Kind::card_82574 && address == 2) return hw::gigabit::phy::bm::kId >> 16;
  if (kind == FakedCard::Kind::card_82574 && address == 3) return hw::gigabit::phy::bm::kId & 0xFFFF;
  constexpr std::array<std::uint16_t, 11> kValues = {0x1140, 0x796D, 0x02A8, 0x0391, 0x0DE1, 0x4DE1,
                                                     0x000F, 0,      0,      0x0300, 0x3C00};
  return address < kValues.size() ? kValues[address] : 0;
}

}  // namespace

// The difference between address and IOVA is the same for all DMA memory of a Context, so the card needs only that.
class FakedCard::Domain final : public DmaDomain {
 public:
  explicit Domain(FakedCard& card) : card_(card) {}
  [[nodiscard]] std::string_view name() const override { return "faked card"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    card_.delta_ = reinterpret_cast<std::uintptr_t>(segment.address) - segment.iova;
    return {};
  }
  [[nodiscard]] Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  FakedCard& card_;
};

class FakedDevice final : public Device {
 public:
  explicit FakedDevice(FakedCard& card) : card_(card) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override {
    return {.vendor = 0x8086,
            .device = card_.kind_ == FakedCard::Kind::card_82574 ? std::uint16_t{0x10D3} : std::uint16_t{0x10C9},
            .subsystem_vendor = 0x8086,
            .subsystem_device = 0,
            .revision = 1};
  }
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t, unsigned) override { return 0U; }
  [[nodiscard]] Result<void> write_config(std::uint32_t, unsigned, std::uint32_t) override { return {}; }
  [[nodiscard]] Result<Bar> bar(unsigned index) override {
    if (index != 0) return fail(ErrorCode::not_found, "the faked card has BAR 0 only");
    return Bar(reinterpret_cast<volatile std::uint8_t*>(card_.registers_.get()), kBarSize);
  }
  [[nodiscard]] Result<void> set_bus_master(bool) override { return {}; }
  [[nodiscard]] Result<void> reset() override {
    return fail(ErrorCode::not_supported, "the faked card has no function reset");
  }
  [[nodiscard]] DmaDomain& dma_domain() override { return *card_.domain_; }
  [[nodiscard]] unsigned interrupt_vectors() const override { return 0; }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned) override {
    return fail(ErrorCode::not_supported, "the faked card has no interrupts");
  }

 private:
  FakedCard& card_;
  std::string name_ = "faked:0";
};

FakedCard::FakedCard(Kind kind)
    : kind_(kind),
      registers_(static_cast<std::byte*>(std::aligned_alloc(4096, kBarSize)),
                 [](std::byte* memory) { std::free(memory); }),
      domain_(std::make_shared<Domain>(*this)),
      older_addresses_(kind == Kind::card_82574) {
  std::memset(registers_.get(), 0, kBarSize);
  set(reg::STATUS::offset(), reg::STATUS::Value(reg::STATUS::FD | reg::STATUS::LU | reg::STATUS::SPEED(2)).raw());
  set(reg::EEMNGCTL::offset(), reg::EEMNGCTL::Value(reg::EEMNGCTL::CFG_DONE_0 | reg::EEMNGCTL::CFG_DONE_1).raw());
  set(reg::EECD::offset(), reg::EECD::Value(reg::EECD::AUTO_RD | reg::EECD::PRES).raw());
  clock_->follow([this](Duration) { answer(); });
}

std::unique_ptr<Device> FakedCard::device() { return std::make_unique<FakedDevice>(*this); }

std::uint32_t FakedCard::get(std::uint32_t offset) const { return io::read<std::uint32_t>(registers_.get() + offset); }

void FakedCard::set(std::uint32_t offset, std::uint32_t value) { io::write(registers_.get() + offset, value); }

// Sets the register values that the driver waits for.
void FakedCard::answer() {
  const reg::CTRL::Value control(get(reg::CTRL::offset()));
  if (control.has(reg::CTRL::RST)) {
    for (std::uint32_t queue = 0; queue < reg::RXDCTL::kCount; ++queue) {
      set(reg::RXDCTL::offset(queue), 0);
      set(reg::TXDCTL::offset(queue), 0);
    }
    set(reg::RAL::offset(0), 0x00000002);
    set(reg::RAH::offset(0), 0x80000100);
    set(reg::CTRL::offset(), 0);
  }
  const std::uint32_t status = get(reg::STATUS::offset());
  const std::uint32_t mastering = reg::STATUS::Value(reg::STATUS::GIO_MASTER_ENABLE).raw();
  set(reg::STATUS::offset(), control.has(reg::CTRL::GIO_MASTER_DISABLE) ? status & ~mastering : status | mastering);
  const reg::EERD::Value nvm(get(reg::EERD::offset()));
  if (nvm.has(reg::EERD::START) && !nvm.has(reg::EERD::DONE)) {
    const std::uint32_t word = nvm_word(nvm.get(reg::EERD::ADDR));
    set(reg::EERD::offset(), reg::EERD::Value(reg::EERD::DONE | reg::EERD::DATA(word)).raw());
  }
  const reg::MDIC::Value phy(get(reg::MDIC::offset()));
  if (phy.get(reg::MDIC::OP) != 0 && !phy.has(reg::MDIC::READY)) {
    const std::uint32_t value = phy_register(kind_, phy.get(reg::MDIC::REGADD));
    set(reg::MDIC::offset(), phy.raw() | reg::MDIC::Value(reg::MDIC::READY | reg::MDIC::DATA(value)).raw());
  }
}

}  // namespace pollux::bench
