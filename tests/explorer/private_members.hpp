// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>

#include "drivers/intel/queue/rx_queue.hpp"
#include "drivers/intel/queue/tx_queue.hpp"
#include "mem/mempool_core.hpp"

namespace pollux::test {

/// Pointers to the private members of a receive queue that belong to a state.
struct RxPrivateMembers {
  std::uint32_t* next = nullptr;
  const std::uint8_t* chain = nullptr;  ///< 0: none, 1: growing, 2: discarding
  Mbuf** chain_head = nullptr;
  Mbuf** slots = nullptr;
};

/// Pointers to the private members of a transmit queue that belong to a state.
struct TxPrivateMembers {
  static constexpr std::uint32_t kGroups = 4;  ///< in a ring of 8

  RingIndex* next = nullptr;
  RingIndex* clean = nullptr;
  Mbuf** slots = nullptr;
  const std::uint64_t** done = nullptr;
  std::uint32_t* report_slot = nullptr;  ///< kGroups of them
  std::uint8_t* contents = nullptr;      ///< kGroups of them
  TxDrops* drops = nullptr;
  drivers::intel::TxContexts* contexts = nullptr;
};

/// Pointers to the private members of a pool that belong to a state.
struct PoolPrivateMembers {
  std::atomic<std::uint64_t>* head = nullptr;  ///< its lower half links to the first mbuf of the shared list
  std::atomic<std::uint64_t>* shared_count = nullptr;
  std::atomic<std::uint64_t>* failures = nullptr;
  const std::byte* lowest = nullptr;  ///< the address to which links are relative
};

/// The queue must have been set up.
[[nodiscard]] RxPrivateMembers private_members_of(drivers::intel::RxRing& ring);
[[nodiscard]] TxPrivateMembers private_members_of(drivers::intel::TxRing& ring);
[[nodiscard]] PoolPrivateMembers private_members_of(MempoolCore& pool);

}  // namespace pollux::test
