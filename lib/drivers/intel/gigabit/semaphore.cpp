// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/semaphore.hpp"

#include <array>
#include <new>

// Follows the protocol of the I210 datasheet, 4.6.1 and 4.6.2, and of the 82575 manual, p. 414, "Software-Firmware
// Synchronization", as Linux, e1000_82575.c, igb_acquire_swfw_sync_82575, does. SW_FW_SYNC is only changed by a holder
// of both semaphores.
namespace pollux::drivers::gigabit {
namespace {

using Sync = reg::SW_FW_SYNC;

/// A semaphore is held for microseconds. One that is not free within this time belongs to a driver that was killed.
constexpr Duration kSemaphoreLimit = milliseconds(100);
/// [I-SWFW] Firmware, too, takes a resource from an owner that holds it for a second (I210 datasheet, 4.6.1).
constexpr Duration kResourceLimit = milliseconds(1000);
constexpr Duration kAttemptInterval = milliseconds(5);
/// Each port of a package waits longer for its recovery than the port before it, so that it never takes what that port
/// has just taken.
constexpr Duration kRecoveryStagger = milliseconds(20);
/// A pause after a recovery, in which waiting ports acquire the resource first. Longer than the interval of their
/// attempts.
constexpr Duration kRecoveryPause = milliseconds(10);

struct Owner {
  Sync::Setting software;
  Sync::Setting firmware;
  Duration stagger;
};

Owner owner_bits(const GigabitCard& card, Shared which) {
  static constexpr std::array<Owner, 4> kPhys{{{Sync::SW_PHY0, Sync::FW_PHY0, kRecoveryStagger * 0},
                                               {Sync::SW_PHY1, Sync::FW_PHY1, kRecoveryStagger * 1},
                                               {Sync::SW_PHY2, Sync::FW_PHY2, kRecoveryStagger * 2},
                                               {Sync::SW_PHY3, Sync::FW_PHY3, kRecoveryStagger * 3}}};
  const Owner& phy = kPhys[card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID)];
  return which == Shared::phy ? phy : Owner{Sync::SW_EEP, Sync::FW_EEP, phy.stagger};
}

// While the caller holds SMBI, a read of SWSM does not take it.
void put_semaphore(const GigabitCard& card) { clear<reg::SWSM>(card, reg::SWSM::SMBI | reg::SWSM::SWESMBI); }

// A read of SWSM that returns SMBI as 0 acquires SMBI. A write sets SWESMBI only while firmware does not hold it.
Result<void> get_semaphore(const GigabitCard& card, Duration limit) {
  auto software =
      wait_for(card, "SWSM.SMBI being free", limit, [&] { return !card.regs.read<reg::SWSM>().has(reg::SWSM::SMBI); });
  if (!software) return software;
  auto firmware = wait_for(card, "SWSM.SWESMBI being granted", kSemaphoreLimit, [&] {
    modify<reg::SWSM>(card, reg::SWSM::SWESMBI);
    return card.regs.read<reg::SWSM>().has(reg::SWSM::SWESMBI);
  });
  if (!firmware) put_semaphore(card);
  return firmware;
}

// DPDK, igb_ethdev.c, igb_reset_swfw_lock, also releases what an application left when it ended.
Result<void> get_semaphore_or_recover(const GigabitCard& card, const Owner& owner) {
  auto got = get_semaphore(card, kSemaphoreLimit + owner.stagger);
  if (got || got.error().code != ErrorCode::timeout) return got;
  card.log(LogLevel::warning, got.error().what + "; releasing it, since its holder seems to have died");
  put_semaphore(card);
  return get_semaphore(card, kSemaphoreLimit + owner.stagger);
}

// [I-SWFW] Each side owns a half of the register (82575 manual, p. 414). Firmware's half is written as zeros.
void write_sync(const GigabitCard& card, Sync::Value sync) {
  card.regs.write<Sync>(Sync::Value(sync.raw() & Sync::kSoftwareHalf));
}

Result<void> take(const GigabitCard& card, const Owner& owner) {
  Result<void> semaphore;
  auto taken = wait_for(
      card, "SW_FW_SYNC being free", kResourceLimit + owner.stagger,
      [&] {
        semaphore = get_semaphore_or_recover(card, owner);
        if (!semaphore) return true;
        const Sync::Value sync = card.regs.read<Sync>();
        const bool free = !sync.has_any(owner.software) && !sync.has_any(owner.firmware) && !sync.all_ones();
        if (free) write_sync(card, sync.with(owner.software));
        put_semaphore(card);
        return free;
      },
      kAttemptInterval);
  if (!semaphore) return semaphore;
  return taken;
}

/// Clears the bit of an owner that has had it for kResourceLimit. Firmware's bit is never cleared: if it is set,
/// returns the error `why`.
Result<void> release_dead(const GigabitCard& card, const Owner& owner, const Error& why) {
  if (auto semaphore = get_semaphore_or_recover(card, owner); !semaphore) return semaphore;
  const Sync::Value sync = card.regs.read<Sync>();
  const bool firmware = sync.has_any(owner.firmware) || sync.all_ones();
  if (!firmware) write_sync(card, sync.without(owner.software));
  put_semaphore(card);
  if (firmware) return tl::unexpected<Error>(why);
  card.regs.flush();
  card.log(LogLevel::warning, why.what + "; taking it over, since its holder seems to have died");
  card.clock().sleep_for(kRecoveryPause);
  return {};
}

// Linux e1000e, 82571.c, e1000_get_hw_semaphore_82573. The card has one port, so a bit that is set already was left by
// a driver that has ended.
Result<void> take_mdio(const GigabitCard& card) {
  using hw::gigabit::EXTCNF_CTRL;
  return wait_for(
      card, "EXTCNF_CTRL.MDIO_SOFTWARE being granted", kResourceLimit,
      [&] {
        modify<EXTCNF_CTRL>(card, EXTCNF_CTRL::MDIO_SOFTWARE);
        return card.regs.read<EXTCNF_CTRL>().has(EXTCNF_CTRL::MDIO_SOFTWARE);
      },
      kAttemptInterval);
}

void put_mdio(const GigabitCard& card) {
  using hw::gigabit::EXTCNF_CTRL;
  clear<EXTCNF_CTRL>(card, EXTCNF_CTRL::MDIO_SOFTWARE);
  card.regs.bar().flush();
}

}  // namespace

Result<SharedResource> SharedResource::acquire(const GigabitCard& card, Shared which) {
  if (card.family.ownership == hw::gigabit::Ownership::mdio) {
    if (auto taken = take_mdio(card); !taken) return pass_on(std::move(taken));
    return SharedResource(card, which);
  }
  const Owner owner = owner_bits(card, which);
  auto taken = take(card, owner);
  if (!taken && taken.error().code == ErrorCode::timeout) {
    taken = release_dead(card, owner, taken.error());
    if (taken) taken = take(card, owner);
  }
  if (!taken) return pass_on(std::move(taken));
  return SharedResource(card, which);
}

SharedResource::~SharedResource() {
  if (card_ == nullptr || card_->regs.removed()) return;
  if (card_->family.ownership == hw::gigabit::Ownership::mdio) {
    put_mdio(*card_);
    return;
  }
  const Owner owner = owner_bits(*card_, which_);
  // Without the semaphores the bit stays set. The next owner then takes it over, as from a driver that was killed.
  try {
    if (!get_semaphore_or_recover(*card_, owner)) return;
  } catch (const std::bad_alloc&) {  // from the error's text
    return;
  }
  write_sync(*card_, card_->regs.read<Sync>().without(owner.software));
  put_semaphore(*card_);
  card_->regs.bar().flush();
}

}  // namespace pollux::drivers::gigabit
