// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// The machine that QEMU is told to be: a q35 without a guest, two 82576 on a hub, and the device that turns interrupt
/// messages into eventfds. Descriptors are QEMU's own: it inherits them under these numbers.
struct MachinePlan {
  static constexpr unsigned kCards = 2;
  static constexpr unsigned kFirstSlot = 4;     ///< of the cards on PCI bus 0, every second slot
  static constexpr unsigned kDoorbellSlot = 3;  ///< of the device behind interrupts

  std::string qemu;       ///< path
  int socket = -1;        ///< the test protocol
  int memory = -1;        ///< RAM, from its first byte on
  std::uint64_t ram = 0;  ///< bytes
  int firmware = -1;      ///< from `make_firmware`
  int doorbells = -1;     ///< the socket of a DoorbellServer
  unsigned doorbell_vectors = 0;
  unsigned first_card = 0;  ///< its number, for the MAC addresses
};

[[nodiscard]] std::vector<std::string> command_line(const MachinePlan& plan);

/// What the processor runs after reset, as a nameless file: it switches interrupts off and halts.
[[nodiscard]] Result<FileDescriptor> make_firmware();

/// Bytes of RAM that lie in one piece from address 0 on, for a file of `file_size` bytes with pages of `page_size`: q35
/// cuts RAM at 2 GiB if there are 2.75 GiB or more (QEMU, hw/i386/pc_q35.c, pc_q35_init).
[[nodiscard]] std::uint64_t usable_ram(std::uint64_t file_size, std::uint64_t page_size);

}  // namespace pollux::qtest
