// SPDX-License-Identifier: BSD-3-Clause
#include "minimal_loop.hpp"

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <random>

#include "fixture.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/base/io.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {

namespace reg = hw::igb;
using hw::intel::Descriptor;

namespace {

constexpr std::uint64_t kCommand = hw::intel::tx::kData | hw::intel::tx::kEndOfPacket | hw::intel::tx::kReportStatus;

constexpr std::uint64_t command(std::uint64_t length) {
  return kCommand | length | length << hw::intel::tx::kPayloadShift;
}

}  // namespace

template <std::uint32_t Slots>
MinimalLoop<Slots>::MinimalLoop(Context& context, FakedCard& card, const Setup& setup, bool full) {
  const std::size_t ring_bytes = std::max<std::size_t>(Slots * sizeof(Descriptor), 4096);
  memory_ =
      need(context.allocate({.size = 2 * ring_bytes + setup.pool * sizeof(Buffer), .purpose = "the minimal loop"}));
  const DmaSegment& segment = memory_.segments().front();
  to_iova_ = segment.iova - reinterpret_cast<std::uintptr_t>(segment.address);
  rx_.descriptors = reinterpret_cast<Descriptor*>(segment.address);
  tx_.descriptors = reinterpret_cast<Descriptor*>(segment.address + ring_bytes);
  auto* const buffers = reinterpret_cast<Buffer*>(segment.address + 2 * ring_bytes);
  for (std::uint32_t i = 0; i < setup.pool; ++i) stack_.push_back(buffers + i);
  std::shuffle(stack_.begin(), stack_.end(), std::mt19937(1));
  top_ = setup.pool;
  for (std::uint32_t slot = 0; slot < Slots; ++slot) {
    rx_.slots[slot] = take();
    rx_.descriptors[slot] = {iova(rx_.slots[slot]), 0};
    tx_.slots[slot] = full ? take() : nullptr;
    tx_.descriptors[slot] = {0, full ? hw::intel::tx::kDone : 0};
  }
  const Bar bar = need(card.device()->bar(0));
  bar.write32(reg::RDBAL::offset(0), static_cast<std::uint32_t>(segment.iova));
  bar.write32(reg::RDBAH::offset(0), static_cast<std::uint32_t>(segment.iova >> 32));
  bar.write32(reg::RDLEN::offset(0), Slots * std::uint32_t{sizeof(Descriptor)});
  bar.write32(reg::SRRCTL::offset(0), Setup::kBuffer / reg::kRxBufferUnit);
  bar.write32(reg::TDBAL::offset(0), static_cast<std::uint32_t>(segment.iova + ring_bytes));
  bar.write32(reg::TDBAH::offset(0), static_cast<std::uint32_t>((segment.iova + ring_bytes) >> 32));
  bar.write32(reg::TDLEN::offset(0), Slots * std::uint32_t{sizeof(Descriptor)});
  bar.write32(reg::TDT::offset(0), 0);
  rx_.tail = bar.mapped(reg::RDT::offset(0));
  tx_.tail = bar.mapped(reg::TDT::offset(0));
  card.restart();
}

template <std::uint32_t Slots>
template <bool Whole>
__attribute__((always_inline)) inline std::uint32_t MinimalLoop<Slots>::receive(Buffer** buffers,
                                                                                std::uint32_t limit) noexcept {
  if (top_ < limit) return 0;
  std::uint32_t slot = rx_.next;
  std::uint32_t count = 0;
  Buffer** fresh = stack_.data() + top_;
  for (; count < limit; ++count) {
    Descriptor& descriptor = rx_.descriptors[slot];
    const std::uint64_t status = io::load_acquire(descriptor.hi);
    if (!hw::intel::rx::done(status)) break;
    Buffer* const buffer = rx_.slots[slot];
    buffer->length = hw::intel::rx::length(status);
    buffer->status = static_cast<std::uint32_t>(status);
    if constexpr (Whole) {
      buffer->low = descriptor.lo;
      buffer->vlan = hw::intel::rx::vlan(status);
    }
    buffers[count] = buffer;
    Buffer* const replacement = *--fresh;
    rx_.slots[slot] = replacement;
    descriptor = {reinterpret_cast<std::uintptr_t>(replacement->data.data()) + to_iova_, 0};
    slot = (slot + 1) & kMask;
  }
  top_ -= count;
  if (count != 0) {
    rx_.next = slot;
    io::write_ordered(rx_.tail, (slot - 1) & kMask);
  }
  return count;
}

template <std::uint32_t Slots>
__attribute__((noinline)) std::uint32_t MinimalLoop<Slots>::rx_burst(Buffer** buffers, std::uint32_t limit) noexcept {
  return receive<false>(buffers, limit);
}

template <std::uint32_t Slots>
__attribute__((noinline)) std::uint32_t MinimalLoop<Slots>::rx_burst_whole(Buffer** buffers,
                                                                           std::uint32_t limit) noexcept {
  return receive<true>(buffers, limit);
}

template <std::uint32_t Slots>
__attribute__((always_inline)) inline std::uint32_t MinimalLoop<Slots>::clean() noexcept {
  constexpr std::uint32_t kGroup = 32;
  std::uint32_t clean = tx_.clean;
  std::uint32_t used = (tx_.next - clean) & kMask;
  while (used >= kGroup && hw::intel::tx::done(io::load_acquire(tx_.descriptors[(clean + kGroup - 1) & kMask].hi))) {
    std::copy_n(tx_.slots.data() + clean, kGroup, stack_.data() + top_);
    top_ += kGroup;
    clean = (clean + kGroup) & kMask;
    used -= kGroup;
  }
  tx_.clean = clean;
  return used;
}

template <std::uint32_t Slots>
template <bool Checksums>
__attribute__((always_inline)) inline std::uint32_t MinimalLoop<Slots>::send(Buffer* const* buffers,
                                                                             std::uint32_t count) noexcept {
  constexpr std::size_t kIpChecksum = 14 + 10;
  constexpr std::uint64_t kInserted = hw::intel::tx::kInsertIpChecksum | hw::intel::tx::kInsertL4Checksum;
  count = std::min(count, kMask - clean());
  std::uint32_t slot = tx_.next;
  std::uint32_t i = 0;
  for (; i < count; ++i) {
    Buffer* const buffer = buffers[i];
    if constexpr (Checksums) {
      if (buffer->request != kRequest) [[unlikely]]
        break;
      std::memset(buffer->data.data() + kIpChecksum, 0, 2);
    }
    tx_.slots[slot] = buffer;
    tx_.descriptors[slot] = {reinterpret_cast<std::uintptr_t>(buffer->data.data()) + to_iova_,
                             command(buffer->length) | (Checksums ? kInserted : 0)};
    slot = (slot + 1) & kMask;
  }
  tx_.next = slot;
  io::write_ordered(tx_.tail, slot);
  return i;
}

template <std::uint32_t Slots>
__attribute__((noinline)) std::uint32_t MinimalLoop<Slots>::tx_burst(Buffer* const* buffers,
                                                                     std::uint32_t count) noexcept {
  return send<false>(buffers, count);
}

template <std::uint32_t Slots>
__attribute__((noinline)) std::uint32_t MinimalLoop<Slots>::tx_burst_checksums(Buffer* const* buffers,
                                                                               std::uint32_t count) noexcept {
  return send<true>(buffers, count);
}

template <std::uint32_t Slots>
__attribute__((noinline)) std::uint32_t MinimalLoop<Slots>::fused(std::uint32_t limit) noexcept {
  std::uint32_t in = rx_.next;
  std::uint32_t out = tx_.next;
  std::uint32_t count = 0;
  if (!hw::intel::tx::done(io::load_acquire(tx_.descriptors[(out + limit - 1) & kMask].hi))) return 0;
  for (; count < limit; ++count) {
    const std::uint64_t status = io::load_acquire(rx_.descriptors[in].hi);
    if (!hw::intel::rx::done(status)) break;
    Buffer* const full = rx_.slots[in];
    Buffer* const empty = tx_.slots[out];
    rx_.slots[in] = empty;
    tx_.slots[out] = full;
    swap_macs(full->data.data());
    rx_.descriptors[in] = {reinterpret_cast<std::uintptr_t>(empty->data.data()) + to_iova_, 0};
    tx_.descriptors[out] = {reinterpret_cast<std::uintptr_t>(full->data.data()) + to_iova_,
                            command(hw::intel::rx::length(status))};
    in = (in + 1) & kMask;
    out = (out + 1) & kMask;
  }
  if (count != 0) {
    rx_.next = in;
    tx_.next = out;
    io::write_ordered(rx_.tail, (in - 1) & kMask);
    io::write_ordered(tx_.tail, out);
  }
  return count;
}

namespace {

constexpr std::uint32_t kFour = 4;
// The two words of four descriptors, as masks of eight words.
constexpr __mmask8 kLowWords = 0x55;
constexpr __mmask8 kHighWords = 0xAA;

// The card reports no VLAN tag, so the rest of the word is the length.
void set_raw(MinimalBuffer* buffer, std::uint64_t word) noexcept { std::memcpy(&buffer->status, &word, sizeof word); }

}  // namespace

__attribute__((target("avx2"))) std::uint32_t MinimalAvx2::rx_burst(Buffer** buffers, std::uint32_t limit) noexcept {
  if ((limit | rx_.next) % kFour != 0) return MinimalLoop::rx_burst(buffers, limit);
  if (top_ < limit) return 0;
  const __m256i to_iova = _mm256_set1_epi64x(static_cast<long long>(to_iova_ + offsetof(Buffer, data)));
  const __m256i done = _mm256_set_epi64x(hw::intel::rx::kDone, 0, hw::intel::rx::kDone, 0);
  const __m256i zero = _mm256_setzero_si256();
  std::uint32_t slot = rx_.next;
  std::uint32_t count = 0;
  for (; count < limit; count += kFour) {
    auto* const pair = reinterpret_cast<__m256i*>(rx_.descriptors + slot);
    const __m256i both = _mm256_and_si256(_mm256_load_si256(pair), _mm256_load_si256(pair + 1));
    if (_mm256_testc_si256(both, done) == 0) break;
    for (std::uint32_t i = 0; i < kFour; ++i) set_raw(rx_.slots[slot + i], rx_.descriptors[slot + i].hi);
    auto* const slots = reinterpret_cast<__m256i*>(rx_.slots.data() + slot);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(buffers + count), _mm256_loadu_si256(slots));
    top_ -= kFour;
    const __m256i fresh = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(stack_.data() + top_));
    _mm256_storeu_si256(slots, fresh);
    const __m256i iova = _mm256_add_epi64(fresh, to_iova);
    _mm256_store_si256(pair, _mm256_blend_epi32(_mm256_permute4x64_epi64(iova, 0x50), zero, 0xCC));
    _mm256_store_si256(pair + 1, _mm256_blend_epi32(_mm256_permute4x64_epi64(iova, 0xFA), zero, 0xCC));
    slot = (slot + kFour) & kMask;
  }
  rx_.next = slot;
  if (count != 0) io::write_ordered(rx_.tail, (slot - 1) & kMask);
  return count;
}

__attribute__((target("avx2"))) std::uint32_t MinimalAvx2::tx_burst(Buffer* const* buffers,
                                                                    std::uint32_t count) noexcept {
  if ((count | tx_.next) % kFour != 0) return MinimalLoop::tx_burst(buffers, count);
  count = std::min(count, (kMask - clean()) / kFour * kFour);
  const __m256i to_iova = _mm256_set1_epi64x(static_cast<long long>(to_iova_ + offsetof(Buffer, data)));
  const __m256i command = _mm256_set1_epi64x(static_cast<long long>(kCommand));
  std::uint32_t slot = tx_.next;
  for (std::uint32_t i = 0; i < count; i += kFour) {
    const __m256i four = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(buffers + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(tx_.slots.data() + slot), four);
    const __m256i lengths =
        _mm256_set_epi64x(buffers[i + 3]->length, buffers[i + 2]->length, buffers[i + 1]->length, buffers[i]->length);
    const __m256i iova = _mm256_add_epi64(four, to_iova);
    const __m256i commands =
        _mm256_or_si256(_mm256_or_si256(lengths, command), _mm256_slli_epi64(lengths, hw::intel::tx::kPayloadShift));
    const __m256i even = _mm256_unpacklo_epi64(iova, commands);
    const __m256i odd = _mm256_unpackhi_epi64(iova, commands);
    auto* const pair = reinterpret_cast<__m256i*>(tx_.descriptors + slot);
    _mm256_store_si256(pair, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_store_si256(pair + 1, _mm256_permute2x128_si256(even, odd, 0x31));
    slot = (slot + kFour) & kMask;
  }
  tx_.next = slot;
  io::write_ordered(tx_.tail, slot);
  return count;
}

__attribute__((target("avx512f,avx512vl"))) std::uint32_t MinimalAvx512::rx_burst(Buffer** buffers,
                                                                                  std::uint32_t limit) noexcept {
  if ((limit | rx_.next) % kFour != 0) return MinimalLoop::rx_burst(buffers, limit);
  if (top_ < limit) return 0;
  const __m256i to_iova = _mm256_set1_epi64x(static_cast<long long>(to_iova_ + offsetof(Buffer, data)));
  const __m512i done = _mm512_set1_epi64(hw::intel::rx::kDone);
  std::uint32_t slot = rx_.next;
  std::uint32_t count = 0;
  for (; count < limit; count += kFour) {
    Descriptor* const line = rx_.descriptors + slot;
    if (_mm512_mask_test_epi64_mask(kHighWords, _mm512_load_si512(line), done) != kHighWords) break;
    for (std::uint32_t i = 0; i < kFour; ++i) set_raw(rx_.slots[slot + i], line[i].hi);
    auto* const slots = reinterpret_cast<__m256i*>(rx_.slots.data() + slot);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(buffers + count), _mm256_loadu_si256(slots));
    top_ -= kFour;
    const __m256i fresh = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(stack_.data() + top_));
    _mm256_storeu_si256(slots, fresh);
    const __m512i iova = _mm512_castsi256_si512(_mm256_add_epi64(fresh, to_iova));
    _mm512_store_si512(line, _mm512_maskz_expand_epi64(kLowWords, iova));
    slot = (slot + kFour) & kMask;
  }
  rx_.next = slot;
  if (count != 0) io::write_ordered(rx_.tail, (slot - 1) & kMask);
  return count;
}

__attribute__((target("avx512f,avx512vl"))) std::uint32_t MinimalAvx512::tx_burst(Buffer* const* buffers,
                                                                                  std::uint32_t count) noexcept {
  if ((count | tx_.next) % kFour != 0) return MinimalLoop::tx_burst(buffers, count);
  count = std::min(count, (kMask - clean()) / kFour * kFour);
  const __m256i to_iova = _mm256_set1_epi64x(static_cast<long long>(to_iova_ + offsetof(Buffer, data)));
  const __m256i command = _mm256_set1_epi64x(static_cast<long long>(kCommand));
  const __m512i in_turn = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
  std::uint32_t slot = tx_.next;
  for (std::uint32_t i = 0; i < count; i += kFour) {
    const __m256i four = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(buffers + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(tx_.slots.data() + slot), four);
    const __m256i lengths =
        _mm256_set_epi64x(buffers[i + 3]->length, buffers[i + 2]->length, buffers[i + 1]->length, buffers[i]->length);
    const __m256i commands =
        _mm256_or_si256(_mm256_or_si256(lengths, command), _mm256_slli_epi64(lengths, hw::intel::tx::kPayloadShift));
    _mm512_store_si512(tx_.descriptors + slot,
                       _mm512_permutex2var_epi64(_mm512_castsi256_si512(_mm256_add_epi64(four, to_iova)), in_turn,
                                                 _mm512_castsi256_si512(commands)));
    slot = (slot + kFour) & kMask;
  }
  tx_.next = slot;
  io::write_ordered(tx_.tail, slot);
  return count;
}

template class MinimalLoop<64>;
template class MinimalLoop<128>;
template class MinimalLoop<256>;
template class MinimalLoop<512>;
template class MinimalLoop<1024>;
template class MinimalLoop<2048>;
template class MinimalLoop<4096>;

}  // namespace pollux::bench
