// SPDX-License-Identifier: BSD-3-Clause
// Replays arbitrary recordings.
#include "fuzz/file_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pollux::test::live_on_file("replay:", data, size);
  return 0;
}
