// SPDX-License-Identifier: BSD-3-Clause
#include "mem/numa.hpp"

#include <fmt/format.h>
#include <numa.h>
#include <numaif.h>

#include <cerrno>
#include <climits>

namespace pollux::numa {
namespace {

constexpr std::size_t kBitsPerWord = sizeof(unsigned long) * CHAR_BIT;

template <std::size_t Words>
void set_node(unsigned long (&mask)[Words], int node) {
  const auto bit = static_cast<std::size_t>(node);
  mask[bit / kBitsPerWord] |= 1UL << (bit % kBitsPerWord);
}

/// The mask's size as the kernel expects it: one more than the number of bits.
template <std::size_t Words>
constexpr unsigned long bits(const unsigned long (&)[Words]) {
  return Words * kBitsPerWord + 1;
}

bool machine_has_numa() { return numa_available() >= 0; }

}  // namespace

Result<void> check_node(int node) {
  if (node == -1) return {};
  const bool numa = machine_has_numa();
  const int last = numa ? numa_max_node() : 0;
  const bool exists =
      node >= 0 && node <= last && (!numa || numa_bitmask_isbitset(numa_nodes_ptr, static_cast<unsigned>(node)) != 0);
  if (exists) return {};
  return fail(
      ErrorCode::invalid_argument, fmt::format("NUMA node {} does not exist", node),
      numa ? fmt::format("this machine's highest node is {} (`numactl --hardware` lists them); -1 leaves the choice "
                         "to the kernel",
                         last)
           : std::string("this machine has no NUMA; use 0 or -1"));
}

Result<void> bind(std::byte* address, std::size_t size, int node) {
  if (node < 0 || !machine_has_numa()) return {};
  unsigned long mask[64] = {};
  set_node(mask, node);
  if (::mbind(address, size, MPOL_BIND, mask, bits(mask), 0) == 0) return {};
  const int error = errno;
  if (error == ENOSYS || error == EPERM)
    return {};  // a kernel without NUMA policies has one node; some sandboxes forbid mbind
  return fail_errno(ErrorCode::invalid_argument, fmt::format("memory cannot be allocated on NUMA node {}", node), error,
                    "choose a node that has memory and that this process's cpuset allows, or -1");
}

ThreadPolicy::ThreadPolicy(int node) {
  if (node < 0 || !machine_has_numa()) return;
  if (::get_mempolicy(&saved_mode_, saved_mask_, bits(saved_mask_), nullptr, 0) != 0) return;
  unsigned long mask[kWords] = {};
  set_node(mask, node);
  changed_ = ::set_mempolicy(MPOL_BIND, mask, bits(mask)) == 0;
}

ThreadPolicy::~ThreadPolicy() {
  if (changed_) static_cast<void>(::set_mempolicy(saved_mode_, saved_mask_, bits(saved_mask_)));
}

}  // namespace pollux::numa
