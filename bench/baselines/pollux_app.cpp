// SPDX-License-Identifier: BSD-3-Clause
// Runs the workload on Pollux's public API.
#include "pollux_fused.hpp"
#include "pollux_setup.hpp"

namespace {

class PolluxSide {
 public:
  template <unsigned B>
  using Packets = pollux::Burst<B>;

  explicit PolluxSide(baselines::PolluxSetup& setup) : cache_(setup.cache) {
    setup.start();
    for (std::size_t i = 0; i < setup.ports.size(); ++i) {
      rx_[i] = &setup.ports[i].rx(0);
      tx_[i] = &setup.ports[i].tx(0);
    }
  }

  template <unsigned B>
  [[gnu::always_inline]] bool alloc(Packets<B>& packets) noexcept {
    return packets.fill(cache_, B);
  }
  template <unsigned B, std::size_t kBytes>
  [[gnu::always_inline]] void fill(Packets<B>& packets, const std::array<std::uint8_t, kBytes>& frame) noexcept {
    baselines::write(packets, frame);
  }
  template <unsigned B>
  [[gnu::always_inline]] void request_checksums(Packets<B>& packets) noexcept {
    using pollux::TxOffload;
    for (pollux::Mbuf& mbuf : packets) {
      std::memcpy(mbuf.data() + baselines::kTcpChecksum, baselines::kPseudoSum.data(), 2);
      mbuf.set_tx_offload({.flags = TxOffload::ipv4_checksum | TxOffload::tcp_checksum, .l2 = 14, .l3 = 20});
    }
  }
  template <unsigned B>
  void check_sums(Packets<B>& packets) noexcept {
    for (pollux::Mbuf& mbuf : packets) baselines::check_sums(mbuf.data());
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
  baselines::PolluxSetup setup(options, 1);
  PolluxSide side(setup);
  baselines::run(side, options);
  return 0;
}
