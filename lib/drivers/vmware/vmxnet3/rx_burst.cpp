// SPDX-License-Identifier: BSD-3-Clause
// Receiving, from the rings to the application. The fast path takes frames in one buffer, from a device that filters
// frames and uses buffers in the order of their slots. The slow path takes all others.
#include <algorithm>
#include <span>

#include "base/compiler.hpp"
#include "drivers/vmware/vmxnet3/rx_queue.hpp"
#include "net/frame_size.hpp"
#include "net/superframe.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::drivers::vmxnet3 {

namespace rx = hw::vmxnet3::rx;

namespace {

/// Distance in slots from a frame to the one whose first line is prefetched. Behind the last slot of `heads` are those
/// of `bodies`, so that reads what is of no use there.
constexpr std::uint32_t kPrefetchDistance = 16;

/// Whether a completion says more than where the frame is.
POLLUX_ALWAYS_INLINE bool has_metadata(const reg::Completion& done) noexcept {
  return (done.low & (rx::kNotChecked | rx::kHashType)) != rx::kNotChecked || (done.high & rx::kStripped) != 0;
}

ChecksumStatus status(std::uint64_t high, std::uint64_t good) noexcept {
  return (high & good) != 0 ? ChecksumStatus::good : ChecksumStatus::bad;
}

POLLUX_NOINLINE void attach_metadata(Mbuf& frame, const reg::Completion& done) noexcept {
  SoftwareRxMetadata metadata;
  if ((done.low & rx::kHashType) != 0) metadata.rss_hash = static_cast<std::uint32_t>(done.low >> rx::kHashShift);
  if ((done.high & rx::kStripped) != 0) metadata.vlan = static_cast<std::uint16_t>(done.high >> rx::kTagShift);
  if ((done.low & rx::kNotChecked) == 0) {
    if ((done.high & rx::kIpv4) != 0) metadata.ip_checksum = status(done.high, rx::kIpGood);
    const bool has_l4 = (done.high & (rx::kTcp | rx::kUdp)) != 0 && (done.high & rx::kFragment) == 0;
    if (has_l4) metadata.l4_checksum = status(done.high, rx::kL4Good);
  }
  metadata.attach_to(frame);
}

POLLUX_ALWAYS_INLINE const std::uint8_t* frame_of(const Mbuf* mbuf, const RxFastPath& path) noexcept {
  return reinterpret_cast<const std::uint8_t*>(mbuf) + Mbuf::kHeaderSize + path.iova_at;
}

/// What the frames of a run have.
struct Run {
  std::uint64_t excess = 0;        ///< bytes above those of as many shortest frames
  std::uint32_t any_metadata = 0;  ///< bits of completions, in which frames without metadata have none
  std::uint64_t any_high = 0;
  std::uint32_t any_first = 0;  ///< first bytes
};

/// Takes the frame of a completion, whose slot is not the first of the ring, and gives the device the buffer that was
/// put before it. False, with nothing changed, if it is not there, or needs the slow path. One comparison covers
/// length, error and generation. `OneDelta`: IOVA minus address is the same for the whole pool.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool take(const RxFastPath& path, std::uint64_t ready, const reg::Completion& entry,
                               std::uint32_t expected, std::uint64_t max_excess, Mbuf*& held,
                               reg::Descriptor* descriptor, Mbuf* fresh, Mbuf*& out, Run& run) noexcept {
  constexpr std::uint64_t kMetadata = rx::kHashType | rx::kNotChecked;
  const std::uint64_t high = io::load_acquire(entry.high);
  const std::uint64_t excess = (high & (reg::kCompletionGeneration | rx::kLengthMask | rx::kError)) - path.shortest;
  const std::uint32_t differs = static_cast<std::uint32_t>(entry.low) ^ expected;
  if (excess > max_excess || (differs & ~kMetadata) != 0) [[unlikely]]
    return false;
  Mbuf& received = *held;
  MbufAccess::set_word(received, path.word + excess);
  __builtin_prefetch(frame_of((&held)[kPrefetchDistance], path), 1, 3);
  out = &received;
  held = fresh;
  descriptor->address =
      OneDelta ? reinterpret_cast<std::uintptr_t>(fresh) + path.iova_delta : MbufAccess::iova(*fresh) + path.iova_at;
  io::io_wmb();
  __atomic_store_n(&(descriptor - 1)->word, ready, __ATOMIC_RELEASE);
  run.excess += excess;
  run.any_metadata |= differs;
  run.any_high |= high;
  run.any_first |= *frame_of(&received, path);
  return true;
}

/// Looks again at frames of which some have metadata, or are multicasts. Returns their number.
POLLUX_NOINLINE std::uint32_t look_again(RxRings& queue, const reg::Completion* entries, Mbuf* const* frames,
                                         std::uint32_t count) noexcept {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (has_metadata(entries[i])) attach_metadata(*frames[i], entries[i]);
    if (RxFilter::is_multicast(frames[i]->data())) queue.count_multicast();
  }
  return count;
}

/// Counts the frames of a run, and moves the queue on. Returns their number. The last call is at the end, so that it
/// needs no register to be saved.
POLLUX_ALWAYS_INLINE std::uint32_t finish_run(RxRings& queue, MempoolCacheCore& cache, const Run& run,
                                              const reg::Completion* entries, Mbuf* const* frames,
                                              std::uint32_t count) noexcept {
  add_to(cache.first, count);
  add_to(queue.heads.next, count);
  add_to(queue.next, count);
  queue.count_arrivals(count, run.excess + std::uint64_t{count} * kEthernetHeaderBytes);
  if ((run.any_metadata | (run.any_high & rx::kStripped) | (run.any_first & 1)) == 0) return count;
  return look_again(queue, entries, frames, count);
}

POLLUX_ALWAYS_INLINE std::uint64_t max_excess(const RxRings& queue) noexcept {
  return std::min(queue.filter().longest(), queue.room) - kEthernetHeaderBytes;
}

}  // namespace

// What is inlined from here on has external linkage: otherwise GCC 12 saves more registers in bursts.

template <bool OneDelta>
POLLUX_ALWAYS_INLINE std::uint32_t rx_take_fast(RxRings& queue, Mbuf** out, std::uint32_t limit) noexcept {
  constexpr std::uint32_t kMaxRun = MempoolCache::kMaxCapacity / 2;
  MempoolCacheCore& cache = *queue.cache_;
  const std::uint32_t slot = queue.heads.next & queue.heads.mask;
  const std::uint32_t entry = queue.next & queue.mask;
  if (slot == 0 || entry == 0 || !queue.is_ready(queue.next)) return 0;
  std::uint32_t run = std::min({limit, queue.mask + 1 - entry, queue.heads.mask + 1 - slot, kMaxRun});
  if (cache.count() < run) [[unlikely]] {
    cache.refill(run);
    run = std::min(run, cache.count());
  }
  // Copies stay in registers: no store to an mbuf can alias them.
  const RxFastPath path = queue.path;
  const std::uint64_t ready = queue.heads.ready;
  const std::uint64_t most = max_excess(queue);
  const reg::Completion* const entries = queue.completions + entry;
  Mbuf** const held = queue.heads.slots + slot;
  reg::Descriptor* const descriptors = queue.heads.descriptors + slot;
  Mbuf* const* const fresh = cache.objects();
  const std::uint32_t expected = path.first + slot;
  Run taken;
  std::uint32_t i = 0;
  for (; i < run; ++i) {
    if (!take<OneDelta>(path, ready, entries[i], expected + i, most, held[i], descriptors + i, fresh[i], out[i], taken))
      break;
  }
  return finish_run(queue, cache, taken, entries, out, i);
}

namespace {

/// The completions of the next frame; 0: its last one has not come.
std::uint32_t count_completions(RxRings& queue) noexcept {
  for (std::uint32_t count = 1; count <= queue.mask + 1; ++count) {
    if (!queue.is_ready(queue.next + count - 1)) return 0;
    io::dma_rmb();
    if ((queue.completions[(queue.next + count - 1) & queue.mask].low & rx::kEndOfPacket) != 0) return count;
  }
  queue.end("a frame without an end");
  return 0;
}

/// Moves the ring of a completion on to its buffer. The device does not fill those that it skips, which it gets again.
BufferRing* find_buffer(RxRings& queue, std::uint64_t low) noexcept {
  const std::uint64_t id = low >> rx::kRingShift & rx::kRingMask;
  if (id != queue.index && id != queue.index + queue.queues) {
    queue.end("a buffer of another queue");
    return nullptr;
  }
  BufferRing& ring = id == queue.index ? queue.heads : queue.bodies;
  const auto slot = static_cast<std::uint32_t>(low & rx::kIndexMask);
  const std::uint32_t skipped = (slot - ring.next) & ring.mask;
  if (slot > ring.mask || skipped == ring.mask || ring.slots[slot] == nullptr) {
    queue.end(slot > ring.mask ? "a buffer that does not exist" : "a buffer that it did not have");
    return nullptr;
  }
  for (std::uint32_t i = 0; i < skipped; ++i) {
    Mbuf& same = *ring.slots[ring.next & ring.mask];
    ring.put(same, MbufAccess::iova(same) + queue.path.iova_at);
  }
  return &ring;
}

/// Adds the buffer of a completion to a frame, or gives it to the device again if the frame is dropped.
bool add(RxRings& queue, const reg::Completion& done, BuiltFrame& frame) noexcept {
  BufferRing* const ring = find_buffer(queue, done.low);
  if (ring == nullptr) return false;
  const auto length = static_cast<std::uint32_t>(done.high & rx::kLengthMask);
  const bool starts = (done.low & rx::kStartOfPacket) != 0;
  if (starts != (frame.segments == 0) || (done.high & rx::kError) != 0) frame.why = &RxDrops::error;
  if (length == 0 || length > queue.room) frame.why = &RxDrops::bad_length;
  if (frame.segments == paravirtual::kMaxRxSegments) frame.why = &RxDrops::too_many_segments;
  if (frame.why == nullptr && !queue.cache_->has_one()) frame.why = &RxDrops::pool_empty;
  Mbuf& received = *ring->slots[ring->next & ring->mask];
  Mbuf& fresh = frame.why == nullptr ? queue.cache_->pop() : received;
  ring->put(fresh, MbufAccess::iova(fresh) + queue.path.iova_at);
  if (frame.why != nullptr) return true;
  MbufAccess::set_word(received, queue.path.word - kEthernetHeaderBytes + length);
  MbufAccess::stamp(received, paravirtual::kReceiveRing);
  frame.add(received);
  return true;
}

bool passes_vlans(const RxRings& queue, const Mbuf& frame, std::uint64_t high) noexcept {
  if (!queue.vlans->active()) return true;
  if ((high & rx::kStripped) == 0) return queue.vlans->passes(frame.bytes());
  return queue.vlans->passes(static_cast<std::uint32_t>(high >> rx::kTagShift));
}

/// The request of a frame that the device has merged (LRO): revision 1 does not say how long the segments were, so they
/// become as long as the MTU allows, as in Linux (vmxnet3_drv.c, vmxnet3_rq_rx_complete).
bool describe_merged(const RxRings& queue, Mbuf& frame) noexcept {
  const std::span<const std::uint8_t> start = frame.bytes();
  const std::size_t l2 = ethernet_bytes(start);
  if (start.size() <= l2) return false;
  const bool v6 = start[l2] >> 4 == 6;
  const std::size_t l3 = v6 ? 40 : (start[l2] & 0xFU) * std::size_t{4};
  const VirtioNetHeader header{.flags = VirtioNetHeader::kNeedsChecksum,
                               .segmentation = v6 ? VirtioNetHeader::kTcpOverIpv6 : VirtioNetHeader::kTcpOverIpv4,
                               .header_length = 0,
                               .segment_size = static_cast<std::uint16_t>(queue.mtu.load(std::memory_order_relaxed)),
                               .checksum_start = static_cast<std::uint16_t>(l2 + l3),
                               .checksum_offset = 16};
  auto request = superframe_request(header, start);
  constexpr std::uint8_t kTcp = 6;
  if (!request || start[l2 + (v6 ? 6 : 9)] != kTcp) return false;
  if (request->segment_size <= l3 + request->l4) return false;
  request->segment_size = static_cast<std::uint16_t>(request->segment_size - l3 - request->l4);
  return request_checksums(frame, *request);
}

RxOutcome finish(RxRings& queue, BuiltFrame& frame, const reg::Completion& last, std::uint64_t hash_word,
                 Mbuf*& out) noexcept {
  if (frame.why == nullptr && frame.bytes < kEthernetHeaderBytes) frame.why = &RxDrops::too_short;
  const bool is_long = frame.bytes > queue.filter().longest();
  const bool merged = is_long && queue.merges.load(std::memory_order_relaxed);
  if (frame.why == nullptr && is_long && !merged) frame.why = &RxDrops::too_long;
  if (frame.why == nullptr && !passes_vlans(queue, *frame.head, last.high)) frame.why = &RxDrops::filtered;
  if (frame.why == nullptr) {
    const reg::Completion whole{(hash_word & ~rx::kNotChecked) | (last.low & rx::kNotChecked), last.high};
    if (has_metadata(whole)) attach_metadata(*frame.head, whole);
    if (merged && !describe_merged(queue, *frame.head)) frame.why = &RxDrops::too_long;
  }
  return queue.finish(frame, out);
}

POLLUX_NOINLINE RxOutcome rx_take_slow(RxRings& queue, Mbuf*& out) noexcept {
  if (queue.fault() != nullptr) return RxOutcome::nothing;
  const std::uint32_t count = count_completions(queue);
  if (count == 0) return RxOutcome::nothing;
  BuiltFrame frame;
  const std::uint64_t hash_word = queue.completions[queue.next & queue.mask].low;
  reg::Completion last{};
  for (std::uint32_t i = 0; i < count; ++i) {
    last = queue.completions[queue.next & queue.mask];
    if (!add(queue, last, frame)) {
      if (frame.head != nullptr) queue.cache_->free(*frame.head);
      return RxOutcome::nothing;
    }
    queue.pass();
  }
  return finish(queue, frame, last, hash_word, out);
}

/// For a device that wants to know how many buffers there are.
void tell_producers(const RxRings& queue) noexcept {
  const auto last = [](const BufferRing& ring) { return (ring.next + ring.mask) & ring.mask; };
  queue.queue_bar.write32(reg::RXPROD::offset(queue.index), last(queue.heads));
  queue.queue_bar.write32(reg::RXPROD2::offset(queue.index), last(queue.bodies));
  queue.queue_bar.flush();
}

template <bool OneDelta>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t rx_burst_loop(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxRings&>(base);
  const std::uint32_t first = queue.next;
  std::uint32_t taken = 0;
  std::uint32_t dropped = 0;  // counts towards the limit, too
  while (taken + dropped < limit) {
    if (queue.filter().promiscuous() && queue.fault() == nullptr) [[likely]] {
      taken += rx_take_fast<OneDelta>(queue, out + taken, limit - taken - dropped);
      if (taken + dropped == limit) break;
    }
    if (!queue.is_ready(queue.next)) break;
    const RxOutcome outcome = rx_take_slow(queue, out[taken]);
    if (outcome == RxOutcome::nothing) break;
    (outcome == RxOutcome::frame ? taken : dropped) += 1;
  }
  if (queue.next == first) {
    queue.queue_bar.flush();
    return 0;
  }
  if (queue.shared->wants_producer != 0) [[unlikely]]
    tell_producers(queue);
  queue.count_returned(taken);
  return taken;
}

// A burst of one such frame, without loops.
template <bool OneDelta>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t rx_burst_single(RxQueue& base, Mbuf** out) noexcept {
  auto& queue = static_cast<RxRings&>(base);
  MempoolCacheCore& cache = *queue.cache_;
  const std::uint32_t slot = queue.heads.next & queue.heads.mask;
  const std::uint32_t entry = queue.next & queue.mask;
  if (slot == 0 || entry == 0 || !queue.filter().promiscuous() || queue.fault() != nullptr || cache.count() == 0 ||
      queue.shared->wants_producer != 0) [[unlikely]]
    return rx_burst_loop<OneDelta>(base, out, 1);
  const reg::Completion* const entries = queue.completions + entry;
  Run taken;
  if (!take<OneDelta>(queue.path, queue.heads.ready, *entries, queue.path.first + slot, max_excess(queue),
                      queue.heads.slots[slot], queue.heads.descriptors + slot, *cache.objects(), *out, taken))
      [[unlikely]]
    return rx_burst_loop<OneDelta>(base, out, 1);
  queue.count_returned(1);
  return finish_run(queue, cache, taken, entries, out, 1);
}
// Each saves the registers that it needs.
template <bool OneDelta>
POLLUX_HOT std::uint32_t rx_burst_any(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return limit == 1 ? rx_burst_single<OneDelta>(queue, out) : rx_burst_loop<OneDelta>(queue, out, limit);
}

}  // namespace

RxQueue::BurstFunction* rx_burst_function(bool one_delta) noexcept {
  return one_delta ? &rx_burst_any<true> : &rx_burst_any<false>;
}

}  // namespace pollux::drivers::vmxnet3
