// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/qtest/interrupts.hpp"
#include "backends/qtest/process.hpp"
#include "backends/qtest/target.hpp"
#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// The configuration of a QEMU machine: a q35 without a guest, two cards on a hub, and the device that turns interrupt
/// messages into eventfds. QEMU inherits the descriptors under the same numbers.
struct MachineConfig {
  static constexpr unsigned kCards = 2;
  static constexpr unsigned kFirstSlot = 4;     ///< of the first card on PCI bus 0; the cards use every second slot
  static constexpr unsigned kDoorbellSlot = 3;  ///< of the device that signals interrupts

  std::string qemu;             ///< path
  std::string card;             ///< QEMU's name of its cards
  std::string properties = {};  ///< Target::properties
  int socket = -1;              ///< of the test protocol
  int memory = -1;              ///< the file whose start is the RAM
  std::uint64_t ram = 0;        ///< bytes
  int firmware = -1;            ///< from `make_firmware`
  int doorbells = -1;           ///< the socket of a DoorbellServer
  unsigned doorbell_vectors = 0;
  unsigned first_card = 0;  ///< number of the first card, for the MAC addresses
};

[[nodiscard]] std::vector<std::string> command_line(const MachineConfig& config);

/// Creates an anonymous file with the code that the processor runs after reset: it disables interrupts and halts.
[[nodiscard]] Result<FileDescriptor> make_firmware();

/// Bytes of RAM that are contiguous from address 0, for a file of `file_size` bytes with pages of `page_size`. A q35
/// splits RAM of 2.75 GiB or more at 2 GiB (QEMU, hw/i386/pc_q35.c, pc_q35_init).
[[nodiscard]] std::uint64_t usable_ram(std::uint64_t file_size, std::uint64_t page_size);

/// A started QEMU and the connections to it.
struct LaunchedQemu {
  Process process;
  FileDescriptor socket;  ///< of the test protocol
  DoorbellServer doorbells;
};

/// Interrupt vectors of QEMU's igb (hw/net/igb_common.h, IGB_MSIX_VEC_NUM).
inline constexpr unsigned kVectors = 10;

/// Starts QEMU with card `target.number` and its link partner, and the first `ram` bytes of the file `memory` as RAM.
/// QEMU may still exit right after its start. `explain_exit` then gives the cause.
[[nodiscard]] Result<LaunchedQemu> launch(const Target& target, int memory, std::uint64_t ram);

/// The error of a QEMU that exited by itself: its last output, and a hint.
[[nodiscard]] Error explain_exit(const std::string& uri, const Process& process);

}  // namespace pollux::qtest
