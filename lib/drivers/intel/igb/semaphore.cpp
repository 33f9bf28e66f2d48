// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/semaphore.hpp"

#include <array>
#include <new>

// Follows the protocol of the I210 datasheet, 4.6.1 and 4.6.2, and of the 82575 manual, "Software-Firmware
// Synchronization", as Linux, e1000_82575.c, igb_acquire_swfw_sync_82575, does.
namespace pollux::drivers::igb {
namespace {

using Sync = reg::SW_FW_SYNC;

constexpr Duration kSemaphoreLimit = milliseconds(100);
constexpr Duration kResourceLimit = milliseconds(1000);

struct Owner {
  Sync::Setting software;
  Sync::Setting firmware;
};

Owner owner_bits(const Card& card, Shared which) {
  if (which == Shared::nvm) return {Sync::SW_EEP, Sync::FW_EEP};
  static constexpr std::array<Owner, 4> kPhys{{{Sync::SW_PHY0, Sync::FW_PHY0},
                                               {Sync::SW_PHY1, Sync::FW_PHY1},
                                               {Sync::SW_PHY2, Sync::FW_PHY2},
                                               {Sync::SW_PHY3, Sync::FW_PHY3}}};
  return kPhys[card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID)];
}

void put_semaphore(const Card& card) { clear<reg::SWSM>(card, reg::SWSM::SMBI | reg::SWSM::SWESMBI); }

// A read of SWSM that returns SMBI as 0 acquires SMBI. A write sets SWESMBI only while firmware does not hold it.
Result<void> get_semaphore(const Card& card) {
  auto software = wait_for(card, "the release of SWSM.SMBI", kSemaphoreLimit,
                           [&] { return !card.regs.read<reg::SWSM>().has(reg::SWSM::SMBI); });
  if (!software) return software;
  auto firmware = wait_for(card, "the grant of SWSM.SWESMBI", kSemaphoreLimit, [&] {
    modify<reg::SWSM>(card, reg::SWSM::SWESMBI);
    return card.regs.read<reg::SWSM>().has(reg::SWSM::SWESMBI);
  });
  if (!firmware) put_semaphore(card);
  return firmware;
}

Result<void> take(const Card& card, const Owner& owner) {
  Result<void> semaphore;
  auto taken = wait_for(
      card, "the release of SW_FW_SYNC", kResourceLimit,
      [&] {
        semaphore = get_semaphore(card);
        if (!semaphore) return true;
        const Sync::Value sync = card.regs.read<Sync>();
        const bool free = !sync.has_any(owner.software) && !sync.has_any(owner.firmware);
        if (free) card.regs.write<Sync>(sync.with(owner.software));
        put_semaphore(card);
        return free;
      },
      milliseconds(5));
  if (!semaphore) return semaphore;
  return taken;
}

}  // namespace

Result<SharedResource> SharedResource::acquire(const Card& card, Shared which) {
  const Owner owner = owner_bits(card, which);
  auto taken = take(card, owner);
  if (!taken && taken.error().code == ErrorCode::timeout) {
    // A driver that was killed leaves its bits set. DPDK, igb_ethdev.c, igb_reset_swfw_lock, also clears them.
    card.log(LogLevel::warning, taken.error().what + "; taking it over, since its holder seems to have died");
    put_semaphore(card);
    clear<Sync>(card, owner.software);
    taken = take(card, owner);
  }
  if (!taken) return pass_on(std::move(taken));
  return SharedResource(card, owner.software);
}

SharedResource::~SharedResource() {
  if (card_ == nullptr || card_->regs.removed()) return;
  // The bit is cleared even without the semaphore. If it stayed set, all others would be locked out.
  bool semaphore = false;
  try {
    semaphore = get_semaphore(*card_).has_value();
  } catch (const std::bad_alloc&) {  // from the error's text
  }
  clear<Sync>(*card_, bit_);
  if (semaphore) put_semaphore(*card_);
  card_->regs.bar().flush();
}

}  // namespace pollux::drivers::igb
