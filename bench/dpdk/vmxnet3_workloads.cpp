// SPDX-License-Identifier: BSD-3-Clause
// The cases of DPDK's vmxnet3 driver: the work of workload_vmxnet3.cpp, with its mbufs.
#include <array>

#include "dpdk_fixture.hpp"
#include "dpdk_vmxnet3.h"
#include "faked_vmxnet3.hpp"
#include "fixture.hpp"
#include "one_way.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

namespace reg = hw::vmxnet3;

// A port on a faked device. Addresses are this process's, so the device needs no domain.
class Vmxnet3Fixture {
 public:
  Vmxnet3Fixture(const DpdkVmxnet3& driver, const Setup& setup)
      : driver_(driver), setup_(setup), number_(next_number()), pool_(shuffled_pool(setup, number_)) {
    port_ = made(driver.start(pool_.get(), static_cast<std::uint16_t>(setup.ring), number_),
                 "DPDK's vmxnet3 driver did not start");
    receiver_ = device(port_->receive, port_->received, 2 * setup.ring);
    sender_ = device(port_->transmit, port_->transmitted, setup.ring);
  }
  Vmxnet3Fixture(const Vmxnet3Fixture&) = delete;
  Vmxnet3Fixture& operator=(const Vmxnet3Fixture&) = delete;
  ~Vmxnet3Fixture() { driver_.stop(port_); }

  void receive() {
    if (receiver_.receive(setup_.frames(), setup_.frame) != setup_.frames()) give_up("DPDK's buffers are missing");
  }
  /// Sends what the last round has left, unless there was none.
  void finish_transmits(std::uint32_t expected) {
    const std::uint32_t sent = sender_.finish_transmits();
    if (!first_ && sent != expected) give_up("DPDK's driver did not send all frames");
    first_ = false;
  }
  std::uint32_t rx(rte_mbuf** mbufs, std::uint32_t count) {
    return driver_.rx_burst(port_->rx, mbufs, static_cast<std::uint16_t>(count));
  }
  std::uint32_t tx(rte_mbuf** mbufs, std::uint32_t count) {
    return driver_.tx_burst(port_->tx, mbufs, static_cast<std::uint16_t>(count));
  }
  rte_mempool* pool() { return pool_.get(); }

 private:
  [[nodiscard]] FakedVmxnet3Queue device(void* descriptors, void* completions, std::uint32_t size) const {
    FakedVmxnet3Queue made({.descriptors = static_cast<reg::Descriptor*>(descriptors),
                            .completions = static_cast<reg::Completion*>(completions),
                            .size = setup_.ring,
                            .completions_size = size});
    made.set_cold(setup_.cold);
    return made;
  }

  const DpdkVmxnet3& driver_;
  Setup setup_;
  std::uint16_t number_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
  DpdkVmxnet3Port* port_ = nullptr;
  FakedVmxnet3Queue receiver_;
  FakedVmxnet3Queue sender_;
  bool first_ = true;
};

template <class Made, const DpdkVmxnet3& Driver>
std::unique_ptr<Workload> make(const Setup& setup) {
  return std::make_unique<Made>(setup, Driver);
}

template <const DpdkVmxnet3& Driver>
constexpr std::array<Case, 3> cases_of(std::string_view who) {
  return {Case{"vmxnet3_forward", who, &make<DpdkForwarding<Vmxnet3Fixture>, Driver>, true, false},
          Case{"vmxnet3_rx", who, &make<DpdkReceiving<Vmxnet3Fixture>, Driver>, true, false},
          Case{"vmxnet3_tx", who, &make<DpdkSending<Vmxnet3Fixture>, Driver>, true, false}};
}

}  // namespace

std::span<const Case> dpdk_vmxnet3_cases() {
  static const std::array<Case, 6> all = [] {
    std::array<Case, 6> cases;
    const auto packaged = cases_of<dpdk_vmxnet3_packaged>(kDpdkPackaged);
    const auto native = cases_of<dpdk_vmxnet3_native>(kDpdkNative);
    std::copy(native.begin(), native.end(), std::copy(packaged.begin(), packaged.end(), cases.begin()));
    return cases;
  }();
  return all;
}

}  // namespace pollux::bench
