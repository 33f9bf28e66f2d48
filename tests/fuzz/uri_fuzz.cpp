// SPDX-License-Identifier: BSD-3-Clause
// Opens arbitrary URIs. An address must be parsed or rejected, and each failure must be an error with a text. Schemes
// that change the machine are left out, and no path leaves the working directory.
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "pollux/open.hpp"
#include "pollux/pci/address.hpp"

namespace {

// A TAP interface would persist, an emulator takes seconds to start, and a path may name any file.
bool is_harmless(std::string_view uri) {
  for (const std::string_view word : {"tap", "qtest", "thread", "/", "vfio"}) {
    if (uri.find(word) != std::string_view::npos) return false;
  }
  return true;
}

void open_and_close(std::string_view uri) {
  using namespace pollux;
  Context context(
      {.clock = std::make_shared<ManualClock>(), .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30});
  auto port = open_unconfigured(context, uri);
  if (port) {
    static_cast<void>(port->close());
    return;
  }
  test::require(!port.error().what.empty(), "an error says what failed");
  test::require(!port.error().message().empty(), "an error has a message");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string uri(reinterpret_cast<const char*>(data), size);
  if (const auto address = pollux::pci::Address::parse(uri)) {
    const auto again = pollux::pci::Address::parse(address->to_string());
    pollux::test::require(again.has_value() && *again == *address,
                          "an address that is parsed is written and parsed again");
  }
  if (is_harmless(uri)) open_and_close(uri);
  return 0;
}
