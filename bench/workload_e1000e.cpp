// SPDX-License-Identifier: BSD-3-Clause
// The work of the 82576's cases, by the e1000e driver on a faked 82574.
#include "workloads.hpp"

namespace pollux::bench {
namespace {

Setup on_82574(const Setup& setup) {
  Setup other = setup;
  other.is_82574 = true;
  return other;
}

}  // namespace

std::unique_ptr<Workload> e1000e_forward(const Setup& setup) { return forward(on_82574(setup)); }
std::unique_ptr<Workload> e1000e_forward_checksums(const Setup& setup) { return forward_checksums(on_82574(setup)); }
std::unique_ptr<Workload> e1000e_receive(const Setup& setup) { return receive(on_82574(setup)); }
std::unique_ptr<Workload> e1000e_transmit(const Setup& setup) { return transmit(on_82574(setup)); }

}  // namespace pollux::bench
