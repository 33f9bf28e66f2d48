// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/package.hpp"

namespace pollux::models::igb {
namespace {

using Sync = hw::SW_FW_SYNC;

/// I210 datasheet, p. 415: firmware may take SWESMBI from software that holds it for longer.
constexpr Duration kSemaphoreLimit = std::chrono::milliseconds(10);

/// The software's bits of a port's PHY.
std::uint32_t phy_bit(Package::Port port) {
  static constexpr std::array<Sync::Setting, 4> kBits{Sync::SW_PHY0, Sync::SW_PHY1, Sync::SW_PHY2, Sync::SW_PHY3};
  return kBits[port % kBits.size()].bits();
}

}  // namespace

hw::SWSM::Value Package::read_swsm(Port port, Duration now) {
  hw::SWSM::Value value;
  if (smbi_.by) value = value.with(hw::SWSM::SMBI);
  if (swesmbi_.by) value = value.with(hw::SWSM::SWESMBI);
  if (!smbi_.by) smbi_ = {port, now};
  return value;
}

void Package::release(Held& semaphore, Port port, Duration now, Duration dead) {
  if (semaphore.by && *semaphore.by != port && now - semaphore.since < dead) ++violations_.taken_from_living;
  semaphore = {};
}

// SWESMBI cannot be set while firmware has its semaphore (I210 datasheet, p. 415).
void Package::write_swsm(Port port, hw::SWSM::Value value, Duration now) {
  if (value.has(hw::SWSM::SWESMBI)) {
    if (!swesmbi_.by && !firmware_semaphore_) swesmbi_ = {port, now};
  } else if (swesmbi_.by) {
    if (swesmbi_.by == port && now - swesmbi_.since > kSemaphoreLimit) ++violations_.semaphore_kept;
    release(swesmbi_, port, now, kDeadSemaphore);
  }
  if (!value.has(hw::SWSM::SMBI)) release(smbi_, port, now, kDeadSemaphore);
}

hw::FWSM::Value Package::fwsm() const {
  return firmware_semaphore_ ? hw::FWSM::Value(hw::FWSM::FW_SEMAPHORE) : hw::FWSM::Value();
}

// [I-SWFW] Software's writes do not reach firmware's half.
void Package::write_sync(Port port, Sync::Value value, Duration now) {
  if (!holds_semaphores(port)) ++violations_.without_semaphores;
  if (value.raw() >> kSoftwareBits != 0) ++violations_.firmware_bits;
  const std::uint32_t before = sync_.raw();
  const std::uint32_t software = value.raw() & Sync::kSoftwareHalf;
  for (std::uint32_t bit = 0; bit < kSoftwareBits; ++bit) {
    const std::uint32_t mask = 1U << bit;
    Held& owner = owners_[bit];
    const bool foreign = owner.by && *owner.by != port;
    if ((software & mask) != 0 && (before & mask) == 0) {
      if ((before & mask << kSoftwareBits) != 0) ++violations_.taken_from_living;
      owner = {port, now};
    } else if ((software & mask) == 0 && (before & mask) != 0) {
      if (foreign && now - owner.since < kDeadOwner) ++violations_.taken_from_living;
      owner = {};
    }
  }
  sync_ = Sync::Value((before & ~Sync::kSoftwareHalf) | software);
}

Duration Package::begin_nvm_read(Port port, Duration now) {
  const bool owns = sync_.has(Sync::SW_EEP) && owners_[0].by == port;
  if (!owns) ++violations_.nvm_without_owner;
  const bool busy = sync_.has(Sync::FW_EEP) && firmware_due_ != Duration::max() && firmware_due_ > now;
  return busy ? firmware_due_ - now : Duration(0);
}

void Package::access_phy(Port port) {
  const std::uint32_t bit = phy_bit(port);
  std::uint32_t number = 0;
  while (bit >> number != 1) ++number;
  if ((sync_.raw() & bit) == 0 || owners_[number].by != port) ++violations_.phy_without_owner;
}

void Package::set_firmware(const FirmwareOptions& options, Duration now) {
  firmware_ = options;
  firmware_due_ = options.interval > Duration(0) ? now + options.interval : Duration::max();
}

// A use of the resource has three steps: the semaphore, then the resource, then the semaphore to give it back. In each
// step firmware changes SW_FW_SYNC only while it holds the semaphore.
Duration Package::run_firmware(Duration now) {
  const std::uint32_t resource = firmware_.resource.bits();
  while (firmware_due_ <= now) {
    if (!firmware_semaphore_) {
      firmware_semaphore_ = !swesmbi_.by;
      firmware_due_ += kFirmwareStep;
    } else if ((sync_.raw() & resource) != 0) {
      sync_ = Sync::Value(sync_.raw() & ~resource);
      firmware_semaphore_ = false;
      firmware_due_ += firmware_.interval;
    } else if ((sync_.raw() & resource >> kSoftwareBits) != 0) {
      firmware_semaphore_ = false;
      firmware_due_ += firmware_.interval;
    } else {
      sync_ = Sync::Value(sync_.raw() | resource);
      ++firmware_turns_;
      firmware_semaphore_ = false;
      firmware_due_ += firmware_.hold;
    }
  }
  return firmware_due_;
}

void Package::leave(Port port, hw::SWSM::Value semaphores, Sync::Value resources, Duration now) {
  if (semaphores.has(hw::SWSM::SMBI)) smbi_ = {port, now};
  if (semaphores.has(hw::SWSM::SWESMBI)) swesmbi_ = {port, now};
  for (std::uint32_t bit = 0; bit < kSoftwareBits; ++bit) {
    if ((resources.raw() >> bit & 1) != 0) owners_[bit] = {port, now};
  }
  sync_ = Sync::Value(sync_.raw() | resources.raw());
}

}  // namespace pollux::models::igb
