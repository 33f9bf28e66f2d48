// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/nvm.hpp"

#include <utility>

#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/nvm.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::uint16_t kImageVersion = 0x1000;  // 1.0

}  // namespace

Nvm::Nvm(RegisterFile& registers, Timers& timers, const hw::nvm::NvmTraits& traits,
         std::function<Duration()> begin_read)
    : registers_(registers),
      timers_(timers),
      traits_(traits),
      begin_read_(std::move(begin_read)),
      done_(timers.add([this] { finish_read(); })),
      pins_(timers, words_) {
  words_.fill(0xFFFF);  // the value of erased memory
  registers_.on_write<hw::EERD>([this](std::uint32_t, std::uint32_t value) { start_read(hw::EERD::Value(value)); });
  registers_.on_write<hw::EECD>([this](std::uint32_t, std::uint32_t value) { write_pins(hw::EECD::Value(value)); });
}

/// The pins are connected while access is requested. The grant comes at once.
void Nvm::write_pins(hw::EECD::Value written) {
  const auto keep =
      hw::EECD::PRES | hw::EECD::AUTO_RD | hw::EECD::ADDR_BITS | hw::EECD::SIZE(hw::EECD::SIZE.max()) | hw::EECD::DO;
  hw::EECD::Value stored(written.without(keep).raw() |
                         (registers_.get<hw::EECD>().without(hw::EECD::DO).raw() & keep.mask()));
  if (written.has(hw::EECD::REQ)) {
    const bool out = pins_.set(written.has(hw::EECD::CS), written.has(hw::EECD::SK), written.has(hw::EECD::DI));
    stored = out ? stored.with(hw::EECD::GNT | hw::EECD::DO) : stored.with(hw::EECD::GNT);
  } else {
    pins_.reset();
    stored = stored.without(hw::EECD::GNT);
  }
  registers_.set<hw::EECD>(stored);
}

void Nvm::program(std::array<std::uint8_t, 6> mac, std::uint16_t device_id) {
  namespace layout = hw::nvm;
  for (std::size_t i = 0; i < 3; ++i) {
    words_[layout::kMacAddress + i] = static_cast<std::uint16_t>(mac[2 * i] | mac[2 * i + 1] << 8);
  }
  for (std::size_t i = 3; i <= traits_.checksum; ++i) words_[i] = 0;
  words_[layout::kSubsystemId] = device_id;
  words_[layout::kSubsystemVendorId] = hw::kVendorId;
  words_[layout::kDeviceId] = device_id;
  words_[layout::kVendorId] = hw::kVendorId;
  words_[layout::kVersion] = kImageVersion;
  words_[layout::kInitControl2] = layout::kPauseBoth;
  if (traits_.alternate_mac_pointer) words_[*traits_.alternate_mac_pointer] = 0xFFFF;
  words_[traits_.checksum] = layout::checksum_for(std::span(words_).first(traits_.checksum));
}

std::array<std::uint8_t, 6> Nvm::mac() const {
  const std::span<const std::uint16_t, kWords> all(words_);
  return hw::nvm::mac_address(all.first<3>());
}

void Nvm::reset() {
  timers_.cancel(done_);
  pins_.reset();
  loaded_ = false;
  waiting_ = false;
  // SIZE is 2, as on QEMU's card (igb_core.c, igb_mac_reg_init).
  registers_.set<hw::EECD>(hw::EECD::PRES | hw::EECD::SIZE(2));
}

void Nvm::set_loaded(bool loaded) {
  loaded_ = loaded;
  if (loaded && std::exchange(waiting_, false)) timers_.start(done_, read_time_);
  const hw::EECD::Value eecd = registers_.get<hw::EECD>();
  registers_.set<hw::EECD>(loaded ? eecd.with(hw::EECD::AUTO_RD) : eecd.without(hw::EECD::AUTO_RD));
}

void Nvm::start_read(hw::EERD::Value request) {
  registers_.set<hw::EERD>(hw::EERD::ADDR(request.get(hw::EERD::ADDR)));
  if (!request.has(hw::EERD::START)) return;
  const Duration delay = begin_read_();
  waiting_ = !loaded_;
  if (loaded_) timers_.start(done_, delay + read_time_);
}

void Nvm::finish_read() {
  const std::uint32_t address = registers_.get<hw::EERD>().get(hw::EERD::ADDR);
  if (address >= kWords) return;  // never completes, as on QEMU's card (igb_core.c, igb_set_eerd)
  registers_.set<hw::EERD>(hw::EERD::ADDR(address) | hw::EERD::DATA(words_[address]) | hw::EERD::DONE);
}

}  // namespace pollux::models::igb
