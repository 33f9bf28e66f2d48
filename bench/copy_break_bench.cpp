// SPDX-License-Identifier: BSD-3-Clause
// Measures RxQueueConfig::copy_break: a program receives bursts, reads the first line of each frame, and keeps the last
// `kept` frames. With copying it keeps mbufs of a pool with 256 bytes each, or as long as the frame, and the ring's
// buffers circulate.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "do_not_optimize.hpp"
#include "faked_card.hpp"
#include "fixture.hpp"
#include "report.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kRing = 512;
constexpr std::uint32_t kFrames = 448;
constexpr std::uint32_t kBurst = 32;

struct Options {
  std::uint32_t frame;  ///< bytes
  std::uint32_t kept;   ///< frames that the program holds
  bool copies;
  bool cold;  ///< what the card wrote is in no cache
};

class Keeper {
 public:
  explicit Keeper(const Options& options) : options_(options) {
    card_.restart();
    card_.set_cold(options.cold);
    for (std::uint32_t i = 0; i < options.kept + kFrames; i += kFrames) {
      prepare();
      run();
    }
  }
  ~Keeper() {
    for (Burst<kBurst>& burst : kept_) burst.drop(done_, keeping_cache());
  }
  void prepare() { card_.receive(0, kFrames, options_.frame); }
  void run() {
    for (std::uint32_t done = 0; done < kFrames; done += kBurst) {
      Burst<kBurst>& burst = kept_[turn_];
      turn_ = turn_ + 1 == kept_.size() ? 0 : turn_ + 1;
      burst.drop(done_, keeping_cache());
      port_.rx(0).rx_burst(burst);
      if (burst.size() != kBurst) give_up("the driver did not deliver what had arrived");
      for (const Mbuf& mbuf : burst) do_not_optimize(*mbuf.data());
    }
  }

 private:
  [[nodiscard]] MempoolCache& keeping_cache() { return options_.copies ? copy_cache_ : cache_; }
  // The first pool is made before anything else, so the card is attached first.
  [[nodiscard]] Mempool first_pool(std::uint32_t count) {
    need(context_.attach(card_.domain()));
    return make_pool(count, 2048);
  }
  [[nodiscard]] Mempool make_pool(std::uint32_t count, std::uint32_t room) {
    Mempool pool = need(Mempool::create(context_, {.count = count, .data_room = room}));
    shuffle(pool);
    return pool;
  }
  [[nodiscard]] Port start() {
    Port port = need(open_unconfigured(context_, card_.device()));
    RxQueueConfig rx{.pool = pool_, .cache = cache_, .ring = kRing};
    if (options_.copies) {
      rx.copy_break = options_.frame;
      rx.copy_pool = copy_pool_;
    }
    need(port.change([&](Settings& settings) { settings = {.rx = {rx}, .tx = {{.cache = cache_, .ring = 64}}}; }));
    need(port.start());
    return port;
  }

  Options options_;
  FakedCard card_;
  Context context_{logging_options(card_.clock())};
  Mempool pool_ = first_pool(options_.kept + 4096);
  Mempool copy_pool_ = make_pool(options_.kept + 4096, std::max(256U, options_.frame));
  MempoolCache cache_{pool_, MempoolCache::kMaxCapacity};
  MempoolCache copy_cache_{copy_pool_, MempoolCache::kMaxCapacity};
  Port port_ = start();
  DropCounter done_{"done"};
  std::vector<Burst<kBurst>> kept_ = std::vector<Burst<kBurst>>(std::max(1U, options_.kept / kBurst));
  std::size_t turn_ = 0;
};

void add(const Options& options) {
  const std::string name = fmt::format("{}/{}/frame:{}/kept:{}", options.copies ? "copied" : "uncopied",
                                       options.cold ? "cold" : "warm", options.frame, options.kept);
  const auto body = [options](benchmark::State& state) {
    Keeper keeper(options);
    measure(
        state, kFrames, [&] { keeper.prepare(); }, [&] { keeper.run(); });
  };
  repeated(benchmark::RegisterBenchmark(name.c_str(), body))->Iterations(options.cold ? 100 : 400);
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  using namespace pollux::bench;
  for (const bool cold : {false, true}) {
    for (const std::uint32_t kept : {32U, 16384U}) {
      for (const std::uint32_t frame : {64U, 128U, 256U, 512U, 1024U, 1514U}) {
        for (const bool copies : {false, true}) add({frame, kept, copies, cold});
      }
    }
  }
  return run(argc, argv);
}
