// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/device/fault_memory.hpp"

#include <algorithm>
#include <utility>

namespace pollux {
namespace {

/// Stores in pieces of 4 bytes, each as a whole: a torn write's parts need not be whole words of 8.
void store_in_pieces(ModelDma& memory, ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                     std::span<const std::byte> bytes) {
  constexpr std::size_t kPiece = sizeof(std::uint32_t);
  for (; bytes.size() >= kPiece; bytes = bytes.subspan(kPiece), iova += kPiece) {
    static_cast<void>(memory.store({what, queue, iova, bytes.first(kPiece)}));
  }
}

}  // namespace

FaultyMemory::FaultyMemory(MemoryFault fault) : fault_(std::move(fault)) {}

bool FaultyMemory::allow(ModelAccess what, std::uint32_t /*queue*/, std::uint64_t /*iova*/,
                         std::size_t /*length*/) noexcept {
  const std::uint64_t place = places_[static_cast<std::size_t>(what)]++;
  striking_ = fault_.kind != MemoryFaultKind::none && !lifted_ && what == fault_.what && place >= fault_.at &&
              place - fault_.at < fault_.count;
  if (striking_) ++strikes_;
  return !striking_ || fault_.kind != MemoryFaultKind::refused;
}

void FaultyMemory::write(ModelDma& memory, const ModelWrite& write) noexcept {
  if (!striking_) return DmaInterceptor::write(memory, write);
  switch (fault_.kind) {
    case MemoryFaultKind::missing: break;
    case MemoryFaultKind::late: postpone(write, 0, write.bytes.size()); break;
    case MemoryFaultKind::duplicate:
      DmaInterceptor::write(memory, write);
      postpone(write, 0, write.bytes.size());
      break;
    case MemoryFaultKind::torn: tear(memory, write); break;
    case MemoryFaultKind::changed: {
      std::vector<std::byte> bytes(write.bytes.begin(), write.bytes.end());
      if (fault_.change) fault_.change(bytes);
      DmaInterceptor::write(memory, {write.what, write.queue, write.iova, bytes});
      break;
    }
    default: DmaInterceptor::write(memory, write);
  }
}

void FaultyMemory::tear(ModelDma& memory, const ModelWrite& write) {
  const std::size_t offset = std::min(fault_.first_bytes.offset, write.bytes.size());
  const std::size_t length = std::min(fault_.first_bytes.length, write.bytes.size() - offset);
  store_in_pieces(memory, write.what, write.queue, write.iova + offset, write.bytes.subspan(offset, length));
  postpone(write, 0, offset);
  postpone(write, offset + length, write.bytes.size() - offset - length);
}

void FaultyMemory::postpone(const ModelWrite& write, std::size_t offset, std::size_t length) {
  if (length == 0) return;
  const auto bytes = write.bytes.subspan(offset, length);
  postponed_.push_back(
      {now_ + fault_.delay, write.what, write.queue, write.iova + offset, {bytes.begin(), bytes.end()}});
}

void FaultyMemory::advance(ModelDma& memory, Duration now) noexcept {
  now_ = now;
  const auto due = std::stable_partition(postponed_.begin(), postponed_.end(),
                                         [now](const Postponed& write) { return write.due > now; });
  for (auto write = due; write != postponed_.end(); ++write) {
    store_in_pieces(memory, write->what, write->queue, write->iova, write->bytes);
  }
  postponed_.erase(due, postponed_.end());
}

void FaultyMemory::lift() noexcept {
  lifted_ = true;
  postponed_.clear();
}

}  // namespace pollux
