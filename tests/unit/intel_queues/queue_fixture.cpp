// SPDX-License-Identifier: BSD-3-Clause
#include "unit/intel_queues/queue_fixture.hpp"

#include <chrono>
#include <stdexcept>
#include <utility>

#include "mem/context_state.hpp"

namespace pollux::test {
namespace {

// An explicit instantiation may name a private member. The tests need memory in several segments, which no backend
// provides yet.
std::vector<DmaSegment>& segments_of(DmaMemory& memory);
template <std::vector<DmaSegment> DmaMemory::*Member>
struct PrivateSegments {
  friend std::vector<DmaSegment>& segments_of(DmaMemory& memory) { return memory.*Member; }
};
template struct PrivateSegments<&DmaMemory::segments_>;

constexpr std::uint64_t kElsewhere = std::uint64_t{1} << 40;

// Moves the upper half of `memory` to other IOVAs. The lower half keeps the IOVA with which the memory is freed.
void split(DmaMemory& memory, FakeDomain& domain) {
  std::vector<DmaSegment>& segments = segments_of(memory);
  const std::size_t half = segments[0].size / 8192 * 4096;
  DmaSegment upper = segments[0];
  upper.address += half;
  upper.iova += half + kElsewhere;
  upper.size -= half;
  segments[0].size = half;
  segments.push_back(upper);
  domain.mapped.push_back(upper);
}

DmaMemory value_of(Result<DmaMemory> memory) {
  if (!memory) throw std::runtime_error(memory.error().message());
  return std::move(memory).value();
}

}  // namespace

QueueFixture::QueueFixture(const CardFixtureOptions& wanted) : options(wanted), rdt(wanted.remote), tdt(wanted.remote) {
  if (const auto attached = fixture.context().attach(domain); !attached)
    throw std::runtime_error(attached.error().message());
  make_pool();
  const std::size_t rx_bytes = options.rx_ring * sizeof(hw::intel::Descriptor);
  const std::size_t tx_bytes = options.tx_ring * sizeof(hw::intel::Descriptor);
  rings = value_of(fixture.context().allocate({.size = rx_bytes + tx_bytes, .purpose = "rings"}));
  const DmaSegment& segment = rings.segments()[0];
  const std::uint32_t buffer_bytes = (pool->buffer_size() - pool->data_offset()) / 1024 * 1024;
  rx.setup({.ring = reinterpret_cast<hw::intel::Descriptor*>(segment.address),
            .size = options.rx_ring,
            .buffer_bytes = buffer_bytes,
            .tail = rdt.doorbell(),
            .registers = options.rx_head ? Bar(rdh, 2 * HeadRegister::kOffset) : Bar(),
            .head_offset = HeadRegister::kOffset,
            .pool = pool,
            .cache = cache,
            .port = kPort,
            .mode = options.mode,
            .splitting = splitting()});
  tx.setup({.ring = reinterpret_cast<hw::intel::Descriptor*>(segment.address + rx_bytes),
            .size = options.tx_ring,
            .max_frame = options.max_frame,
            .segments_tunnels = options.tunnels,
            .offloads = drivers::intel::kTxUsualOffloads | (options.stamps ? std::uint32_t{TxOffload::timestamp} : 0U),
            .tail = tdt.doorbell(),
            .cache = options.tx_cache ? cache : nullptr,
            .context = fixture.context().state(),
            .mode = options.mode});
  receiver.emplace(memory, rdt,
                   StrictReceiver::Ring{.iova = segment.iova,
                                        .size = options.rx_ring,
                                        .buffer_bytes = buffer_bytes,
                                        .headroom = pool->data_offset(),
                                        .header_bytes = headers ? options.headers->data_room / 64 * 64 : 0,
                                        .header_headroom = headers ? headers->core()->data_offset() : 0});
  rdh.receiver = &*receiver;
  transmitter.emplace(memory, tdt, segment.iova + rx_bytes, options.tx_ring);
}

const hw::intel::Descriptor& QueueFixture::ring(std::uint32_t slot) const {
  const std::byte* const all = rings.segments()[0].address;
  return reinterpret_cast<const hw::intel::Descriptor*>(all)[options.rx_ring + slot];
}

QueueFixture::~QueueFixture() {
  rx.drain();
  tx.drain();
}

drivers::intel::RxSplitting QueueFixture::splitting() {
  if (!options.headers) return {};
  headers = fixture.pool(*options.headers);
  return {.cache = std::make_shared<MempoolCacheCore>(headers->core(), 64),
          .header_bytes = options.headers->data_room / 64 * 64};
}

void QueueFixture::make_pool() {
  if (!options.split_memory) {
    pool_handle = fixture.pool(options.pool);
    cache_handle.emplace(*pool_handle, options.cache);
    pool = pool_handle->core();
    cache = cache_handle->core();
    return;
  }
  const std::size_t stride = MempoolCore::stride(options.pool);
  DmaMemory two =
      value_of(fixture.context().allocate({.size = (options.pool.count + 4) * stride, .purpose = "split pool"}));
  split(two, *domain);
  const auto& state = fixture.context().state();
  pool = std::shared_ptr<MempoolCore>(new MempoolCore(state, options.pool, std::move(two)), &MempoolCore::retire);
  cache = std::make_shared<MempoolCacheCore>(pool, options.cache);
}

void QueueFixture::start() {
  const auto filled = rx.fill();
  ASSERT_TRUE(filled) << filled.error().message();
  receiver->start();
  tx.clear();
  const auto spares = tx.fill();
  ASSERT_TRUE(spares) << spares.error().message();
  transmitter->start();
  rx.open();
  tx.open();
  const Doorbell first = rdt.doorbell();
  first.ring(rx.first_tail());
  first.flush();
  look();
}

void QueueFixture::close() {
  constexpr auto kLimit = std::chrono::milliseconds(10);
  ASSERT_TRUE(rx.close(clock, kLimit));
  ASSERT_TRUE(tx.close(clock, kLimit));
  look();
  receiver->stop();
  transmitter->stop();
}

void QueueFixture::drain() {
  rx.drain();
  tx.drain();
}

void QueueFixture::look() {
  receiver->look();
  transmitter->look();
}

std::string QueueFixture::errors() const {
  std::string text;
  for (const std::string& violation : memory.violations()) text += violation + "\n";
  for (const Misuse& misuse : fixture.misuses()) text += misuse.what + "\n";
  return text;
}

}  // namespace pollux::test
