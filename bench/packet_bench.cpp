// SPDX-License-Identifier: BSD-3-Clause
// Measures what software needs for the work of a card (parsing, the RSS hash, checksums) and for building a frame.
// Results are per frame, or per call if the name has "bytes".
#include <array>
#include <vector>

#include "pollux/net/packet/builder.hpp"
#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/sums.hpp"
#include "report.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kCalls = 64;

enum class Kind { udp4, tcp6, tagged_tcp4 };

std::vector<std::uint8_t> frame(Kind kind) {
  std::array<std::uint8_t, 256> memory{};
  const std::array<std::uint8_t, 26> payload{};
  packet::Builder builder(memory);
  builder.ethernet({.source = {2, 0, 0, 0, 0, 1}});
  if (kind == Kind::tagged_tcp4) builder.vlan({.id = 7});
  if (kind == Kind::tcp6) {
    builder.ipv6({.source = {0x20, 1}, .destination = {0x20, 2}});
  } else {
    builder.ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
  }
  if (kind == Kind::udp4) {
    builder.udp({.source_port = 9, .destination_port = 9});
  } else {
    builder.tcp({.source_port = 9, .destination_port = 9});
  }
  const auto made = builder.payload(payload).finish();
  if (!made) std::abort();
  return {made->begin(), made->end()};
}

/// Calls `body` often enough that the cost of reading the time stamp counter does not matter, but not more often, since
/// instructions are single-stepped.
template <class Body>
void measure_calls(benchmark::State& state, Body body, std::uint32_t calls = kCalls) {
  measure(
      state, calls, [] {},
      [&] {
        for (std::uint32_t i = 0; i < calls; ++i) benchmark::DoNotOptimize(body());
      });
}

std::uint32_t calls_over(std::size_t bytes) { return bytes > 100 ? kCalls / 4 : kCalls; }

template <Kind kKind>
void parse(benchmark::State& state) {
  const auto bytes = frame(kKind);
  measure_calls(state, [&] { return packet::parse(bytes); });
}
BENCHMARK_TEMPLATE(parse, Kind::udp4)->Apply(repeated_for_a_while);
BENCHMARK_TEMPLATE(parse, Kind::tcp6)->Apply(repeated_for_a_while);
BENCHMARK_TEMPLATE(parse, Kind::tagged_tcp4)->Apply(repeated_for_a_while);

void toeplitz(benchmark::State& state) {
  const packet::ToeplitzHash hash;
  std::vector<std::uint8_t> input(static_cast<std::size_t>(state.range(0)), 0x5A);
  measure_calls(state, [&] { return hash(input); });
}
BENCHMARK(toeplitz)->Apply(repeated_for_a_while)->ArgName("bytes")->Arg(8)->Arg(12)->Arg(32)->Arg(36);

void checksum(benchmark::State& state) {
  const std::vector<std::uint8_t> bytes(static_cast<std::size_t>(state.range(0)), 0x5A);
  measure_calls(
      state, [&] { return packet::internet_checksum(bytes); }, calls_over(bytes.size()));
}
BENCHMARK(checksum)->Apply(repeated_for_a_while)->ArgName("bytes")->Arg(20)->Arg(64)->Arg(1500);

void crc32c(benchmark::State& state) {
  const std::vector<std::uint8_t> bytes(static_cast<std::size_t>(state.range(0)), 0x5A);
  measure_calls(
      state,
      [&] {
        packet::Crc32c crc;
        crc.add(bytes);
        return crc.value();
      },
      calls_over(bytes.size()));
}
BENCHMARK(crc32c)->Apply(repeated_for_a_while)->ArgName("bytes")->Arg(64)->Arg(1500);

void update(benchmark::State& state) {
  std::uint16_t sum = 0x1234;
  std::uint16_t field = 64;
  measure_calls(state, [&] {
    sum = packet::updated_checksum(sum, field, static_cast<std::uint16_t>(field - 1));
    --field;
    return sum;
  });
}
BENCHMARK(update)->Apply(repeated_for_a_while);

void build_udp4(benchmark::State& state) {
  std::array<std::uint8_t, 256> memory{};
  const std::array<std::uint8_t, 18> payload{};
  std::uint16_t port = 0;
  measure_calls(state, [&] {
    return packet::Builder(memory)
        .ethernet({.source = {2, 0, 0, 0, 0, 1}})
        .ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
        .udp({.source_port = ++port, .destination_port = 9})
        .payload(payload)
        .finish()
        .has_value();
  });
}
BENCHMARK(build_udp4)->Apply(repeated_for_a_while);

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) { return pollux::bench::run(argc, argv); }
