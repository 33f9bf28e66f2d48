// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/pci_regs.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "pollux/base/error.hpp"

namespace pollux {

/// The offset of the PCI capability `id` in configuration space; nullopt if the device has none. PCI Local
/// Bus 3.0, 6.7. `read(offset, width)` reads configuration space and returns a Result<std::uint32_t>. Errors: those of
/// `read`.
template <class Read>
[[nodiscard]] Result<std::optional<std::uint32_t>> find_capability(std::uint8_t id, const Read& read) {
  auto status = read(PCI_STATUS, 2);
  if (!status) return pass_on(std::move(status));
  if ((*status & PCI_STATUS_CAP_LIST) == 0) return std::nullopt;
  auto at = read(PCI_CAPABILITY_LIST, 1);
  if (!at) return pass_on(std::move(at));
  std::uint32_t next = *at;
  // The list comes from the device and may loop. It occupies bytes 0x40 to 0xff and an entry has at least four bytes,
  // so it has at most 48 entries.
  for (int entry = 0; entry < 48; ++entry) {
    const std::uint32_t position = next & 0xfcU;
    if (position < PCI_STD_HEADER_SIZEOF) return std::nullopt;
    auto header = read(position, 2);
    if (!header) return pass_on(std::move(header));
    if ((*header & 0xffU) == id) return position;
    next = *header >> 8U;
  }
  return std::nullopt;
}

}  // namespace pollux
