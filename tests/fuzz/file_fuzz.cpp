// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/file_fuzz.hpp"

#include <memory>
#include <string>

#include "fuzz/input_file.hpp"
#include "fuzz/require.hpp"
#include "pollux/open.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

constexpr int kSilentPolls = 4;
constexpr int kMaxPolls = 2000;
constexpr std::uint32_t kBufferBytes = 2048;

struct Machine {
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 256}).value();
  MempoolCache cache{pool};
};

void require_sound(Mbuf& frame) {
  std::uint32_t bytes = 0;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    require(segment->length() <= kBufferBytes, "a segment's length fits its buffer");
    require(segment->data() >= segment->head() && segment->tail() <= segment->end(), "the data lie in the buffer");
    bytes += segment->length();
  }
  require(bytes == frame.packet_length(), "the segments add up to the frame");
}

void live(Port& port, Machine& machine) {
  if (!configure_port(port, {.rx = {{.pool = machine.pool, .cache = machine.cache, .ring = 64}},
                             .tx = {{.cache = machine.cache, .ring = 64}}}))
    return;
  if (!port.start()) return;
  DropCounter inspected("inspected");
  int silent = 0;
  for (int polls = 0; polls < kMaxPolls && silent < kSilentPolls; ++polls) {
    Burst<32> burst;
    silent = port.rx(0).rx_burst(burst) == 0 ? silent + 1 : 0;
    for (Mbuf& frame : burst) require_sound(frame);
    burst.drop(inspected, machine.cache);
  }
  static_cast<void>(port.service());
  static_cast<void>(port.stats());
  static_cast<void>(port.extended_stats());
  static_cast<void>(port.stop());
}

}  // namespace

void live_on_file(std::string_view scheme, const std::uint8_t* data, std::size_t size) {
  static Machine machine;
  const InputFile file(data, size);
  {
    auto port = open_unconfigured(machine.context, std::string(scheme) + file.path());
    if (port) {
      live(*port, machine);
      static_cast<void>(port->close());
    } else {
      require(!port.error().what.empty(), "an error says what failed");
    }
  }
  require(machine.pool.stats().in_use() == 0, "every mbuf is free after the port was destroyed");
}

}  // namespace pollux::test
