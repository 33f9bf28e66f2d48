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

/// A QEMU that has been started, and what it is reached by.
struct Launched {
  Process process;
  FileDescriptor socket;  ///< the test protocol
  DoorbellServer doorbells;
};

/// Vectors of an igb of QEMU's (hw/net/igb_common.h, IGB_MSIX_VEC_NUM).
inline constexpr unsigned kVectors = 10;

/// Starts QEMU with cards `target.number` and its partner, and `ram` bytes of the file `memory` as its RAM. It may die
/// a moment later: `explain_death` says why.
[[nodiscard]] Result<Launched> launch(const Target& target, int memory, std::uint64_t ram);

/// What a QEMU that ended by itself said, and what mends it.
[[nodiscard]] Error explain_death(const std::string& uri, const Process& process);

}  // namespace pollux::qtest
