// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/interrupts.hpp"

#include <algorithm>
#include <cstddef>

namespace pollux::models::igb {
namespace {

constexpr std::uint32_t kEntryWords = 4;
constexpr std::uint32_t kControlWord = 3;
constexpr std::uint32_t kMasked = 1;

}  // namespace

MsixTable::MsixTable(unsigned vectors) : words_(std::size_t{vectors} * kEntryWords) { reset(); }

void MsixTable::reset() {
  for (std::size_t word = 0; word < words_.size(); ++word)
    words_[word] = word % kEntryWords == kControlWord ? kMasked : 0;
  pending_ = 0;
}

bool MsixTable::masked(unsigned vector) const noexcept {
  return (words_[std::size_t{vector} * kEntryWords + kControlWord] & kMasked) != 0;
}

bool MsixTable::request(unsigned vector) {
  if (masked(vector)) pending_ |= bit(vector);
  return !masked(vector);
}

std::uint32_t MsixTable::read(std::uint32_t offset) const {
  if (offset / 4 < words_.size()) return words_[offset / 4];
  return offset == kPendingOffset ? pending_ : 0;
}

std::optional<unsigned> MsixTable::write(std::uint32_t offset, std::uint32_t value) {
  if (offset / 4 >= words_.size()) return std::nullopt;
  words_[offset / 4] = value;
  const unsigned vector = offset / (4 * kEntryWords);
  if (masked(vector) || (pending_ & bit(vector)) == 0) return std::nullopt;
  pending_ &= ~bit(vector);
  return vector;
}

namespace {

constexpr std::uint32_t kVectorBits = bit(hw::kMsixVectors) - 1;
constexpr std::uint32_t kEntryValid = 0x80;  // in each byte of IVAR

/// The valid bits of the extended registers: vectors in MSI-X mode, otherwise queues and the two other causes (QEMU,
/// igb_core.c).
std::uint32_t extended_bits(bool msix_mode) noexcept { return msix_mode ? kVectorBits : 0xC000FFFFU; }

}  // namespace

Interrupts::Interrupts(RegisterFile& registers, Timers& timers, const hw::CardTraits& traits, unsigned vectors)
    : registers_(registers),
      timers_(timers),
      ivar_distance_(traits.ivar_distance),
      vectors_(std::min(vectors, hw::kMsixVectors)) {
  for (unsigned vector = 0; vector < hw::kMsixVectors; ++vector) {
    interval_[vector] = timers_.add([this, vector] {
      if ((postponed_ & bit(vector)) == 0) return;
      postponed_ &= ~bit(vector);
      request(vector);
    });
  }
  install_legacy_hooks();
  install_extended_hooks();
  install_function_hooks();
}

void Interrupts::install_legacy_hooks() {
  registers_.on_read<hw::ICR>([this](std::uint32_t) { return read_icr(); });
  registers_.on_write<hw::ICR>([this](std::uint32_t, std::uint32_t value) {
    clear_masks_by_iam();
    change_bits<hw::ICR>(value, 0);
  });
  // ICS and EICS return the causes without clearing them. Linux igb, igb_ethtool.c, igb_get_regs.
  registers_.on_read<hw::ICS>([this](std::uint32_t) { return registers_.get<hw::ICR>().raw(); });
  registers_.on_write<hw::ICS>([this](std::uint32_t, std::uint32_t value) { add<hw::ICR>(value); });
  registers_.on_write<hw::IMS>([this](std::uint32_t, std::uint32_t value) { add<hw::IMS>(value); });
  registers_.on_write<hw::IMC>([this](std::uint32_t, std::uint32_t value) { change_bits<hw::IMS>(value, 0); });
}

void Interrupts::install_extended_hooks() {
  registers_.on_write<hw::PBACL>([this](std::uint32_t, std::uint32_t value) { table_.clear_pending(value); });
  registers_.on_read<hw::EICS>([this](std::uint32_t) { return registers_.get<hw::EICR>().raw(); });
  registers_.on_write<hw::EICS>(
      [this](std::uint32_t, std::uint32_t value) { raise_extended(value & ~function_bits()); });
  registers_.on_write<hw::EIMS>([this](std::uint32_t, std::uint32_t value) {
    add<hw::EIMS>(value & extended_bits(msix_mode()) & ~function_bits());
  });
  registers_.on_write<hw::EIMC>(
      [this](std::uint32_t, std::uint32_t value) { change_bits<hw::EIMS>(value & ~function_bits(), 0); });
  registers_.on_write<hw::EICR>(
      [this](std::uint32_t, std::uint32_t value) { change_bits<hw::EICR>(value & ~function_bits(), 0); });
}

void Interrupts::reset(bool function_level) {
  // All initial values are zero, and the register file is already cleared.
  for (const Timers::Id id : interval_) timers_.cancel(id);
  postponed_ = 0;
  function_vectors_.fill({});
  if (function_level) table_.reset();
}

bool Interrupts::msix_mode() const { return registers_.get<hw::GPIE>().has(hw::GPIE::MSIX_MODE); }

std::uint32_t Interrupts::pending_legacy() const {
  return registers_.get<hw::ICR>().raw() & registers_.get<hw::IMS>().raw();
}

std::uint32_t Interrupts::pending_extended() const {
  return registers_.get<hw::EICR>().raw() & registers_.get<hw::EIMS>().raw();
}

template <class R>
void Interrupts::add(std::uint32_t bits) {
  if ((registers_.get<R>().raw() & bits) == bits) return;  // common case: the cause is already set
  const std::uint32_t legacy = pending_legacy();
  const std::uint32_t extended = pending_extended();
  registers_.set<R>(typename R::Value(registers_.get<R>().raw() | bits));
  notify(legacy, extended);
}

void Interrupts::raise(hw::ICR::Setting causes) { add<hw::ICR>(causes.bits()); }

void Interrupts::unmask(std::uint32_t bits) { add<hw::EIMS>(bits); }

void Interrupts::raise_extended(std::uint32_t bits) { add<hw::EICR>(bits & extended_bits(msix_mode())); }

std::uint32_t Interrupts::entry_of(std::uint32_t queue, unsigned shift) const {
  const hw::QueueEntry at = hw::ivar_entry(queue, ivar_distance_);
  return registers_.get<hw::IVAR>(at.index).raw() >> (at.high ? shift + 16 : shift);
}

std::uint32_t Interrupts::receive_entry(std::uint32_t queue) const {
  return belongs_to_function(queue) ? entry_of_function(queue, 0) : entry_of(queue, 0);
}

std::uint32_t Interrupts::transmit_entry(std::uint32_t queue) const {
  return belongs_to_function(queue) ? entry_of_function(queue, 8) : entry_of(queue, 8);
}

std::optional<Duration> Interrupts::interval_of(std::uint32_t entry) const {
  const std::uint32_t vector = entry & 0x1F;
  if ((entry & kEntryValid) == 0 || vector >= hw::kMsixVectors) return std::nullopt;
  return std::chrono::microseconds(registers_.get<hw::EITR>(vector).get(hw::EITR::INTERVAL));
}

std::optional<Duration> Interrupts::receive_interval(std::uint32_t queue) const {
  return interval_of(receive_entry(queue));
}

std::optional<Duration> Interrupts::transmit_interval(std::uint32_t queue) const {
  return interval_of(transmit_entry(queue));
}

void Interrupts::raise_receive(std::uint32_t queue) {
  const std::uint32_t entry = receive_entry(queue);
  if ((entry & kEntryValid) != 0) raise_extended(bit(entry & 0x1F));
  if (!belongs_to_function(queue)) raise(hw::ICR::RXDW);
}

void Interrupts::raise_transmit(std::uint32_t queue) {
  const std::uint32_t entry = transmit_entry(queue);
  if ((entry & kEntryValid) != 0) raise_extended(bit(entry & 0x1F));
  if (!belongs_to_function(queue)) raise(hw::ICR::TXDW);
}

void Interrupts::raise_tcp_timer() {
  if (!msix_mode()) return raise_extended(hw::EICR::Value(hw::EICR::TCP_TIMER).raw());
  const hw::IVAR_MISC::Value vectors = registers_.get<hw::IVAR_MISC>();
  if (vectors.has(hw::IVAR_MISC::TCP_TIMER_VALID)) raise_extended(bit(vectors.get(hw::IVAR_MISC::TCP_TIMER)));
}

void Interrupts::notify(std::uint32_t legacy_before, std::uint32_t extended_before) {
  const std::uint32_t legacy = pending_legacy() & ~legacy_before;
  if (!msix_mode()) {
    const hw::ICR::Value icr = registers_.get<hw::ICR>();
    registers_.set<hw::ICR>(pending_legacy() != 0 ? icr.with(hw::ICR::INTA) : icr.without(hw::ICR::INTA));
    if (legacy == 0) return;
    registers_.change<hw::EICR>(0, hw::EICR::OTHER);
    return send_message(0);
  }
  const hw::IVAR_MISC::Value other = registers_.get<hw::IVAR_MISC>();
  if (legacy != 0 && other.has(hw::IVAR_MISC::OTHER_VALID)) {
    const std::uint32_t vector = bit(other.get(hw::IVAR_MISC::OTHER));
    change_bits<hw::EICR>(vector, vector);
  }
  const std::uint32_t raised = pending_extended() & ~extended_before & kVectorBits;
  for (unsigned vector = 0; vector < hw::kMsixVectors; ++vector) {
    if ((raised & bit(vector)) != 0) request(vector);
  }
}

void Interrupts::request(unsigned vector) {
  if (timers_.running(interval_[vector])) {
    postponed_ |= bit(vector);
    return;
  }
  const std::uint32_t microseconds = registers_.get<hw::EITR>(vector).get(hw::EITR::INTERVAL);
  if (microseconds != 0) timers_.start(interval_[vector], std::chrono::microseconds(microseconds));
  send_message(vector);
  change_bits<hw::EICR>(registers_.get<hw::EIAC>().raw() & bit(vector), 0);
  if (registers_.get<hw::GPIE>().has(hw::GPIE::EIAME)) {
    change_bits<hw::EIMS>(registers_.get<hw::EIAM>().raw() & bit(vector), 0);
  }
}

void Interrupts::send_message(unsigned vector) {
  if (const unsigned function = function_of(vector); function < functions_) {
    if (send_to_function_) send_to_function_(function, vector - first_vector(function));
    return;
  }
  if (mode_ == InterruptMode::pin) return;  // the platform sees `pin_asserted`
  if (vector >= (mode_ == InterruptMode::msi ? 1 : vectors_)) return;
  if (mode_ == InterruptMode::msix && !table_.request(vector)) return;
  registers_.set<hw::IAC>(hw::IAC::Value(registers_.get<hw::IAC>().raw() + 1));
  if (send_) send_(vector);
}

void Interrupts::clear_masks_by_iam() {
  const bool always = registers_.get<hw::GPIE>().has(hw::GPIE::NSICR);
  const bool asserted = registers_.get<hw::IMS>().raw() != 0 && registers_.get<hw::ICR>().has(hw::ICR::INTA);
  if (!always && !asserted) return;
  change_bits<hw::IMS>(registers_.get<hw::IAM>().raw(), 0);
}

std::uint32_t Interrupts::read_icr() {
  const hw::ICR::Value value = registers_.get<hw::ICR>();
  const bool clears = registers_.get<hw::GPIE>().has(hw::GPIE::NSICR) || registers_.get<hw::IMS>().raw() == 0 ||
                      value.has(hw::ICR::INTA);
  clear_masks_by_iam();
  if (clears) registers_.set<hw::ICR>(hw::ICR::Value());
  return value.raw();
}

void Interrupts::write_table(std::uint32_t offset, std::uint32_t value) {
  if (const auto due = table_.write(offset, value); due) send_message(*due);
}

// The interrupts of virtual functions. They are vectors of the card, which the functions access as their own.

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
