// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace pollux::test {

/// Lets the kernel receive from a TAP interface with IFF_NAPI only while the calling thread sleeps, so that all frames
/// that it writes before it sleeps are one batch, however long writing them takes: NAPI runs in a thread of the kernel
/// (Documentation/networking/napi.rst, "Threaded NAPI"), on the caller's processor, and the caller has a real-time
/// priority while a NapiHold exists. False if the kernel or a container does not allow that; then nothing has changed
/// but the caller's processor. Needs root and /sys of the interface's network namespace.
[[nodiscard]] bool receive_only_while_asleep(const std::string& interface);

/// A real-time priority for the calling thread. Hold it for one batch: the kernel lets other threads run before one
/// that has computed with a real-time priority for nearly a second.
class NapiHold {
 public:
  NapiHold();
  NapiHold(const NapiHold&) = delete;
  NapiHold& operator=(const NapiHold&) = delete;
  ~NapiHold();
};

}  // namespace pollux::test
