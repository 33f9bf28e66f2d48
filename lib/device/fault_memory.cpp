// SPDX-License-Identifier: BSD-3-Clause
#include "device/fault_memory.hpp"

#include <algorithm>
#include <utility>

namespace pollux {
namespace {

/// Stores a payload as it is, and others in 4-byte words, each atomically: the parts of a torn write may be smaller
/// than 8 bytes.
void store_words(ModelDma& memory, ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                 std::span<const std::byte> bytes) {
  const std::size_t word = what == ModelAccess::payload_write ? bytes.size() : sizeof(std::uint32_t);
  for (; !bytes.empty() && bytes.size() >= word; bytes = bytes.subspan(word), iova += word) {
    static_cast<void>(memory.store({what, queue, iova, bytes.first(word)}));
  }
}

}  // namespace

FaultyMemory::FaultyMemory(MemoryFault fault) : fault_(std::move(fault)) {}

bool FaultyMemory::allow(ModelAccess what, std::uint32_t /*queue*/, std::uint64_t /*iova*/,
                         std::size_t /*length*/) noexcept {
  const std::uint64_t access = occurrences_[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed);
  injecting_ = fault_.kind != MemoryFaultKind::none && !disabled_ && what == fault_.what && access >= fault_.at &&
               access - fault_.at < fault_.count;
  if (injecting_) ++triggers_;
  return !injecting_ || fault_.kind != MemoryFaultKind::refused;
}

void FaultyMemory::write(ModelDma& memory, const ModelWrite& write) noexcept {
  if (!injecting_) return DmaInterceptor::write(memory, write);
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
  store_words(memory, write.what, write.queue, write.iova + offset, write.bytes.subspan(offset, length));
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
    store_words(memory, write->what, write->queue, write->iova, write->bytes);
  }
  postponed_.erase(due, postponed_.end());
}

void FaultyMemory::disable() noexcept {
  disabled_ = true;
  postponed_.clear();
}

}  // namespace pollux
