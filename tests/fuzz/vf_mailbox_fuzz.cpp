// SPDX-License-Identifier: BSD-3-Clause
// Arbitrary messages of a virtual function to the driver of the physical one. Each gets at most one answer, is counted,
// and leaves the driver and the other functions working.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>

#include "drivers/intel/igbvf/card.hpp"
#include "fuzz/require.hpp"
#include "hw/intel/igbvf/messages.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/open.hpp"

namespace {

using namespace pollux;
namespace reg = drivers::igbvf::reg;

/// A port with two virtual functions, whose first is the input's.
struct Fixture {
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 28}};
  Port physical = *open_unconfigured(context, "sim:0");
  Capability<VirtualFunctions> functions = physical.capability<VirtualFunctions>();
  std::unique_ptr<Device> device;
  reg::Registers regs;

  Fixture() {
    test::require(functions->set_functions(2).has_value(), "the functions can be enabled");
    test::require(physical.configure({.rx = {.ring = 64}, .tx = {.ring = 64}}).has_value(), "the port is configured");
    test::require(physical.start().has_value(), "the port starts");
    device = *open_device(context, "sim:0.vf0");
    regs = reg::Registers(*device->bar(0));
  }
};

/// Sends a message of up to 16 words. `flags` is what the function writes to its mailbox's register.
void send(Fixture& fixture, std::span<const std::uint8_t> words, std::uint8_t flags) {
  using reg::V2PMAILBOX;
  fixture.regs.write<V2PMAILBOX>(V2PMAILBOX::VFU);
  std::array<std::uint32_t, hw::igbvf::kMessageWords> message{};
  std::memcpy(message.data(), words.data(), words.size());
  for (std::uint32_t i = 0; i < message.size(); ++i) {
    fixture.regs.write<reg::VMBMEM>(i, reg::VMBMEM::Value(message[i]));
  }
  fixture.regs.write<V2PMAILBOX>(V2PMAILBOX::Value(flags));
  if ((flags & 0x80) != 0) fixture.regs.write<reg::CTRL>(reg::CTRL::RST);
  test::require(fixture.physical.service().has_value(), "the port can be serviced");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  std::span<const std::uint8_t> input(data, size);
  const auto before = fixture.functions->function(1)->requests;
  while (input.size() >= 2) {
    const std::uint8_t flags = input[0];
    const std::size_t bytes = std::min<std::size_t>(input[1] % 65, input.size() - 2);
    send(fixture, input.subspan(2, bytes), flags);
    input = input.subspan(2 + bytes);
  }
  const VirtualFunctionState state = *fixture.functions->function(0);
  const auto refused = std::accumulate(state.refused.begin(), state.refused.end(), std::uint64_t{0});
  const auto held = state.refused[static_cast<std::size_t>(VirtualFunctionRefusal::mailbox_held)];
  test::require(refused <= state.requests + held, "each message is refused once at most");
  test::require(fixture.functions->function(1)->requests == before, "the other function is left alone");
  test::require(fixture.functions->reset_function(0).has_value(), "the function can be reset");
  return 0;
}
