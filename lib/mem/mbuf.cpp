// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/mbuf.hpp"

#include <algorithm>
#include <new>

#include "base/compiler.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kMaxSegmentLength = 65535;  // limit of the length field in descriptors and mbufs
constexpr std::uint32_t kMaxSegments = 255;
constexpr std::uint32_t kMaxUnits = 255;    // limit of whole_units_
constexpr std::uint32_t kMaxUsers = 65000;  // mbufs that use one buffer: well below the range of reference_count_

}  // namespace

std::uint32_t Mbuf::capacity() const noexcept {
  return (special_ & (kExternal | kClone)) != 0 ? attached_capacity_ : pool_->buffer_size();
}

Mbuf& Mbuf::last_segment() noexcept {
  Mbuf* last = this;
  while (Mbuf* following = last->next()) last = following;
  return *last;
}

bool Mbuf::reserve(std::uint32_t bytes) noexcept {
  if (packet_length() != 0 || is_shared() || bytes > capacity() - data_offset_) return false;
  data_offset_ = static_cast<std::uint16_t>(data_offset_ + bytes);
  return true;
}

POLLUX_NOINLINE std::uint8_t* Mbuf::append_slow(std::uint32_t bytes) noexcept {
  Mbuf& last = last_segment();
  if (bytes > last.tailroom() || last.data_length_ + bytes > kMaxSegmentLength) return nullptr;
  std::uint8_t* const start = last.tail();
  last.data_length_ = static_cast<std::uint16_t>(last.data_length_ + bytes);
  if ((special_ & kMultiSegment) != 0) packet_length_ += bytes;
  return start;
}

std::uint8_t* Mbuf::prepend(std::uint32_t bytes) noexcept {
  if (bytes > headroom() || data_length_ + bytes > kMaxSegmentLength) return nullptr;
  if ((special_ & kOffload) != 0 && !grow_offload(bytes)) return nullptr;
  data_offset_ = static_cast<std::uint16_t>(data_offset_ - bytes);
  data_length_ = static_cast<std::uint16_t>(data_length_ + bytes);
  if ((special_ & kMultiSegment) != 0) packet_length_ += bytes;
  return data();
}

std::uint8_t* Mbuf::strip(std::uint32_t bytes) noexcept {
  if (bytes > data_length_) return nullptr;
  data_offset_ = static_cast<std::uint16_t>(data_offset_ + bytes);
  data_length_ = static_cast<std::uint16_t>(data_length_ - bytes);
  if ((special_ & kMultiSegment) != 0) packet_length_ -= bytes;
  if ((special_ & kOffload) != 0) shrink_offload(bytes);
  return data();
}

bool Mbuf::trim(std::uint32_t bytes) noexcept {
  Mbuf& last = last_segment();
  if (bytes > last.data_length_) return false;
  last.data_length_ = static_cast<std::uint16_t>(last.data_length_ - bytes);
  if ((special_ & kMultiSegment) != 0) packet_length_ -= bytes;
  return true;
}

bool Mbuf::chain(MbufPtr& more) noexcept {
  if (more == nullptr || more.get() == this || segments() + more->segments() > kMaxSegments) return false;
  const auto count = static_cast<std::uint8_t>(segments() + more->segments());
  const std::uint32_t length = packet_length() + more->packet_length();
  Mbuf& last = last_segment();
  Mbuf* const joined = more.release();
  if ((joined->special_ & kMultiSegment) == 0) joined->next_ = nullptr;
  joined->special_ |= kMultiSegment;
  last.special_ |= kMultiSegment;
  last.next_ = joined;
  segment_count_ = count;
  packet_length_ = length;
  return true;
}

std::size_t Mbuf::copy_out(std::size_t offset, std::span<std::uint8_t> out) const noexcept {
  std::size_t copied = 0;
  for (const Mbuf* segment = this; segment != nullptr && copied < out.size(); segment = segment->next()) {
    if (offset >= segment->data_length_) {
      offset -= segment->data_length_;
      continue;
    }
    const std::size_t chunk = std::min(out.size() - copied, segment->data_length_ - offset);
    std::copy_n(segment->data() + offset, chunk, out.data() + copied);
    copied += chunk;
    offset = 0;
  }
  return copied;
}

void Mbuf::share_with(Mbuf& clone) noexcept {
  Mbuf& owner = buffer_owner();
  // Only the buffer's owner sets the flag: in a clone, which may be on another thread, the owner's flag is set already.
  if (&owner == this) special_ |= kShared;
  owner.reference_count_.fetch_add(1, std::memory_order_relaxed);
  clone.rx_low_ = rx_low_;
  clone.rx_high_ = rx_high_;
  clone.iova_ = iova_;
  clone.data_length_ = data_length_;
  clone.data_offset_ = data_offset_;
  clone.origin_ = origin_;
  clone.buffer_ = buffer_;
  clone.attached_capacity_ = capacity();
  clone.root_ = &owner;
  clone.special_ = kClone;
  copy_metadata_to(clone);
}

void Mbuf::copy_metadata_to(Mbuf& copy) const noexcept {
  constexpr unsigned kCopied = kOffload | kTimestamped;
  copy.special_ = static_cast<std::uint8_t>((copy.special_ & ~kCopied) | (special_ & kCopied));
  copy.tx_offload_ = tx_offload_;
  copy.timestamp_ = timestamp_;
  copy.user_ = user_;
  copy.port_private_ = port_private_;
}

// Updates the request after `bytes` were prepended. False, with nothing changed, if a length would exceed 16 bits.
bool Mbuf::grow_offload(std::uint32_t bytes) noexcept {
  TxOffload& offload = tx_offload_;
  if (!offload.has_lengths()) return true;
  std::uint16_t& first = offload.outer_l2 + offload.outer_l3 != 0 ? offload.outer_l2 : offload.l2;
  if (first + bytes > kMaxSegmentLength) return false;
  first = static_cast<std::uint16_t>(first + bytes);
  return true;
}

// Updates the request after `bytes` were stripped, and cancels requests for headers that lost a part.
void Mbuf::shrink_offload(std::uint32_t bytes) noexcept {
  TxOffload offload = tx_offload();
  const auto consumes = [&bytes](std::uint16_t& header) {
    const std::uint32_t part = std::min<std::uint32_t>(bytes, header);
    header = static_cast<std::uint16_t>(header - part);
    bytes -= part;
    return part != 0;
  };
  constexpr std::uint32_t kHeaderless = TxOffload::insert_vlan | TxOffload::insert_outer_vlan | TxOffload::timestamp;
  consumes(offload.outer_l2);
  if (consumes(offload.outer_l3)) offload.flags &= ~std::uint32_t{TxOffload::outer_ipv4_checksum};
  if (consumes(offload.l2)) offload.flags &= ~std::uint32_t{TxOffload::outer_udp_checksum};
  if (consumes(offload.l3)) offload.flags &= ~std::uint32_t{TxOffload::ipv4_checksum};
  if (bytes != 0) offload.flags &= kHeaderless;
  set_tx_offload(offload);
}

MbufPtr Mbuf::clone(MempoolCache& cache, Site site) noexcept {
  if (&cache.core()->pool().context() != &pool_->context()) return {};
  MbufPtr copy;
  for (Mbuf* segment = this; segment != nullptr; segment = segment->next()) {
    if (segment->buffer_owner().reference_count_.load(std::memory_order_relaxed) >= kMaxUsers) return {};
    MbufPtr header = cache.allocate(site);
    if (header == nullptr) return {};
    segment->share_with(*header);
    if (copy == nullptr) {
      copy = std::move(header);
    } else if (!copy->chain(header)) {
      return {};
    }
  }
  return copy;
}

bool Mbuf::attach_external(const DmaMemory& memory, std::size_t offset, std::size_t length, ExternalFree free,
                           void* opaque) noexcept {
  if (special_ != 0 || data_length_ != 0 || length == 0 || length > kMaxSegmentLength) return false;
  if (memory.state_.get() != &pool_->context()) return false;
  for (const DmaSegment& segment : memory.segments()) {
    if (offset >= segment.size) {
      offset -= segment.size;
      continue;
    }
    if (length > segment.size - offset) return false;
    buffer_ = reinterpret_cast<std::uint8_t*>(segment.address) + offset;
    iova_ = segment.iova + offset;
    data_offset_ = 0;
    data_length_ = static_cast<std::uint16_t>(length);
    attached_capacity_ = static_cast<std::uint32_t>(length);
    external_free_ = free;
    external_opaque_ = opaque;
    special_ = kExternal;
    return true;
  }
  return false;
}

void Mbuf::reset_to_direct() noexcept {
  if ((special_ & (kExternal | kClone)) != 0) {
    buffer_ = reinterpret_cast<std::uint8_t*>(this) + kHeaderSize;
    iova_ = pool_->buffer_iova(*this);
    root_ = nullptr;
  }
  special_ = 0;
  next_ = nullptr;
  segment_count_ = 1;
  reference_count_.store(1, std::memory_order_relaxed);
}

bool Mbuf::detach() noexcept {
  // A buffer without clones needs no atomic operation. With clones, acq_rel lets the last user see the writes of all
  // other threads.
  if ((special_ & kShared) != 0 && reference_count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
  end_use();
  return true;
}

bool Mbuf::unref_root() noexcept {
  // Only the last user may read `special_`: until then the owner may be changing it.
  if (reference_count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
  end_use();
  return true;
}

void Mbuf::end_use() noexcept {
  if ((special_ & kExternal) != 0 && external_free_ != nullptr) external_free_(external_opaque_, buffer_);
  reset_to_direct();
}

Mbuf* MbufAccess::construct(void* memory, MempoolCore& pool, std::uint8_t pool_id) noexcept {
  Mbuf* const mbuf = ::new (memory) Mbuf();
  mbuf->pool_ = &pool;
  mbuf->pool_id_ = pool_id;
  mbuf->buffer_ = reinterpret_cast<std::uint8_t*>(mbuf) + Mbuf::kHeaderSize;
  mbuf->iova_ = pool.buffer_iova(*mbuf);
  mbuf->whole_units_ = static_cast<std::uint8_t>(std::min(pool.buffer_size() / Mbuf::kUnit, kMaxUnits));
  set_word(*mbuf, pool.empty_word(RxFormat::none, Mbuf::kNoPort));
  return mbuf;
}

}  // namespace pollux
