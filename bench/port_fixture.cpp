// SPDX-License-Identifier: BSD-3-Clause
#include "port_fixture.hpp"

#include "mem/mempool_core.hpp"

namespace pollux::bench {
namespace {

MbufPtr need_mbuf(MbufPtr mbuf) {
  if (mbuf == nullptr) give_up("the pool is too small for Setup::rotate");
  return mbuf;
}

Mempool make_pool(Context& context, FakedCard& card, const Setup& setup) {
  need(context.attach(card.domain()));
  Mempool pool = need(Mempool::create(context, {.count = setup.pool, .data_room = Setup::kBuffer}));
  shuffle(pool);
  return pool;
}

Mempool make_header_pool(Context& context, const Setup& setup) {
  if (!setup.split) return {};
  return need(Mempool::create(context, {.count = setup.pool, .data_room = 128, .name = "headers"}));
}

Port start(Context& context, FakedCard& card, const Mempool& pool, const MempoolCache& cache, const Mempool& headers,
           const Setup& setup) {
  Port port = need(open_unconfigured(context, card.device()));
  need(port.change([&](Settings& settings) {
    settings = {.rx = {setup.queues, {.pool = pool, .cache = cache, .ring = setup.ring, .header_pool = headers}},
                .tx = {setup.queues, {.cache = cache, .ring = setup.ring}},
                .mtu = std::max(1500U, setup.frame),
                .burst_mode = setup.mode};
  }));
  need(port.start());
  return port;
}

}  // namespace

PortFixture::PortFixture(const Setup& setup)
    : setup_(setup),
      card_(setup.is_82574 ? FakedCard::Kind::card_82574 : FakedCard::Kind::card_82576),
      context_(logging_options(card_.clock())),
      pool_(make_pool(context_, card_, setup)),
      cache_(pool_, MempoolCache::kMaxCapacity),
      headers_(make_header_pool(context_, setup)),
      port_(start(context_, card_, pool_, cache_, headers_, setup)) {
  card_.restart();
  card_.set_cold(setup.cold);
  card_.set_marking(setup.marked);
  if (!setup.rotate) return;
  // Checked builds cannot track the ownership of mbufs that are exchanged like this.
  if (POLLUX_CHECKED != 0) give_up("Setup::rotate needs a build without POLLUX_CHECKED");
  // The mbufs in the rings and in the cache stay in use.
  const std::uint32_t kept = 2 * setup.ring * setup.queues + MempoolCache::kMaxCapacity;
  for (std::uint32_t i = kept; i < setup.pool; ++i) waiting_.push_back(need_mbuf(pool_.allocate()));
}

void PortFixture::next_round() {
  finish_transmits(first_ ? 0 : setup_.frames());
  first_ = false;
  receive();
}

void PortFixture::finish_transmits(std::uint32_t expected) {
  for (std::uint16_t queue = 0; queue < setup_.queues; ++queue) finish_transmits(queue, expected);
}

void PortFixture::finish_transmits(std::uint16_t queue, std::uint32_t expected) {
  if (card_.finish_transmits(queue) != expected) give_up("the driver did not send all frames");
}

void PortFixture::receive() {
  if (setup_.rotate) rotate();
  for (std::uint16_t queue = 0; queue < setup_.queues; ++queue) receive(queue);
}

std::unique_ptr<ForwardPath> PortFixture::fuse() {
  need(port_.stop());
  std::unique_ptr<ForwardPath> path = need(port_.forward_path(0, port_, 0));
  need(port_.start());
  card_.restart();
  return path;
}

// Exchanges pointers without reading any mbuf, which would load it into the processor's caches.
void PortFixture::rotate() {
  MempoolCacheCore& cache = *cache_.core();
  for (std::uint32_t i = 0; i < cache.count() && !waiting_.empty(); ++i) {
    Mbuf*& place = cache.objects()[i];
    Mbuf* const warm = place;
    place = waiting_[turn_].release();
    waiting_[turn_].reset(warm);
    turn_ = (turn_ + 1) % waiting_.size();
  }
}

}  // namespace pollux::bench
