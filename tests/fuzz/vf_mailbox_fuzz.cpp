// SPDX-License-Identifier: BSD-3-Clause
// Arbitrary messages of a virtual function to the driver of the physical one. Each is granted, refused or ignored, and
// counted as such; the card then holds what was granted and nothing else, and the other function is left alone.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "fuzz/require.hpp"
#include "support/mailbox_oracle.hpp"

namespace {

using namespace pollux;

constexpr std::uint8_t kResets = 0x80;  // in the flags: the function resets itself, too

/// A port with two virtual functions, whose first is the input's.
struct Fixture {
  test::CardFixture card{{.port = {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}}};
  test::MailboxOracle oracle{stopped(), card.port.capability<VirtualFunctions>()};

  test::CardFixture& stopped() {
    test::require(card.port.stop().has_value(), "the port can be stopped");
    return card;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  std::span<const std::uint8_t> input(data, size);
  while (input.size() >= 2) {
    const std::uint8_t flags = input[0];
    const std::size_t bytes = std::min<std::size_t>(input[1] % 65, input.size() - 2);
    test::MailboxOracle::Message message{};
    if (bytes != 0) std::memcpy(message.data(), &input[2], bytes);
    fixture.oracle.send(message, flags & ~std::uint32_t{kResets});
    if ((flags & kResets) != 0) fixture.oracle.reset();
    input = input.subspan(2 + bytes);
  }
  fixture.oracle.check_card();
  fixture.oracle.reset();  // each input begins with a function that has asked for nothing
  fixture.oracle.check_card();
  test::require(fixture.oracle.violation().empty(), fixture.oracle.violation());
  return 0;
}
