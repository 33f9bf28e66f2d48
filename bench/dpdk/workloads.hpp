// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "threads.hpp"
#include "workload.hpp"

namespace pollux::bench {

/// Starts DPDK's environment, on `core` and with huge pages where there are any; once, before the first workload.
/// Returns DPDK's version. Ends the program if DPDK cannot be started.
const char* start_dpdk(unsigned core, bool huge_pages);

/// The cases of the igb and em drivers as their package has it, and of the same source compiled for this processor.
[[nodiscard]] std::span<const Case> dpdk_cases();
/// The same of the virtio driver, with each of the paths that it has for the ring.
[[nodiscard]] std::span<const Case> dpdk_virtio_cases();
/// The same of the vmxnet3 driver, with revision 1.
[[nodiscard]] std::span<const Case> dpdk_vmxnet3_cases();

/// Forwarding as `forward_on_threads`.
[[nodiscard]] std::unique_ptr<ThreadedWorkload> dpdk_packaged_on_threads(const Setup& setup);
[[nodiscard]] std::unique_ptr<ThreadedWorkload> dpdk_native_on_threads(const Setup& setup);

inline constexpr std::string_view kDpdkPackaged = "dpdk_packaged";
inline constexpr std::string_view kDpdkNative = "dpdk_native";

}  // namespace pollux::bench
