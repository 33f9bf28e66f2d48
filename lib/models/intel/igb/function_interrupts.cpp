// SPDX-License-Identifier: BSD-3-Clause
// The interrupts of virtual functions. They are vectors of the card, which the functions access as their own.
#include "hw/intel/igbvf/registers.hpp"
#include "models/intel/igb/interrupts.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::uint32_t kFunctionBits = bit(pollux::hw::igbvf::kMsixVectors) - 1;
constexpr std::uint32_t kValidEntry = 0x80;
constexpr std::uint32_t kVectorOfEntry = 0x3;

}  // namespace

std::uint32_t Interrupts::function_bits() const {
  std::uint32_t bits = 0;
  for (unsigned function = 0; function < functions_; ++function) bits |= kFunctionBits << first_vector(function);
  return bits;
}

// The physical function cannot change the bits of a virtual one.
void Interrupts::install_function_hooks() {
  registers_.on_write<hw::EIAC>(
      [this](std::uint32_t, std::uint32_t value) { change_bits<hw::EIAC>(~function_bits(), value); });
  registers_.on_write<hw::EIAM>(
      [this](std::uint32_t, std::uint32_t value) { change_bits<hw::EIAM>(~function_bits(), value); });
  registers_.on_read<hw::EICR>([this](std::uint32_t) {
    const std::uint32_t causes = registers_.get<hw::EICR>().raw() & ~function_bits();
    change_bits<hw::EICR>(~function_bits(), 0);
    return causes;
  });
}

std::uint32_t Interrupts::read_function(unsigned function, Extended which) {
  const std::uint32_t shift = first_vector(function);
  const std::uint32_t mask = kFunctionBits << shift;
  switch (which) {
    case Extended::mask: return (registers_.get<hw::EIMS>().raw() & mask) >> shift;
    case Extended::auto_clear: return (registers_.get<hw::EIAC>().raw() & mask) >> shift;
    case Extended::auto_mask: return (registers_.get<hw::EIAM>().raw() & mask) >> shift;
    case Extended::cause: {
      const std::uint32_t causes = (registers_.get<hw::EICR>().raw() & mask) >> shift;
      change_bits<hw::EICR>(mask, 0);
      return causes;
    }
    case Extended::set:
    case Extended::mask_clear: break;
  }
  return 0;
}

void Interrupts::write_function(unsigned function, Extended which, std::uint32_t value) {
  const std::uint32_t shift = first_vector(function);
  const std::uint32_t mask = kFunctionBits << shift;
  const std::uint32_t bits = (value & kFunctionBits) << shift;
  switch (which) {
    case Extended::set: return raise_extended(bits);
    case Extended::mask: return unmask(bits);
    case Extended::mask_clear: return change_bits<hw::EIMS>(bits, 0);
    case Extended::auto_clear: return change_bits<hw::EIAC>(mask, bits);
    case Extended::auto_mask: return change_bits<hw::EIAM>(mask, bits);
    case Extended::cause: return change_bits<hw::EICR>(bits, 0);
  }
}

void Interrupts::reset_function(unsigned function) {
  const std::uint32_t mask = kFunctionBits << first_vector(function);
  function_vectors_[function] = {};
  postponed_ &= ~mask;
  change_bits<hw::EIMS>(mask, 0);
  change_bits<hw::EIAC>(mask, 0);
  change_bits<hw::EIAM>(mask, 0);
  change_bits<hw::EICR>(mask, 0);
}

/// The entry of a function's queue, as in IVAR: QEMU, igb_core.c, igb_set_vtivar.
std::uint32_t Interrupts::entry_of_function(std::uint32_t queue, unsigned shift) const {
  const unsigned function = hw::pool_of(queue);
  const std::uint32_t entry = function_vectors_[function].queues >> (shift + (queue < hw::kPools ? 0 : 16));
  const std::uint32_t vector = entry & kVectorOfEntry;
  if ((entry & kValidEntry) == 0 || vector >= pollux::hw::igbvf::kMsixVectors) return 0;
  return kValidEntry | (first_vector(function) + vector);
}

void Interrupts::raise_mailbox_of(unsigned function) {
  const std::uint32_t entry = function_vectors_[function].mailbox;
  const std::uint32_t vector = entry & kVectorOfEntry;
  if (function >= functions_ || (entry & kValidEntry) == 0 || vector >= pollux::hw::igbvf::kMsixVectors) return;
  raise_extended(bit(first_vector(function) + vector));
}

}  // namespace pollux::models::igb
