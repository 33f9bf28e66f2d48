// SPDX-License-Identifier: BSD-3-Clause
// The whole life cycle of a port on a card whose registers return arbitrary values. Nothing may hang, crash or leak,
// and each failure must be an error.
#include <fuzzer/FuzzedDataProvider.h>

#include <chrono>
#include <memory>
#include <utility>

#include "backends/sim/device.hpp"
#include "backends/sim/wire.hpp"
#include "device/decorator.hpp"
#include "fuzz/require.hpp"
#include "models/intel/igb/card.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/open.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

/// Replaces read values and drops writes as the input says.
class FuzzedDevice final : public DeviceDecorator {
 public:
  FuzzedDevice(std::unique_ptr<Device> inner, FuzzedDataProvider& input)
      : DeviceDecorator(std::move(inner)), input_(input) {}

 protected:
  std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept override {
    const std::uint32_t truth = DeviceDecorator::read_register(bar, offset, width);
    // At the end of the input the card works correctly, so that every run ends.
    if (input_.remaining_bytes() == 0) return truth;
    switch (input_.ConsumeIntegralInRange(0, 15)) {
      case 0: return input_.ConsumeIntegral<std::uint32_t>();
      case 1: return ~std::uint32_t{0};
      case 2: return truth ^ std::uint32_t{1} << input_.ConsumeIntegralInRange(0, 31);
      default: return truth;
    }
  }
  void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    if (input_.remaining_bytes() != 0 && input_.ConsumeIntegralInRange(0, 31) == 0) return;  // lost
    DeviceDecorator::write_register(bar, offset, width, value);
  }

 private:
  FuzzedDataProvider& input_;
};

struct Machine {
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 256}).value();
  MempoolCache cache{pool};
  std::shared_ptr<sim::Wire> wire =
      sim::Wire::create(*clock, std::make_unique<models::igb::Card>(), [](std::span<const std::byte>) {});
};

void exchange(Port& port, Machine& machine) {
  Burst<32> burst;
  if (burst.fill(machine.cache, 4)) {
    for (Mbuf& mbuf : burst) require(mbuf.append(60) != nullptr, "an empty mbuf has room");
  }
  port.tx(0).tx_burst(burst);
  DropCounter unsent("unsent");
  burst.drop(unsent, machine.cache);
  DropCounter inspected("inspected");
  port.rx(0).rx_burst(burst);
  for (Mbuf& mbuf : burst) require(mbuf.length() <= 2048, "a frame fits its buffer");
  burst.drop(inspected, machine.cache);
}

void live(Port& port, Machine& machine, FuzzedDataProvider& input) {
  if (!configure_port(port, {.rx = {{.pool = machine.pool, .cache = machine.cache, .ring = 64}},
                             .tx = {{.cache = machine.cache, .ring = 64}}}))
    return;
  for (int starts = 0; starts < 3; ++starts) {
    if (!port.start()) return;
    // The wait for a link takes many small steps of virtual time, so it is done only sometimes.
    const bool patient = input.ConsumeIntegralInRange(0, 31) == 31;
    static_cast<void>(port.wait_for_link(std::chrono::milliseconds(patient ? 3000 : 2)));
    exchange(port, machine);
    static_cast<void>(port.service());
    static_cast<void>(port.stats());
    static_cast<void>(port.extended_stats());
    if (const auto dump = port.capability<RegisterDump>()) static_cast<void>(dump->registers());
    static_cast<void>(set_mtu(port, input.ConsumeIntegralInRange<std::uint32_t>(0, 10'000)));
    static_cast<void>(set_promiscuous(port, input.ConsumeBool()));
    exchange(port, machine);
    if (!port.stop()) return;
    if (input.remaining_bytes() == 0) return;
  }
}

}  // namespace
}  // namespace pollux::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pollux;
  using namespace pollux::test;
  static Machine machine;
  FuzzedDataProvider input(data, size);
  {
    auto inner = sim::SimDevice::create(machine.context, "sim:fuzzed", machine.wire, 0);
    require(inner.has_value(), "an in-process card opens");
    auto port = open_unconfigured(machine.context, std::make_unique<FuzzedDevice>(*std::move(inner), input));
    if (!port) {
      require(!port.error().what.empty(), "an error says what failed");
    } else {
      live(*port, machine, input);
      static_cast<void>(port->close());
    }
  }
  require(machine.pool.stats().in_use() == 0, "every mbuf is free after the port was destroyed");
  return 0;
}
