// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/file_descriptor.hpp"
#include "pollux/mem/dma_domain.hpp"
#include "servers/vfio_user/protocol.hpp"

namespace pollux::vfio_user {

/// A range of this process that maps a client's memory. BusErrorGuard replaces such ranges and nothing else.
/// Thread rule: any thread makes and destroys them. While one exists, its range stays mapped.
class GuardedRange {
 public:
  GuardedRange() = default;
  /// `memory` and `bytes` are multiples of the page size of the mapping.
  GuardedRange(std::byte* memory, std::size_t bytes);
  GuardedRange(GuardedRange&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  GuardedRange& operator=(GuardedRange&&) = delete;
  ~GuardedRange();

  /// The client has taken the memory away: the range has zeros, or what was written there since.
  [[nodiscard]] bool is_lost() const noexcept;
  /// Number of ranges of this process that were lost so far.
  [[nodiscard]] static std::uint64_t lost() noexcept;

 private:
  struct Entry;
  friend class BusErrorGuard;
  [[nodiscard]] static Entry* take_entry();

  static std::atomic<Entry*> first_;
  Entry* entry_ = nullptr;
};

/// While an object exists, a client that takes away memory that it has passed (it truncates the file) does not end the
/// process: the range is replaced by zeroed private memory. The whole range, since page by page the process would run
/// out of mappings. Other causes of SIGBUS still end it. The program decides whether it has such an object, because a
/// signal handler belongs to the whole process.
/// Thread rule: at most one object per process. It works for all threads.
class BusErrorGuard {
 public:
  BusErrorGuard();
  BusErrorGuard(const BusErrorGuard&) = delete;
  BusErrorGuard& operator=(const BusErrorGuard&) = delete;
  ~BusErrorGuard();

 private:
  static void on_bus_error(int signal, siginfo_t* info, void* context) noexcept;
  static bool replace(const void* address) noexcept;

  struct sigaction before_ {};
};

/// The DMA mappings of a client. Each is mapped into this process and into the card's domain. Memory without a
/// descriptor, write-only memory, and read-only memory that the domain does not support are accepted but not mapped:
/// the card cannot access them. Thread rule: that of the domain.
class ClientMemory {
 public:
  explicit ClientMemory(DmaDomain& domain) : domain_(domain) {}
  ClientMemory(const ClientMemory&) = delete;
  ClientMemory& operator=(const ClientMemory&) = delete;
  ~ClientMemory() { unmap_all(); }

  /// Returns 0 or an errno value: EINVAL (flags, alignment, a range beyond the file's end, a descriptor that is not
  /// memory), EEXIST (a part is mapped already), ENOSPC (too many mappings, or more than kMaxMappedBytes), or that of
  /// mmap.
  [[nodiscard]] int map(const DmaMap& request, std::span<FileDescriptor> descriptors);
  /// The range must be that of a mapping; else ENOENT.
  [[nodiscard]] int unmap(const DmaUnmap& request);
  void unmap_all();

  [[nodiscard]] std::size_t mappings() const noexcept { return mappings_.size(); }
  /// A mapping was refused because the client has too many, or too much memory.
  [[nodiscard]] bool is_full() const noexcept { return full_; }
  /// Whether the client has taken away memory that it had passed, and the card has accessed it since (BusErrorGuard).
  [[nodiscard]] bool is_lost();

 private:
  struct Unmap {
    std::size_t bytes = 0;
    void operator()(std::byte* memory) const noexcept;
  };
  /// A mapping of this process, in whole pages of the client's file.
  struct Pages {
    Pages(std::byte* mapped, std::size_t bytes) : memory(mapped, Unmap{bytes}), guard(mapped, bytes) {}
    std::unique_ptr<std::byte, Unmap> memory;
    GuardedRange guard;  // ends before the mapping
  };
  struct Mapping {
    std::uint64_t size = 0;
    std::byte* memory = nullptr;  // nullptr: the card cannot access it
    bool writable = true;
    std::optional<Pages> pages = {};
  };

  [[nodiscard]] int map_file(const DmaMap& request, std::span<FileDescriptor> descriptors, Mapping& mapping);
  /// Maps `file`, whose pages have `page` bytes, into this process and the card's domain. Returns 0 or an errno value.
  [[nodiscard]] int reach(const DmaMap& request, int file, std::uint64_t page, Mapping& mapping);
  [[nodiscard]] bool overlaps(std::uint64_t address, std::uint64_t size) const;
  void remove(std::uint64_t address, Mapping& mapping);

  DmaDomain& domain_;
  std::map<std::uint64_t, Mapping> mappings_;  // by address
  std::uint64_t mapped_bytes_ = 0;             // of this process's address space
  bool full_ = false;
  std::uint64_t lost_before_ = GuardedRange::lost();  // when `is_lost` last looked at the mappings
};

}  // namespace pollux::vfio_user
