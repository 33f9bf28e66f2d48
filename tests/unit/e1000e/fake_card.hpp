// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/e1000e/ids.hpp"
#include "hw/intel/e1000e/registers.hpp"
#include "hw/intel/gigabit/nvm.hpp"
#include "pollux/device/device_model.hpp"
#include "pollux/laboratory.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"

namespace pollux::test {

namespace reg = hw::e1000e;

/// Registers that answer as an 82574's would during bring-up, and nothing more: no frame moves unless the test says so.
/// It is no model of the card, and judges nothing but what QEMU's cannot show.
class FakeCard final : public DeviceModel {
 public:
  using Reg = std::uint32_t;

  explicit FakeCard(std::uint16_t id = 0x10D3) : id_(id) {
    regs_[reg::PBA::offset(0)] = packet_buffer;
    words_[hw::gigabit::nvm::kMacAddress] = 0x0002;
    words_[hw::gigabit::nvm::kMacAddress + 2] = 0x0100;
    words_[hw::gigabit::nvm::kChecksum] =
        hw::gigabit::nvm::checksum_for(std::span(words_).first(hw::gigabit::nvm::kChecksum));
    phy_[2] = 0x0141;
    phy_[3] = 0x0CB1;
    reset();
  }

  [[nodiscard]] PciIdentity identity() const override {
    return {.vendor = hw::e1000e::kVendorId, .device = id_, .subsystem_vendor = 0x8086, .subsystem_device = 0xA01F};
  }
  [[nodiscard]] std::size_t bar_size(unsigned index) const override {
    return index == 0 ? hw::e1000e::kRegisterBytes : 0;
  }
  [[nodiscard]] std::uint32_t read32(unsigned /*bar*/, std::uint32_t offset) noexcept override {
    if (offset == reg::STATUS::offset(0)) return status();
    if (offset == reg::EERD::offset(0)) return words_[nvm_ % words_.size()] * 65536U | 2U;
    if (offset == reg::MDIC::offset(0)) return mdic_;
    if (offset == reg::ICR::offset(0)) return std::exchange(regs_[offset], 0);
    return regs_[offset];
  }
  void write32(unsigned /*bar*/, std::uint32_t offset, std::uint32_t value) noexcept override {
    if (offset == reg::CTRL::offset(0) && (value & reg::CTRL::RST.mask()) != 0) return reset();
    if (offset == reg::CTRL::offset(0) && (value & reg::CTRL::PHY_RST.mask()) != 0) ++phy_resets;
    if (offset == reg::RCTL::offset(0) && (regs_[offset] & 2) != 0 && (value & 2) == 0 && masters())
      ++receivers_disabled;
    if (offset == reg::EERD::offset(0)) nvm_ = value >> 2;
    if (offset == reg::CTRL_EXT::offset(0) && (value & reg::CTRL_EXT::EE_RST.mask()) != 0) {
      ++nvm_reloads;
      value &= ~reg::CTRL_EXT::EE_RST.mask();
    }
    if (offset == reg::MDIC::offset(0)) return access_phy(value);
    if (offset == reg::ICR::offset(0)) value = regs_[offset] & ~value;
    if (offset == reg::IMS::offset(0)) value |= regs_[offset];
    if (offset == reg::IMC::offset(0)) regs_[reg::IMS::offset(0)] &= ~value;
    regs_[offset] = value;
    if (sends && (regs_[reg::TCTL::offset(0)] & reg::TCTL::EN.mask()) != 0) {
      for (const std::uint32_t queue : {0U, 1U}) send(queue);
    }
  }
  void set_dma(ModelDma* dma) noexcept override { dma_ = dma; }
  void reset() noexcept override {
    const std::uint32_t wake = regs_[reg::WUC::offset(0)];
    packet_buffer = value(reg::PBA::offset(0));
    regs_.clear();
    regs_[reg::WUC::offset(0)] = wake;
    regs_[reg::EECD::offset(0)] = eecd;
    regs_[reg::RAL::offset(0)] = words_[0] | std::uint32_t{words_[1]} << 16;
    regs_[reg::RAH::offset(0)] = words_[2] | 1U << 31;
    regs_[reg::PBA::offset(0)] = packet_buffer;
    regs_[reg::TARC::offset(0)] = regs_[reg::TARC::offset(1)] = 0x403;
  }
  void advance(Duration /*now*/) noexcept override {}
  [[nodiscard]] Duration next_event() const noexcept override { return Duration::max(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return vectors; }
  void on_interrupt(std::function<void(unsigned)> handler) override { interrupt = std::move(handler); }
  void on_transmit(WireHandler /*handler*/) override {}
  void receive(std::span<const std::byte> /*frame*/) noexcept override {}
  void set_carrier(bool /*present*/) noexcept override {}

  [[nodiscard]] Reg value(std::uint32_t offset) const {
    const auto found = regs_.find(offset);
    return found == regs_.end() ? 0 : found->second;
  }
  /// Writes back the next receive descriptor of a queue as given. False if none is armed.
  bool write_back(const hw::intel::Descriptor& what, std::uint32_t queue = 0) {
    const std::uint32_t slots = value(reg::RDLEN::offset(queue)) / 16;
    Reg& head = regs_[reg::RDH::offset(queue)];
    if (slots == 0 || head == value(reg::RDT::offset(queue)) || dma_ == nullptr) return false;
    const std::uint64_t at =
        (std::uint64_t{value(reg::RDBAH::offset(queue))} << 32 | value(reg::RDBAL::offset(queue))) + head * 16;
    const ModelWrite write{.what = ModelAccess::receive_write_back,
                           .queue = queue,
                           .iova = at,
                           .bytes = std::as_bytes(std::span(&what, 1))};
    head = (head + 1) % slots;
    return dma_->store(write);
  }
  std::array<std::uint16_t, 32>& phy() { return phy_; }
  void raise(Reg causes) { regs_[reg::ICR::offset(0)] |= causes; }

  std::function<void(unsigned)> interrupt;
  unsigned vectors = 5;
  bool sends = true;  ///< false: transmit descriptors are never done
  unsigned phy_resets = 0;
  unsigned nvm_reloads = 0;
  Reg eecd = 0x300;                 ///< after a reset: PRES, AUTO_RD
  Reg packet_buffer = 0x0020;       ///< PBA as the last reset found it; at first as Linux leaves it
  unsigned receivers_disabled = 0;  ///< while the card could access memory
  std::vector<hw::intel::Descriptor> sent;

 private:
  std::uint16_t id_;

  [[nodiscard]] bool masters() const {
    return (value(reg::CTRL::offset(0)) & reg::CTRL::GIO_MASTER_DISABLE.mask()) == 0;
  }
  [[nodiscard]] Reg status() const {
    const bool up = (value(reg::CTRL::offset(0)) & reg::CTRL::SLU.mask()) != 0;
    return reg::STATUS::FD.mask() | 2U << 6 | (up ? reg::STATUS::LU.mask() : 0) |
           (masters() ? reg::STATUS::GIO_MASTER_ENABLE.mask() : 0);
  }
  void access_phy(std::uint32_t value) noexcept {
    const std::uint32_t number = value >> 16 & 31;
    const bool writes = (value >> 26 & 3) == 1;
    if (writes && number != 2 && number != 3) phy_[number] = static_cast<std::uint16_t>(value & ~0x8200U);
    mdic_ = (value & 0xFFFF0000U) | (writes ? value & 0xFFFF : phy_[number]) | reg::MDIC::READY.mask();
  }
  void send(std::uint32_t queue) noexcept {
    const std::uint32_t slots = value(reg::TDLEN::offset(queue)) / 16;
    for (Reg& head = regs_[reg::TDH::offset(queue)]; slots != 0 && head != value(reg::TDT::offset(queue));
         head = (head + 1) % slots) {
      const std::uint64_t at =
          (std::uint64_t{value(reg::TDBAH::offset(queue))} << 32 | value(reg::TDBAL::offset(queue))) + head * 16;
      std::byte* const memory = dma_ == nullptr ? nullptr : dma_->translate(at, 16);
      if (memory == nullptr) return;
      hw::intel::Descriptor what;
      std::memcpy(&what, memory, sizeof what);
      sent.push_back(what);
      what.hi |= hw::intel::tx::kDone;
      store_as_card(memory, ModelAccess::transmit_write_back, std::as_bytes(std::span(&what, 1)));
    }
  }

  std::map<std::uint32_t, Reg> regs_;
  std::array<std::uint16_t, 64> words_{};
  std::array<std::uint16_t, 32> phy_{};
  std::uint32_t nvm_ = 0;
  Reg mdic_ = 0;
  ModelDma* dma_ = nullptr;
};

/// A Context that knows the card as `sim:0?card=fake82574`, with a pool and a manual clock.
struct FakeFixture {
  FakeFixture()
      : context({.clock = clock,
                 .log = [this](LogLevel, std::string_view line) { log.emplace_back(line); },
                 .huge_pages = HugePages::never,
                 .arena_size = std::size_t{1} << 28}),
        pool(*Mempool::create(context, {.count = 1024})),
        cache(pool) {
    EXPECT_TRUE(add_card_model(context, {.name = "fake82574", .make = [this](unsigned number) {
                                           auto made = std::make_unique<FakeCard>(id);
                                           made->vectors = vectors;
                                           if (number == 0) card = made.get();  // the other end of the wire is one, too
                                           return made;
                                         }}));
  }
  [[nodiscard]] Settings settings(std::uint16_t queues = 1) const {
    Settings settings;
    settings.rx.assign(queues, RxQueueConfig{.pool = pool, .cache = cache, .ring = 64});
    settings.tx.assign(queues, TxQueueConfig{.cache = cache, .ring = 64});
    return settings;
  }
  [[nodiscard]] Result<Port> start(const std::string& prefix = {}, std::uint16_t queues = 1) {
    return open(context, prefix + "sim:0?card=fake82574", settings(queues));
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::vector<std::string> log;
  std::uint16_t id = 0x10D3;
  unsigned vectors = 5;
  FakeCard* card = nullptr;
  Context context;
  Mempool pool;
  MempoolCache cache;
};

}  // namespace pollux::test
