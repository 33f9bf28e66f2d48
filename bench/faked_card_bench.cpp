// SPDX-License-Identifier: BSD-3-Clause
// The shipped igb driver through its public calls, on a card that is plain memory: cycles and instructions a frame that
// are the driver's own. 512-entry rings, 448 frames of 64 bytes each round, a shuffled pool.
#include <tmmintrin.h>

#include <array>

#include "faked_card.hpp"
#include "least_loop.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "report.hpp"
#include "rig.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kFrames = 448;  // divides by every burst size
constexpr std::uint32_t kLength = 64;

// What a forwarder does to a frame, at the least: one shuffle of its first 16 bytes.
void swap_macs(std::uint8_t* frame) noexcept {
  const __m128i order = _mm_setr_epi8(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);
  auto* const at = reinterpret_cast<__m128i*>(frame);
  _mm_storeu_si128(at, _mm_shuffle_epi8(_mm_loadu_si128(at), order));
}

struct PortRig {
  FakedCard card;
  Context context{talking(card.clock())};
  Mempool pool;
  MempoolCache cache;
  Port port;
  RxQueue& rx;
  TxQueue& tx;

  explicit PortRig(bool cold)
      : pool(make_pool(context, card)),
        cache(pool, MempoolCache::kMaxCapacity),
        port(start(context, card, pool, cache)),
        rx(port.rx(0)),
        tx(port.tx(0)) {
    card.restart();
    card.set_cold(cold);
  }
  static Port start(Context& context, FakedCard& card, const Mempool& pool, const MempoolCache& cache) {
    Port port = need(open(context, card.device()));
    need(port.configure({.rx_pool = &pool, .cache = &cache}));
    need(port.start());
    return port;
  }
  static Mempool make_pool(Context& context, FakedCard& card) {
    need(context.attach(card.domain()));
    Mempool pool = need(Mempool::create(context, {.count = 8192}));
    shuffle(pool);
    return pool;
  }
};

void forward(benchmark::State& state) {
  PortRig rig(state.range(1) != 0);
  const auto burst_size = static_cast<std::uint32_t>(state.range(0));
  measure(
      state, kFrames,
      [&] {
        rig.card.finish_transmits();
        rig.card.receive(kFrames, kLength);
      },
      [&] {
        Burst<64> burst;
        for (std::uint32_t i = 0; i < kFrames; i += burst_size) {
          rig.rx.rx_burst(burst, burst_size);
          for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
          rig.tx.tx_burst(burst);
        }
      });
}

// Like `forward`, for an application that looks at hash, type, VLAN and checksum verdicts of every frame.
void forward_reading_metadata(benchmark::State& state) {
  PortRig rig(state.range(1) != 0);
  const auto burst_size = static_cast<std::uint32_t>(state.range(0));
  measure(
      state, kFrames,
      [&] {
        rig.card.finish_transmits();
        rig.card.receive(kFrames, kLength);
      },
      [&] {
        Burst<64> burst;
        std::uint64_t sum = 0;
        for (std::uint32_t i = 0; i < kFrames; i += burst_size) {
          rig.rx.rx_burst(burst, burst_size);
          for (Mbuf& mbuf : burst) {
            swap_macs(mbuf.data());
            const RxMetadata metadata(mbuf);
            sum += metadata.rss_hash().value_or(0) + metadata.vlan().value_or(0) + metadata.packet_type().bits +
                   static_cast<unsigned>(metadata.ip_checksum()) + static_cast<unsigned>(metadata.l4_checksum());
          }
          rig.tx.tx_burst(burst);
        }
        benchmark::DoNotOptimize(sum);
      });
}

void receive_only(benchmark::State& state) {
  PortRig rig(state.range(1) != 0);
  const auto burst_size = static_cast<std::uint32_t>(state.range(0));
  DropCounter measured("measured");
  Burst<kFrames> burst;
  measure(
      state, kFrames,
      [&] {
        burst.drop(measured, rig.cache);
        rig.card.receive(kFrames, kLength);
      },
      [&] {
        for (std::uint32_t i = 0; i < kFrames; i += burst_size) rig.rx.rx_burst(burst, burst_size);
      });
  burst.drop(measured, rig.cache);
}

void transmit_only(benchmark::State& state) {
  PortRig rig(state.range(1) != 0);
  const auto burst_size = static_cast<std::uint32_t>(state.range(0));
  std::vector<Burst<64>> bursts(kFrames / burst_size);
  measure(
      state, kFrames,
      [&] {
        rig.card.finish_transmits();
        for (Burst<64>& burst : bursts) {
          if (!burst.fill(rig.cache, burst_size)) std::abort();
          for (Mbuf& mbuf : burst) benchmark::DoNotOptimize(mbuf.append(60));
        }
      },
      [&] {
        for (Burst<64>& burst : bursts) rig.tx.tx_burst(burst);
      });
}

void empty_poll(benchmark::State& state) {
  PortRig rig(false);
  Burst<32> burst;
  measure(
      state, kFrames, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kFrames; ++i) rig.rx.rx_burst(burst);
      });
}

void least_loop_forward(benchmark::State& state) {
  FakedCard card;
  Context context(talking(card.clock()));
  need(context.attach(card.domain()));
  LeastLoop loop(context, card);
  card.set_cold(state.range(1) != 0);
  const auto burst_size = static_cast<std::uint32_t>(state.range(0));
  measure(
      state, kFrames,
      [&] {
        card.finish_transmits();
        card.receive(kFrames, kLength);
      },
      [&] {
        std::array<LeastLoop::Buffer*, 64> buffers{};
        for (std::uint32_t i = 0; i < kFrames; i += burst_size) {
          const std::uint32_t count = loop.rx_burst(buffers.data(), burst_size);
          for (std::uint32_t j = 0; j < count; ++j) swap_macs(buffers[j]->data.data());
          loop.tx_burst(buffers.data(), count);
        }
      });
}

void bursts(benchmark::internal::Benchmark* benchmark) {
  repeated(benchmark);
  benchmark->ArgNames({"burst", "cold"});
  for (const int cold : {0, 1}) {
    for (const int burst : {1, 8, 32, 64}) benchmark->Args({burst, cold});
  }
}

BENCHMARK(forward)->Apply(bursts);
BENCHMARK(forward_reading_metadata)->Apply(bursts);
BENCHMARK(receive_only)->Apply(bursts);
BENCHMARK(transmit_only)->Apply(bursts);
BENCHMARK(empty_poll)->Apply(repeated);
BENCHMARK(least_loop_forward)->Apply(bursts);

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) { return pollux::bench::run(argc, argv); }
