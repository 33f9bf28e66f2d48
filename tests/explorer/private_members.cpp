// SPDX-License-Identifier: BSD-3-Clause
#include "explorer/private_members.hpp"

namespace pollux::test {
namespace {

// An explicit instantiation may name a private member.
template <auto Member, class Tag>
struct Reveal {
  friend constexpr auto reveal(Tag) { return Member; }
};

struct PoolHead {
  friend constexpr auto reveal(PoolHead);
};
template struct Reveal<&MempoolCore::head_, PoolHead>;
struct PoolSharedCount {
  friend constexpr auto reveal(PoolSharedCount);
};
template struct Reveal<&MempoolCore::shared_count_, PoolSharedCount>;
struct PoolFailures {
  friend constexpr auto reveal(PoolFailures);
};
template struct Reveal<&MempoolCore::allocation_failures_, PoolFailures>;
struct PoolLowest {
  friend constexpr auto reveal(PoolLowest);
};
template struct Reveal<&MempoolCore::lowest_, PoolLowest>;

}  // namespace

RxPrivateMembers private_members_of(drivers::intel::RxRing& ring) {
  static_assert(sizeof(ring.chain) == 1);
  return {.next = &ring.next,
          .chain = reinterpret_cast<const std::uint8_t*>(&ring.chain),
          .chain_head = &ring.chain_head,
          .slots = ring.slots};
}

TxPrivateMembers private_members_of(drivers::intel::TxRing& ring) {
  return {.next = &ring.next,
          .clean = &ring.clean,
          .slots = ring.slots,
          .done = &ring.done,
          .report_slot = ring.report_slot.data(),
          .contents = ring.contents.data(),
          .drops = &ring.drops_,
          .contexts = &ring.contexts};
}

PoolPrivateMembers private_members_of(MempoolCore& pool) {
  return {.head = &(pool.*reveal(PoolHead())),
          .shared_count = &(pool.*reveal(PoolSharedCount())),
          .failures = &(pool.*reveal(PoolFailures())),
          .lowest = pool.*reveal(PoolLowest())};
}

}  // namespace pollux::test
