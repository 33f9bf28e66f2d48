// SPDX-License-Identifier: BSD-3-Clause
// Runs the workload on Pollux's public API.
#include "pollux_fused.hpp"
#include "pollux_stage.hpp"

namespace {

class PolluxSide {
 public:
  template <unsigned B>
  using Packets = pollux::Burst<B>;

  explicit PolluxSide(baselines::Stage& stage) : cache_(stage.cache) {
    stage.start();
    for (std::size_t i = 0; i < stage.ports.size(); ++i) {
      rx_[i] = &stage.ports[i].rx(0);
      tx_[i] = &stage.ports[i].tx(0);
    }
  }

  template <unsigned B>
  [[gnu::always_inline]] bool alloc(Packets<B>& packets) noexcept {
    return packets.fill(cache_, B);
  }
  template <unsigned B>
  [[gnu::always_inline]] void fill(Packets<B>& packets, const baselines::Frame& frame) noexcept {
    baselines::write(packets, frame);
  }
  template <unsigned B>
  [[gnu::always_inline]] void tx(unsigned port, Packets<B>& packets) noexcept {
    tx_[port]->tx_burst(packets);
  }
  template <unsigned B>
  [[gnu::always_inline]] void rx(unsigned port, Packets<B>& packets) noexcept {
    rx_[port]->rx_burst(packets);
  }
  template <unsigned B>
  [[gnu::always_inline]] void free(Packets<B>& packets) noexcept {
    packets.drop(done_, cache_);
  }

 private:
  pollux::MempoolCache& cache_;
  std::array<pollux::RxQueue*, 2> rx_{};
  std::array<pollux::TxQueue*, 2> tx_{};
  pollux::DropCounter done_{"done"};
};

}  // namespace

int main(int argc, char** argv) {
  const baselines::Options options = baselines::read_options(argc, argv);
  if (options.cases == std::vector<std::string>{"fused"}) {
    baselines::run_fused(options);
    return 0;
  }
  baselines::Stage stage(options, 1);
  PolluxSide side(stage);
  baselines::run(side, options);
  return 0;
}
