// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mem/mempool_core.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "ports/xdp/interface.hpp"

namespace pollux::xdp {

/// How frames lie in the memory area of a socket (UMEM). A chunk is an mbuf with its buffer: the kernel gets the
/// address of the mbuf and writes the frame where an empty mbuf's data begins. So received and sent frames are mbufs.
/// A chunk has 2,048 to 4,096 bytes (Linux, net/xdp/xdp_umem.c): of larger mbufs a part is used, and the chunk of a
/// smaller one begins in front of it, where the kernel writes nothing.
struct ChunkLayout {
  std::uint32_t chunk = 0;     ///< bytes
  std::uint32_t headroom = 0;  ///< bytes before the data, besides the 256 that the kernel adds itself
  std::uint32_t before = 0;    ///< bytes of the chunk in front of the mbuf

  /// Bytes of a frame that fit one chunk.
  [[nodiscard]] std::uint32_t room() const noexcept;

  /// The largest part of a buffer that is used, whatever the headroom.
  static constexpr std::uint32_t kMaxRoom = 3072 - Mbuf::kHeaderSize;

  /// Error invalid_argument, for the port `name`: the kernel wants 256 bytes in front of a frame.
  [[nodiscard]] static Result<ChunkLayout> of(const MempoolOptions& pool, const std::string& name);
  [[nodiscard]] bool operator==(const ChunkLayout&) const = default;
};

/// A range of the Context's DMA memory that sockets share with the kernel. The kernel pins its pages as long as one of
/// the sockets exists. Pools that are created later are not part of it.
/// Thread rule: `holds` may be called from any thread; the rest belongs to SharedMemory.
class Umem {
 public:
  struct Piece {
    Piece(std::byte* address, std::size_t size) : first(address), bytes(size) {}
    std::byte* first;
    std::size_t bytes;
    /// Cleared when the Context frees it: the kernel still has the pages, but no mbuf is there any more.
    std::atomic<bool> exists{true};
  };

  explicit Umem(ChunkLayout layout) : layout_(layout) {}
  /// The memory of another program's Context, which `owner` keeps mapped. It holds no mbufs of this one.
  Umem(std::byte* first, std::size_t bytes, std::shared_ptr<const void> owner, ChunkLayout layout = {})
      : layout_(layout), owner_(std::move(owner)) {
    pieces_.emplace_back(first, bytes).exists = false;
  }

  [[nodiscard]] std::byte* first() const noexcept { return pieces_.front().first; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(pieces_.back().first - first()) + pieces_.back().bytes;
  }
  [[nodiscard]] const ChunkLayout& layout() const noexcept { return layout_; }
  /// Whether the kernel reaches these bytes by this area.
  [[nodiscard]] bool holds(const void* address, std::size_t bytes) const noexcept;
  [[nodiscard]] bool holds(const MempoolCore& pool) const noexcept;

  struct Bound {
    int descriptor;
    bool chains;  ///< it has frames over several buffers
    bool zero_copy;
  };
  /// A bound socket of this area, by which another one may share it, with or without zero copy.
  [[nodiscard]] std::optional<Bound> bound_socket(bool zero_copy) const;
  void add_socket(Bound socket);
  void remove_socket(int descriptor);

 private:
  friend class SharedMemory;

  const ChunkLayout layout_{};
  std::shared_ptr<const void> owner_;
  std::deque<Piece> pieces_;  // adjacent, ascending
  mutable std::mutex lock_;
  std::vector<Bound> sockets_;
};

/// Follows the Context's DMA memory, and makes areas of it. Knows which interfaces are open. One a Context.
class SharedMemory {
 public:
  SharedMemory();
  /// Called before the first use. Error: that of Context::attach.
  [[nodiscard]] Result<void> follow(Context& context);
  /// The area with that layout that holds all of `pools`: an existing one, or a new one of all adjacent memory. Without
  /// pools, the largest. Null if the pools do not lie side by side, or there is no memory.
  [[nodiscard]] std::shared_ptr<Umem> area(const std::vector<const MempoolCore*>& pools, ChunkLayout layout);

  /// Error busy if a port of the Context has the interface.
  [[nodiscard]] Result<void> open(InterfaceId interface, const std::string& name);
  void close(InterfaceId interface) noexcept;

 private:
  class Domain;
  std::mutex lock_;
  bool attached_ = false;       // guarded by lock_
  std::set<InterfaceId> open_;  // the same
  std::shared_ptr<Domain> domain_;
};

}  // namespace pollux::xdp
