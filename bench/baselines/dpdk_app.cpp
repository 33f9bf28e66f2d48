// SPDX-License-Identifier: BSD-3-Clause
// Runs the workload on DPDK's public API.
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <fstream>
#include <thread>

#include "cases.hpp"

namespace {

constexpr std::uint16_t kRing = 512;
constexpr unsigned kPoolSize = 8191;
constexpr unsigned kPoolCache = RTE_MEMPOOL_CACHE_MAX_SIZE;

class DpdkSide {
 public:
  template <unsigned B>
  class Packets {
   public:
    [[nodiscard]] std::uint32_t size() const noexcept { return count_; }

   private:
    friend class DpdkSide;
    std::array<rte_mbuf*, B> mbufs_;
    std::uint16_t count_ = 0;
  };

  DpdkSide(const std::vector<std::string>& addresses, std::uint64_t tx_offloads) : tx_offloads_(tx_offloads) {
    pool_ = rte_pktmbuf_pool_create("baselines", kPoolSize, kPoolCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                    static_cast<int>(rte_socket_id()));
    if (pool_ == nullptr) baselines::give_up("rte_pktmbuf_pool_create failed");
    for (std::size_t i = 0; i < addresses.size(); ++i) ports_[i] = start(addresses[i]);
    for (const std::string& address : addresses) wait_for_carrier(address);
    for (std::size_t i = 0; i < addresses.size(); ++i) wait_for_link(ports_[i]);
  }

  template <unsigned B>
  [[gnu::always_inline]] bool alloc(Packets<B>& packets) noexcept {
    if (rte_pktmbuf_alloc_bulk(pool_, packets.mbufs_.data(), B) != 0) return false;
    packets.count_ = B;
    return true;
  }
  template <unsigned B, std::size_t kBytes>
  [[gnu::always_inline]] void fill(Packets<B>& packets, const std::array<std::uint8_t, kBytes>& frame) noexcept {
    // testpmd fills mbufs this way. rte_pktmbuf_append also checks the tailroom and takes about 25 more instructions.
    for (unsigned i = 0; i < B; ++i) {
      rte_mbuf& mbuf = *packets.mbufs_[i];
      mbuf.data_len = kBytes;
      mbuf.pkt_len = kBytes;
      std::memcpy(rte_pktmbuf_mtod(&mbuf, void*), frame.data(), kBytes);
    }
  }
  // As rte_mbuf_core.h describes it: the IPv4 checksum is 0, and that of TCP the pseudo-header's.
  template <unsigned B>
  [[gnu::always_inline]] void request_checksums(Packets<B>& packets) noexcept {
    for (unsigned i = 0; i < packets.count_; ++i) {
      rte_mbuf& mbuf = *packets.mbufs_[i];
      auto* const bytes = rte_pktmbuf_mtod(&mbuf, std::uint8_t*);
      std::memset(bytes + baselines::kIpChecksum, 0, 2);
      std::memcpy(bytes + baselines::kTcpChecksum, baselines::kPseudoSum.data(), 2);
      mbuf.tx_offload = rte_mbuf_tx_offload(14, 20, 0, 0, 0, 0, 0);
      mbuf.ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM;
    }
  }
  template <unsigned B>
  void check_sums(Packets<B>& packets) noexcept {
    for (unsigned i = 0; i < packets.count_; ++i)
      baselines::check_sums(rte_pktmbuf_mtod(packets.mbufs_[i], const std::uint8_t*));
  }
  template <unsigned B>
  [[gnu::always_inline]] void tx(unsigned port, Packets<B>& packets) noexcept {
    const std::uint16_t sent = rte_eth_tx_burst(ports_[port], 0, packets.mbufs_.data(), packets.count_);
    packets.count_ = static_cast<std::uint16_t>(packets.count_ - sent);
    if (packets.count_ != 0) [[unlikely]]
      std::memmove(packets.mbufs_.data(), packets.mbufs_.data() + sent, packets.count_ * sizeof(rte_mbuf*));
  }
  template <unsigned B>
  [[gnu::always_inline]] void rx(unsigned port, Packets<B>& packets) noexcept {
    packets.count_ = static_cast<std::uint16_t>(
        packets.count_ + rte_eth_rx_burst(ports_[port], 0, packets.mbufs_.data() + packets.count_,
                                          static_cast<std::uint16_t>(B - packets.count_)));
  }
  template <unsigned B>
  [[gnu::always_inline]] void free(Packets<B>& packets) noexcept {
    rte_pktmbuf_free_bulk(packets.mbufs_.data(), packets.count_);
    packets.count_ = 0;
  }

  void stop() {
    for (std::uint16_t port : ports_) {
      if (port == kNone) continue;
      if (rte_eth_dev_stop(port) != 0 || rte_eth_dev_close(port) != 0) baselines::give_up("a port did not stop");
    }
  }

 private:
  static constexpr std::uint16_t kNone = RTE_MAX_ETHPORTS;

  [[nodiscard]] std::uint16_t start(const std::string& address) const {
    std::uint16_t port = kNone;
    const std::string name = address.substr(0, address.find(','));
    if (rte_eth_dev_get_port_by_name(name.c_str(), &port) != 0) baselines::give_up("DPDK found no such port");
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(port, &info) != 0) baselines::give_up("rte_eth_dev_info_get failed");
    rte_eth_conf config{};
    // With this offload, a driver frees mbufs of one pool without checking each of them.
    config.txmode.offloads = (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) | tx_offloads_;
    info.default_txconf.offloads = config.txmode.offloads;
    const auto node = static_cast<unsigned>(rte_eth_dev_socket_id(port));
    if (rte_eth_dev_configure(port, 1, 1, &config) != 0 ||
        rte_eth_rx_queue_setup(port, 0, kRing, node, &info.default_rxconf, pool_) != 0 ||
        rte_eth_tx_queue_setup(port, 0, kRing, node, &info.default_txconf) != 0 || rte_eth_dev_start(port) != 0 ||
        rte_eth_promiscuous_enable(port) != 0) {
      baselines::give_up("a port could not be started");
    }
    return port;
  }

  // On an interface of the kernel rte_eth_link_get waits for nothing, and knows with a delay that igb has set its link
  // up again, as it does when an XDP program is attached.
  static void wait_for_carrier(const std::string& address) {
    const std::size_t at = address.find("iface=");
    if (at == std::string::npos) return;
    const std::string name = address.substr(at + 6, address.find(',', at) - at - 6);
    for (int tries = 0; tries < 900; ++tries) {
      int carrier = 0;
      if (std::ifstream("/sys/class/net/" + name + "/carrier") >> carrier && carrier == 1) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    baselines::give_up("no carrier");
  }

  static void wait_for_link(std::uint16_t port) {
    rte_eth_link link{};
    // rte_eth_link_get waits up to nine seconds for the link.
    if (rte_eth_link_get(port, &link) != 0 || link.link_status != RTE_ETH_LINK_UP) baselines::give_up("no link");
  }

  std::uint64_t tx_offloads_;
  rte_mempool* pool_ = nullptr;
  std::array<std::uint16_t, 2> ports_{kNone, kNone};
};

void start_eal(const char* program, const std::vector<std::string>& addresses) {
  std::vector<std::string> words{program, "-l", "0", "--no-telemetry", "--in-memory", "--log-level", "warning"};
  // A card, or a driver with its arguments, such as net_af_xdp0,iface=eth1.
  for (const std::string& address : addresses) {
    words.insert(words.end(), {address.starts_with("net_") ? "--vdev" : "-a", address});
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) baselines::give_up("rte_eal_init failed");
}

}  // namespace

int main(int argc, char** argv) {
  const baselines::Options options = baselines::read_options(argc, argv);
  start_eal(argv[0], options.ports);
  DpdkSide side(options.ports, baselines::requests_checksums(options)
                                   ? RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM
                                   : 0);
  baselines::run(side, options);
  side.stop();
  return rte_eal_cleanup() == 0 ? 0 : 1;
}
