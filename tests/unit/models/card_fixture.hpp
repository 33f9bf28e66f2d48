// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "hw/intel/igb/phy.hpp"
#include "models/intel/igb/card.hpp"

namespace pollux::models::igb {

/// Memory from IOVA kBase on. The card can access nothing else.
class TestMemory final : public ModelDma {
 public:
  static constexpr std::uint64_t kBase = 0x100000;

  explicit TestMemory(std::size_t size) : bytes_(size + 4096 + kGap) {
    void* start = bytes_.data();
    std::size_t room = bytes_.size();
    base_ = static_cast<std::byte*>(std::align(4096, size + kGap, start, room));
    size_ = size;
  }
  [[nodiscard]] std::byte* translate(std::uint64_t iova, std::size_t length) noexcept override {
    if (iova < kBase || length > size_ || iova - kBase > size_ - length) return nullptr;
    return contiguous(iova, length) == length ? at(iova) : nullptr;
  }
  [[nodiscard]] std::size_t contiguous(std::uint64_t iova, std::size_t length) const noexcept override {
    return iova < split_ && split_ - iova < length ? split_ - iova : length;
  }
  [[nodiscard]] std::byte* at(std::uint64_t iova) { return base_ + (iova - kBase) + (iova < split_ ? 0 : kGap); }
  /// From now on the memory from `iova` on is a mapping of its own, which does not follow the other in this process.
  void split_at(std::uint64_t iova) { split_ = iova; }
  /// The memory ends at `iova`.
  void end_at(std::uint64_t iova) { size_ = iova - kBase; }
  [[nodiscard]] intel::Descriptor& descriptor(std::uint64_t ring, std::uint32_t slot) {
    return *reinterpret_cast<intel::Descriptor*>(at(ring + slot * hw::kDescriptorBytes));
  }

 private:
  static constexpr std::size_t kGap = 4096;

  std::vector<std::byte> bytes_;
  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t split_ = ~std::uint64_t{0};
};

/// A card model without a driver: memory, time, and the register accesses that the tests share.
struct CardFixture {
  static constexpr std::uint64_t kRxRing = TestMemory::kBase;
  static constexpr std::uint64_t kTxRing = TestMemory::kBase + 0x10000;
  static constexpr std::uint64_t kBuffers = TestMemory::kBase + 0x20000;
  static constexpr std::uint32_t kBufferBytes = 2048;
  static constexpr std::uint32_t kSlots = 16;

  explicit CardFixture(CardOptions options = {}) : card(options) {
    card.set_work_budget(budget);
    card.phy().restore_defaults();
    card.set_dma(&memory);
    card.on_transmit([this](std::span<const std::byte> frame) { sent.emplace_back(frame.begin(), frame.end()); });
    card.on_interrupt([this](unsigned vector) { messages.push_back(vector); });
  }

  template <class R>
  [[nodiscard]] typename R::Value read(std::uint32_t index = 0) {
    return typename R::Value(card.read32(hw::kRegisterBar, R::offset(index)));
  }
  template <class R>
  void write(std::uint32_t index, typename R::Value value) {
    budget.start(WorkBudget::kPerAccess);
    card.write32(hw::kRegisterBar, R::offset(index), value.raw());
  }
  template <class R>
  void write(typename R::Value value) {
    write<R>(0, value);
  }
  void pass(Duration span) {
    now += span;
    budget.start(WorkBudget::kPerAdvance);
    card.advance(now);
  }

  /// Reads a PHY register through MDIC, and returns all of MDIC.
  hw::MDIC::Value phy_read(std::uint32_t number, std::uint32_t address = hw::phy::kAddress) {
    write<hw::MDIC>(hw::MDIC::REGADD(number) | hw::MDIC::PHYADD(address) | hw::MDIC::READ);
    pass(Phy::kFrameTime);
    return read<hw::MDIC>();
  }
  /// A reset of the PHY, until the card has configured it.
  void phy_reset() {
    write<hw::CTRL>(read<hw::CTRL>().with(hw::CTRL::PHY_RST));
    write<hw::CTRL>(read<hw::CTRL>().without(hw::CTRL::PHY_RST));
    pass(Phy::kConfigureTime);
  }
  hw::MDIC::Value phy_write(std::uint32_t number, std::uint16_t value) {
    write<hw::MDIC>(hw::MDIC::DATA(value) | hw::MDIC::REGADD(number) | hw::MDIC::PHYADD(hw::phy::kAddress) |
                    hw::MDIC::WRITE);
    pass(Phy::kFrameTime);
    return read<hw::MDIC>();
  }
  void link_up() {
    card.set_carrier(true);
    write<hw::CTRL>(read<hw::CTRL>().with(hw::CTRL::SLU));
    phy_write(hw::phy::kControl, hw::phy::kControlAutonegotiate | hw::phy::kControlRestart);
    pass(Phy::kNegotiationTime);
  }

  [[nodiscard]] static std::uint64_t buffer(std::uint32_t slot) { return kBuffers + slot * kBufferBytes; }
  void start_rx(std::uint32_t queue = 0, std::uint32_t armed = kSlots - 1) {
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) arm(slot);
    write<hw::RDBAL>(queue, hw::RDBAL::Value(static_cast<std::uint32_t>(kRxRing)));
    write<hw::RDLEN>(queue, hw::RDLEN::Value(kSlots * hw::kDescriptorBytes));
    write<hw::SRRCTL>(queue, hw::SRRCTL::BSIZEPACKET(kBufferBytes / hw::kRxBufferUnit) | hw::SRRCTL::ONE_BUFFER);
    write<hw::RXDCTL>(queue, hw::RXDCTL::ENABLE);
    write<hw::RCTL>(hw::RCTL::RXEN | hw::RCTL::BAM | hw::RCTL::SECRC);
    pass(Receive::kEnableTime);
    write<hw::RDT>(queue, hw::RDT::TAIL(armed));
  }
  void arm(std::uint32_t slot) { memory.descriptor(kRxRing, slot) = intel::rx::armed(buffer(slot)); }
  void start_tx(std::uint32_t queue = 0) {
    write<hw::TDBAL>(queue, hw::TDBAL::Value(static_cast<std::uint32_t>(kTxRing)));
    write<hw::TDLEN>(queue, hw::TDLEN::Value(kSlots * hw::kDescriptorBytes));
    write<hw::TXDCTL>(queue, hw::TXDCTL::ENABLE);
    write<hw::TCTL>(hw::TCTL::EN | hw::TCTL::PSP);
    pass(Transmit::kEnableTime);
  }

  /// A frame whose destination address ends in the given byte (0x60, the card's own, by default). The bytes after the
  /// header count up.
  [[nodiscard]] static std::vector<std::byte> frame(std::size_t size, std::uint8_t last = 0x60) {
    std::vector<std::byte> bytes(size);
    const std::array<std::uint8_t, 14> header{0x02, 0, 0, 0x82, 0x57, last, 0x02, 0, 0, 0, 0, 1, 0x88, 0xB5};
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] = i < header.size() ? static_cast<std::byte>(header[i]) : static_cast<std::byte>(i * 7 & 0xFF);
    }
    return bytes;
  }
  [[nodiscard]] std::vector<std::byte> bytes_at(std::uint64_t iova, std::size_t length) {
    return {memory.at(iova), memory.at(iova) + length};
  }

  WorkBudget budget;
  TestMemory memory{1 << 20};
  std::vector<std::vector<std::byte>> sent;
  std::vector<unsigned> messages;
  Duration now{0};
  Card card;
};

}  // namespace pollux::models::igb
