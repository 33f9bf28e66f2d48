// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/nvm_control.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "drivers/intel/gigabit/nvm.hpp"
#include "hw/intel/gigabit/nvm.hpp"

namespace pollux::drivers::gigabit {
namespace {

namespace eeprom = hw::gigabit::eeprom;
namespace layout = hw::gigabit::nvm;

/// The words that EERD.ADDR reaches. Linux, e1000_82575.c, igb_init_nvm_params_82575, reads a larger NVM by its pins,
/// too.
constexpr std::uint32_t kEerdWords = 1U << 14;
/// Read at once by the pins, so that others need not wait for long.
constexpr std::uint32_t kPieceWords = 256;

// Linux, e1000_nvm.c, igb_get_fw_version. The digits of the minor version are decimal. Older images have an image id in
// their lowest digit, newer ones a track id elsewhere.
NvmVersion version_of(std::uint16_t word, std::uint16_t track_low, std::uint16_t track_high) {
  constexpr unsigned kHasTrackId = 0x8000;
  NvmVersion version{.major = static_cast<std::uint8_t>(word >> 12)};
  const unsigned middle = word >> 4 & 0xFF;
  if ((track_high & 0xF000U) != kHasTrackId) {
    version.minor = static_cast<std::uint8_t>(middle);
    version.image = static_cast<std::uint8_t>(word & 0xF);
    return version;
  }
  const unsigned digits = (word & 0x0F00) == 0 ? word & 0xFFU : middle;
  version.minor = static_cast<std::uint8_t>(digits / 16 * 10 + digits % 16);
  version.track_id = std::uint32_t{track_high} << 16 | track_low;
  return version;
}

/// A run of words of one page, from `at` on.
std::uint32_t rest_of_page(std::uint32_t at, std::uint32_t page_bytes) {
  const std::uint32_t page_words = page_bytes / 2;
  return page_words - at % page_words;
}

}  // namespace

Result<void> NvmControl::expect_pins() const {
  if (auto present = expect_present(card_); !present || card_.family.features.nvm_pins) return present;
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the card has no EEPROM at its pins (it never sets EECD.GNT)", card_.name),
              "its NVM can only be read; write that of an in-process 82576 or I350, or of a real one");
}

Result<void> NvmControl::expect_words() const {
  if (auto present = expect_present(card_); !present || has_words(card_)) return present;
  return fail(ErrorCode::not_supported, fmt::format("{}: the card has no flash, only its one-time memory", card_.name),
              "its address is that of the port; there is no other word to read");
}

Result<void> NvmControl::check_range(std::uint32_t first, std::size_t count) const {
  const std::uint32_t words = NvmPins::geometry(card_).words;
  if (count == 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: 0 words of the NVM are asked for", card_.name),
                "choose at least one word");
  }
  if (first < words && count <= words - first) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: {} words from word {:#x} on are not in the NVM, which has {:#x} words", card_.name,
                          count, first, words),
              "choose words inside the NVM");
}

Result<NvmInfo> NvmControl::nvm_info() {
  if (auto present = expect_words(); !present) return pass_on(std::move(present));
  std::vector<std::uint16_t> words(layout::kTrackId + 2U);
  // A small one ends before the track id. QEMU's card never answers for a word beyond it.
  const std::uint32_t size = NvmPins::geometry(card_).words;
  const auto present_words = std::span(words).first(std::min<std::size_t>(words.size(), size));
  if (auto read = gigabit::read_nvm(card_, 0, present_words); !read) return pass_on(std::move(read));
  return NvmInfo{.words = size,
                 .vendor_id = words[layout::kVendorId],
                 .device_id = words[layout::kDeviceId],
                 .checksum_holds = layout::checksum_holds(std::span(words).first(card_.family.nvm.checksum + 1U)),
                 .version = version_of(words[layout::kVersion], words[layout::kTrackId], words[layout::kTrackId + 1])};
}

Result<std::vector<std::uint16_t>> NvmControl::read_nvm(std::uint32_t first, std::uint32_t count) {
  if (auto present = expect_words(); !present) return pass_on(std::move(present));
  if (auto fits = check_range(first, count); !fits) return pass_on(std::move(fits));
  if (first + count > kEerdWords) return read_by_pins(first, count);
  std::vector<std::uint16_t> words(count);
  if (auto read = gigabit::read_nvm(card_, static_cast<std::uint16_t>(first), words); !read)
    return pass_on(std::move(read));
  return words;
}

Result<std::vector<std::uint16_t>> NvmControl::read_by_pins(std::uint32_t first, std::uint32_t count) const {
  if (auto usable = expect_pins(); !usable) return pass_on(std::move(usable));
  std::vector<std::uint16_t> words;
  while (words.size() < count) {
    const auto at = first + static_cast<std::uint32_t>(words.size());
    auto pins = NvmPins::acquire(card_);
    if (!pins) return pass_on(std::move(pins));
    auto piece = pins->read(at, std::min(kPieceWords, first + count - at));
    if (!piece) return piece;
    words.insert(words.end(), piece->begin(), piece->end());
  }
  return words;
}

Result<NvmProtection> NvmControl::nvm_protection() {
  if (auto usable = expect_pins(); !usable) return pass_on(std::move(usable));
  auto pins = NvmPins::acquire(card_);
  if (!pins) return pass_on(std::move(pins));
  auto status = pins->status();
  if (!status) return pass_on(std::move(status));
  return static_cast<NvmProtection>((*status & eeprom::kProtection) >> eeprom::kProtectionShift);
}

Result<void> NvmControl::set_nvm_protection(NvmProtection protection) {
  if (auto usable = expect_pins(); !usable) return usable;
  {
    auto pins = NvmPins::acquire(card_);
    if (!pins) return pass_on(std::move(pins));
    const auto wanted = static_cast<unsigned>(protection) << eeprom::kProtectionShift;
    if (auto written = pins->write_status(static_cast<std::uint8_t>(wanted)); !written) return written;
  }
  auto now = nvm_protection();
  if (!now) return pass_on(std::move(now));
  if (*now == protection) return {};
  return fail(ErrorCode::device_fault, fmt::format("{}: the EEPROM keeps its write protection", card_.name),
              "its WP pin protects it; see the board's documentation");
}

/// Checks that the words before `end` may be written up to the last one.
Result<void> NvmControl::check_protection(std::uint32_t end) const {
  auto pins = NvmPins::acquire(card_);
  if (!pins) return pass_on(std::move(pins));
  auto status = pins->status();
  if (!status) return pass_on(std::move(status));
  const std::uint32_t bytes = NvmPins::geometry(card_).words * 2;
  const std::uint32_t first =
      eeprom::first_protected((*status & eeprom::kProtection) >> eeprom::kProtectionShift, bytes) / 2;
  if (end <= first) return {};
  return fail(ErrorCode::bad_state, fmt::format("{}: the NVM is write-protected from word {:#x} on", card_.name, first),
              "remove the protection first: Nvm::set_nvm_protection, or pollux nvm PORT --protect none");
}

Result<std::uint16_t> NvmControl::checksum_after(const Words& wanted) const {
  const std::uint32_t section = section_with(wanted.first);
  const std::uint32_t last = card_.family.nvm.checksum;
  std::vector<std::uint16_t> content(last);
  if (auto read = gigabit::read_nvm(card_, static_cast<std::uint16_t>(section), content); !read)
    return pass_on(std::move(read));
  for (std::uint32_t i = 0; i < wanted.words.size() && wanted.first - section + i < last; ++i) {
    content[wanted.first - section + i] = wanted.words[i];
  }
  return layout::checksum_for(content);
}

/// The port's section that a word belongs to; the first one for words of none.
std::uint32_t NvmControl::section_with(std::uint32_t word) const noexcept {
  const layout::NvmTraits& nvm = card_.family.nvm;
  for (std::uint32_t port = 1; port < nvm.sections; ++port) {
    const std::uint32_t first = layout::section_of(nvm, port);
    if (first <= word && word <= first + nvm.checksum) return first;
  }
  return 0;
}

// Linux, igb_ethtool.c, igb_set_eeprom, also updates the checksum after each write.
Result<void> NvmControl::write_nvm(std::uint32_t first, std::span<const std::uint16_t> words) {
  if (auto usable = expect_pins(); !usable) return usable;
  if (auto fits = check_range(first, words.size()); !fits) return fits;
  const std::uint32_t last = section_with(first) + card_.family.nvm.checksum;
  const auto end = static_cast<std::uint32_t>(first + words.size());
  if (card_.family.nvm.sections > 1 && section_with(end - 1) != section_with(first)) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: these words are those of two ports", card_.name),
                "write the words of each port by themselves: each has a checksum of its own");
  }
  const bool has_checksum = first <= last && last < end;
  const Words wanted{first, words};
  auto checksum = checksum_after(wanted);
  if (!checksum) return pass_on(std::move(checksum));
  if (has_checksum && words[last - first] != *checksum) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: word {:#x} would be {:#06x}, but the checksum of these words is {:#06x}", card_.name,
                            last, words[last - first], *checksum),
                "leave the checksum word out; it is written by itself");
  }
  if (auto allowed = check_protection(first < last ? std::max(end, last + 1) : end); !allowed) return allowed;
  if (auto written = write_words(wanted); !written) return written;
  if (first > last || has_checksum) return {};
  const std::array<std::uint16_t, 1> sum{*checksum};
  auto summed = write_words({last, sum});
  if (summed) return {};
  Error error = std::move(summed).error();
  error.what += "; the other words were written, so the checksum is wrong";
  return tl::unexpected<Error>(std::move(error));
}

Result<void> NvmControl::write_words(const Words& wanted) const {
  std::optional<NvmPins> pins;
  Duration since{0};
  const std::uint32_t page_bytes = NvmPins::geometry(card_).page_bytes;
  std::uint32_t done = 0;
  const auto page = [&](std::span<const std::uint16_t> words, std::uint32_t at) -> Result<void> {
    if (pins && card_.clock().now() - since >= kHoldLimit) {
      pins.reset();
      card_.clock().sleep_for(kPauseForOthers);
    }
    if (!pins) {
      auto acquired = NvmPins::acquire(card_);
      if (!acquired) return pass_on(std::move(acquired));
      pins.emplace(*std::move(acquired));
      since = card_.clock().now();
    }
    auto before = pins->read(at, static_cast<std::uint32_t>(words.size()));
    if (!before) return pass_on(std::move(before));
    if (std::ranges::equal(*before, words)) return {};
    if (auto written = pins->write_page(at, words); !written) return written;
    auto after = pins->read(at, static_cast<std::uint32_t>(words.size()));
    if (!after) return pass_on(std::move(after));
    if (std::ranges::equal(*after, words)) return {};
    const auto wrong = static_cast<std::uint32_t>(std::ranges::mismatch(*after, words).in1 - after->begin());
    return fail(ErrorCode::device_fault,
                fmt::format("{}: NVM word {:#x} reads {:#06x} after {:#06x} was written", card_.name, at + wrong,
                            (*after)[wrong], words[wrong]),
                "write the old words again before the port is closed; the EEPROM may be protected or worn out");
  };
  while (done < wanted.words.size()) {
    const std::uint32_t at = wanted.first + done;
    const auto left = static_cast<std::uint32_t>(wanted.words.size()) - done;
    const std::uint32_t count = std::min(left, rest_of_page(at, page_bytes));
    if (auto written = page(wanted.words.subspan(done, count), at); !written) {
      Error error = std::move(written).error();
      error.what += done == 0 ? fmt::format("; no word before {:#x} was written", at)
                              : fmt::format("; the words {:#x} to {:#x} were written", wanted.first, at - 1);
      return tl::unexpected<Error>(std::move(error));
    }
    done += count;
  }
  return {};
}

}  // namespace pollux::drivers::gigabit
