// SPDX-License-Identifier: BSD-3-Clause
#include "differential/observation.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstddef>

#include "differential/differences.hpp"

namespace pollux::differential {
namespace {

std::string without_numbers(const std::string& what) {
  std::string kind = what;
  std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
  return kind;
}

}  // namespace

// FNV-1a: nobody tries to deceive it.
void Observations::add_bytes(const std::string& what, const void* bytes, std::size_t size) {
  std::uint64_t sum = 0xCBF29CE484222325;
  for (std::size_t i = 0; i < size; ++i) {
    sum = (sum ^ static_cast<const std::uint8_t*>(bytes)[i]) * 0x100000001B3;
  }
  add(what, sum);
}

void Comparison::add(const Observations& model, const Observations& qemu, const std::string& where) {
  const std::size_t size = std::min(model.list().size(), qemu.list().size());
  for (std::size_t i = 0; i < size; ++i) {
    const Observation& ours = model.list()[i];
    const Observation& theirs = qemu.list()[i];
    // A position that differs, which has been noted, and so one of them has more behind it.
    if (ours.what != theirs.what) return;
    ++compared_;
    std::uint64_t different = ours.value ^ theirs.value;
    for (const Difference& known : known_differences()) {
      if ((different & known.bits) == 0 || !known.explains(ours.what, theirs.value)) continue;
      different &= ~known.bits;
      ++met_[known.tag];
    }
    if (different == 0) continue;
    Mismatch& mismatch = mismatches_[without_numbers(ours.what)];
    if (mismatch.times++ != 0) continue;
    mismatch.first = fmt::format("{}: {}: the model has {:#x}, QEMU {:#x}", where, ours.what, ours.value, theirs.value);
  }
}

std::string Comparison::report() const {
  std::string text;
  for (const auto& [kind, mismatch] : mismatches_) {
    text += fmt::format("{} ({} times)\n", mismatch.first, mismatch.times);
  }
  return text;
}

}  // namespace pollux::differential
