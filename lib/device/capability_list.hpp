// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/pci_regs.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "pollux/base/error.hpp"

namespace pollux {

/// The offsets of all PCI capabilities `id` in configuration space, in the order of its list: a device may have several
/// vendor-specific ones. PCI Local Bus 3.0, 6.7. `read(offset, width)` reads configuration space and returns a
/// Result<std::uint32_t>. Errors: those of `read`.
template <class Read>
[[nodiscard]] Result<std::vector<std::uint32_t>> find_capabilities(std::uint8_t id, const Read& read) {
  std::vector<std::uint32_t> found;
  auto status = read(PCI_STATUS, 2);
  if (!status) return pass_on(std::move(status));
  if ((*status & PCI_STATUS_CAP_LIST) == 0) return found;
  auto at = read(PCI_CAPABILITY_LIST, 1);
  if (!at) return pass_on(std::move(at));
  std::uint32_t next = *at;
  // The list comes from the device and may loop. It occupies bytes 0x40 to 0xff and an entry has at least four bytes,
  // so it has at most 48 entries.
  for (int entry = 0; entry < 48; ++entry) {
    const std::uint32_t position = next & 0xfcU;
    if (position < PCI_STD_HEADER_SIZEOF) break;
    auto header = read(position, 2);
    if (!header) return pass_on(std::move(header));
    const bool is_known = std::find(found.begin(), found.end(), position) != found.end();
    if ((*header & 0xffU) == id && !is_known) found.push_back(position);
    next = *header >> 8U;
  }
  return found;
}

/// The first of them; nullopt if the device has none.
template <class Read>
[[nodiscard]] Result<std::optional<std::uint32_t>> find_capability(std::uint8_t id, const Read& read) {
  auto all = find_capabilities(id, read);
  if (!all) return pass_on(std::move(all));
  return all->empty() ? std::nullopt : std::optional(all->front());
}

}  // namespace pollux
