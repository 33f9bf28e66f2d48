// SPDX-License-Identifier: BSD-3-Clause
#include "explorer/private_members.hpp"

namespace pollux::test {
namespace {

// An explicit instantiation may name a private member.
template <auto Member, class Tag>
struct Reveal {
  friend constexpr auto reveal(Tag) { return Member; }
};

struct RxNext {
  friend constexpr auto reveal(RxNext);
};
template struct Reveal<&drivers::intel::RxQueue::next_, RxNext>;
struct RxChain {
  friend constexpr auto reveal(RxChain);
};
template struct Reveal<&drivers::intel::RxQueue::chain_, RxChain>;
struct RxChainHead {
  friend constexpr auto reveal(RxChainHead);
};
template struct Reveal<&drivers::intel::RxQueue::chain_head_, RxChainHead>;
struct RxSlots {
  friend constexpr auto reveal(RxSlots);
};
template struct Reveal<&drivers::intel::RxQueue::slots_, RxSlots>;

struct TxNext {
  friend constexpr auto reveal(TxNext);
};
template struct Reveal<&drivers::intel::TxQueue::next_, TxNext>;
struct TxClean {
  friend constexpr auto reveal(TxClean);
};
template struct Reveal<&drivers::intel::TxQueue::clean_, TxClean>;
struct TxSlots {
  friend constexpr auto reveal(TxSlots);
};
template struct Reveal<&drivers::intel::TxQueue::slots_, TxSlots>;
struct TxDone {
  friend constexpr auto reveal(TxDone);
};
template struct Reveal<&drivers::intel::TxQueue::done_, TxDone>;
struct TxReportSlot {
  friend constexpr auto reveal(TxReportSlot);
};
template struct Reveal<&drivers::intel::TxQueue::report_slot_, TxReportSlot>;
struct TxContents {
  friend constexpr auto reveal(TxContents);
};
template struct Reveal<&drivers::intel::TxQueue::contents_, TxContents>;
struct TxDropsOf {
  friend constexpr auto reveal(TxDropsOf);
};
template struct Reveal<&TxQueue::drops_, TxDropsOf>;
struct TxContextsOf {
  friend constexpr auto reveal(TxContextsOf);
};
template struct Reveal<&drivers::intel::TxQueue::contexts_, TxContextsOf>;

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

RxPrivateMembers private_members_of(drivers::intel::RxQueue& queue) {
  static_assert(sizeof(queue.*reveal(RxChain())) == 1);
  return {.next = &(queue.*reveal(RxNext())),
          .chain = reinterpret_cast<const std::uint8_t*>(&(queue.*reveal(RxChain()))),
          .chain_head = &(queue.*reveal(RxChainHead())),
          .slots = queue.*reveal(RxSlots())};
}

TxPrivateMembers private_members_of(drivers::intel::TxQueue& queue) {
  return {.next = &(queue.*reveal(TxNext())),
          .clean = &(queue.*reveal(TxClean())),
          .slots = queue.*reveal(TxSlots()),
          .done = &(queue.*reveal(TxDone())),
          .report_slot = (queue.*reveal(TxReportSlot())).data(),
          .contents = (queue.*reveal(TxContents())).data(),
          .drops = &(queue.*reveal(TxDropsOf())),
          .contexts = &(queue.*reveal(TxContextsOf()))};
}

PoolPrivateMembers private_members_of(MempoolCore& pool) {
  return {.head = &(pool.*reveal(PoolHead())),
          .shared_count = &(pool.*reveal(PoolSharedCount())),
          .failures = &(pool.*reveal(PoolFailures())),
          .lowest = pool.*reveal(PoolLowest())};
}

}  // namespace pollux::test
