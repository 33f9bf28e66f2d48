// SPDX-License-Identifier: BSD-3-Clause
#include "differential/observation.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstddef>
#include <utility>

namespace pollux::differential {
namespace {

std::string without_numbers(const std::string& what) {
  std::string kind = what;
  std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
  return kind;
}

}  // namespace

// FNV-1a is enough: the bytes are not chosen to collide.
void Observations::add_bytes(const std::string& what, const void* bytes, std::size_t size) {
  std::uint64_t sum = 0xCBF29CE484222325;
  for (std::size_t i = 0; i < size; ++i) {
    sum = (sum ^ static_cast<const std::uint8_t*>(bytes)[i]) * 0x100000001B3;
  }
  add(what, sum);
}

Comparison::Comparison(Scope scope, std::span<const Difference> known) {
  for (const Difference& difference : known) {
    if (difference.scope == scope) known_.push_back({.difference = &difference});
  }
}

void Comparison::note(const std::string& kind, const std::string& text) {
  Mismatch& mismatch = mismatches_[kind];
  if (mismatch.times++ == 0) mismatch.first = text;
}

void Comparison::add(const Observations& model, const Observations& qemu, const std::string& where) {
  if (model.list().empty() && qemu.list().empty()) note("nothing", where + ": nothing was observed");
  const std::size_t both = std::min(model.list().size(), qemu.list().size());
  for (std::size_t i = 0; i < both; ++i) {
    const Observation& ours = model.list()[i];
    const Observation& theirs = qemu.list()[i];
    if (ours.what != theirs.what) {
      // The remaining observations can no longer be paired.
      note("other: " + without_numbers(ours.what),
           fmt::format("{}: where the model shows {}, QEMU shows {}", where, ours.what, theirs.what));
      return;
    }
    compare(ours, theirs, where);
  }
  for (const auto& [list, name] : {std::pair(&model.list(), "the model"), std::pair(&qemu.list(), "QEMU")}) {
    if (list->size() == both) continue;
    const std::string& what = (*list)[both].what;
    note("surplus: " + without_numbers(what),
         fmt::format("{}: only {} shows {} ({} more)", where, name, what, list->size() - both));
  }
}

void Comparison::compare(const Observation& model, const Observation& qemu, const std::string& where) {
  ++compared_;
  std::uint64_t different = model.value ^ qemu.value;
  for (Known& known : known_) {
    const Difference& difference = *known.difference;
    if ((different & difference.bits) == 0 || !difference.explains(model.what, model.value, qemu.value)) continue;
    known.bits_seen |= different & difference.bits;
    different &= ~difference.bits;
    ++met_[difference.tag];
  }
  if (different == 0) return;
  note(without_numbers(model.what),
       fmt::format("{}: {}: the model has {:#x}, QEMU {:#x}", where, model.what, model.value, qemu.value));
}

std::string Comparison::stale() const {
  std::string text;
  for (const Known& known : known_) {
    const Difference& difference = *known.difference;
    const bool any = difference.bits == Difference::kAnyBits && known.bits_seen != 0;
    if (any || known.bits_seen == difference.bits) continue;
    text += fmt::format("{} ({}): of the bits {:#x} only {:#x} were seen to differ\n", difference.what, difference.tag,
                        difference.bits, known.bits_seen);
  }
  return text;
}

std::string Comparison::report() const {
  std::string text;
  for (const auto& [kind, mismatch] : mismatches_) {
    text += fmt::format("{} ({} times)\n", mismatch.first, mismatch.times);
  }
  return text;
}

}  // namespace pollux::differential
