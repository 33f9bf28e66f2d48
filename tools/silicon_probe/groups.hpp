// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include "silicon_probe/probe.hpp"

/// The probes by what they ask about. `probes()` joins them.
namespace pollux::silicon {

[[nodiscard]] std::span<const Probe> reset_probes();
[[nodiscard]] std::span<const Probe> register_probes();
[[nodiscard]] std::span<const Probe> interrupt_probes();
[[nodiscard]] std::span<const Probe> queue_probes();
[[nodiscard]] std::span<const Probe> transmit_probes();
[[nodiscard]] std::span<const Probe> receive_probes();
[[nodiscard]] std::span<const Probe> length_probes();
[[nodiscard]] std::span<const Probe> packet_probes();
[[nodiscard]] std::span<const Probe> header_probes();
[[nodiscard]] std::span<const Probe> overrun_probes();

/// Resets the port and its partner, brings the link up, and opens the partner's transmit ring. Receiving is off.
[[nodiscard]] Result<void> join(const ProbePorts& ports);

}  // namespace pollux::silicon
