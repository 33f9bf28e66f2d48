// SPDX-License-Identifier: BSD-3-Clause
// Arbitrary capture filters. None leads to a name server, none takes long to compile, and a compiled one reads no byte
// beyond a frame.
#include <netdb.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "fuzz/require.hpp"
#include "observe/capture/frame_filter.hpp"

namespace {

using pollux::test::require;

/// libpcap is not instrumented, and the optimizer of the slowest filter takes a tenth of this time.
constexpr std::chrono::seconds kMaxTime{2};

}  // namespace

extern "C" {

// libpcap looks names up by these functions. Names of services are read from a file.
int getaddrinfo(const char* node, const char* /*service*/, const addrinfo* /*hints*/, addrinfo** result) {
  // An address needs no server. What is none never comes here.
  require(node == nullptr || std::string(node).find_first_not_of("0123456789abcdefABCDEF:.") == std::string::npos,
          "no filter asks for a host");
  *result = nullptr;
  return EAI_NONAME;
}
hostent* gethostbyname(const char* /*name*/) { return require(false, "no filter asks for a host"), nullptr; }
netent* getnetbyname(const char* /*name*/) { return require(false, "no filter asks for a network"), nullptr; }

}  // extern "C"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string expression(reinterpret_cast<const char*>(data), size);
  const auto begin = std::chrono::steady_clock::now();
  const auto filter = pollux::observe::FrameFilter::compile(expression, "plx0");
  require(std::chrono::steady_clock::now() - begin < kMaxTime, "a filter is compiled in time");
  if (!filter) {
    require(!filter.error().what.empty() && !filter.error().hint.empty(), "an error says what failed");
    return 0;
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{13}, std::size_t{60}, size}) {
    const auto frame = std::make_unique<std::uint8_t[]>(length);  // the sanitizer watches its end
    for (std::size_t i = 0; i < length; ++i) frame[i] = i < size ? data[i] : 0x45;
    static_cast<void>(filter->accepts(frame.get(), 1514, static_cast<std::uint32_t>(length)));
  }
  return 0;
}
