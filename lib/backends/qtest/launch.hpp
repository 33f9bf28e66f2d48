// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "backends/qtest/interrupts.hpp"
#include "backends/qtest/process.hpp"
#include "backends/qtest/target.hpp"
#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

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
