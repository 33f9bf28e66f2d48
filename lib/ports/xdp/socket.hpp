// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "ports/xdp/kernel_side.hpp"
#include "ports/xdp/rings.hpp"
#include "ports/xdp/umem.hpp"

namespace pollux::xdp {

/// What became of frames in the kernel: struct xdp_statistics of Linux, include/uapi/linux/if_xdp.h.
struct KernelCounts {
  std::uint64_t rx_dropped = 0;        ///< no entry in the fill ring, among other reasons
  std::uint64_t rx_invalid_descs = 0;  ///< addresses in the fill ring that the kernel refused; no frame was lost
  std::uint64_t tx_invalid_descs = 0;  ///< frames that the kernel refused
  std::uint64_t rx_ring_full = 0;      ///< frames
  std::uint64_t rx_fill_empty = 0;     ///< frames or attempts that found the fill ring empty
  std::uint64_t tx_ring_empty = 0;     ///< attempts of the kernel to send that found nothing
  KernelCounts& operator+=(const KernelCounts& more) noexcept;
};

/// XDP_USE_SG (Linux 6.6) of include/uapi/linux/if_xdp.h; missing in older headers.
inline constexpr std::uint16_t kUseChains = 1U << 4;

/// bind(2) for an AF_XDP socket, with flags XDP_COPY and others. `shared_with`: the socket of which it shares the area,
/// or -1. Returns 0 or errno.
[[nodiscard]] int bind_to(int socket, unsigned interface, std::uint16_t queue, std::uint16_t flags, int shared_with);

/// Makes its four rings. The kernel makes each only once. Returns 0 or errno.
[[nodiscard]] int make_rings(int socket, const RingSlots& slots);

/// What the socket asks the kernel for.
struct SocketRequest {
  unsigned interface = 0;  ///< index
  std::uint16_t queue = 0;
  RingSlots slots;
};

/// An AF_XDP socket with its four rings. Linux, Documentation/networking/af_xdp.rst.
class Socket {
 public:
  /// Makes the rings of an AF_XDP socket; the area is registered here unless it is that of the socket `shared`. `name`
  /// is for messages. Errors: not_supported, no_memory, memlock_too_small, io_error.
  [[nodiscard]] static Result<Socket> create(const std::string& name, FileDescriptor made, std::shared_ptr<Umem> area,
                                             const SocketRequest& request, std::optional<Umem::Bound> shared);
  /// One that another process has bound, and that has chains or not. Errors: invalid_argument, not_supported (the
  /// kernel is older than 6.4), io_error.
  [[nodiscard]] static Result<Socket> take(const std::string& name, FileDescriptor bound, std::shared_ptr<Umem> area,
                                           const SocketRequest& request, bool chains);
  Socket(Socket&&) = default;
  Socket& operator=(Socket&&) = delete;
  ~Socket();

  /// Binds it to its queue. `mode`: XDP_ZEROCOPY or XDP_COPY, and kUseChains; without effect on a socket that shares
  /// its area. Waits up to 1 s for another socket that is being closed. Returns 0 or errno.
  [[nodiscard]] int bind(std::uint16_t mode);

  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  [[nodiscard]] bool is_zero_copy() const;
  /// Whether its frames may have several buffers.
  [[nodiscard]] bool has_chains() const noexcept { return chains_; }
  [[nodiscard]] KernelCounts counts() const;

  [[nodiscard]] const Rings& rings() const noexcept { return rings_; }
  [[nodiscard]] const Umem& area() const noexcept { return *area_; }
  [[nodiscard]] const RingSlots& slots() const noexcept { return request_.slots; }
  /// Whether another process can map its rings, too.
  [[nodiscard]] bool can_be_taken() const noexcept;

 private:
  /// A mapping of a ring.
  class Mapping {
   public:
    Mapping(void* address, std::size_t bytes) noexcept : address_(address), bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept : address_(std::exchange(other.address_, nullptr)), bytes_(other.bytes_) {}
    Mapping& operator=(Mapping&&) = delete;
    ~Mapping() {
      if (address_ != nullptr) ::munmap(address_, bytes_);
    }

   private:
    void* address_;
    std::size_t bytes_;
  };

  Socket(FileDescriptor descriptor, std::shared_ptr<Umem> area, const SocketRequest& request,
         std::optional<Umem::Bound> shared)
      : descriptor_(std::move(descriptor)), area_(std::move(area)), request_(request), shared_(shared) {}
  [[nodiscard]] int set_up();
  [[nodiscard]] int map_rings();
  template <class Entry>
  [[nodiscard]] int map(Ring<Entry>& ring, const xdp_ring_offset& at, std::uint32_t slots, std::uint64_t page);

  FileDescriptor descriptor_;
  std::shared_ptr<Umem> area_;
  SocketRequest request_;
  std::optional<Umem::Bound> shared_;  // the socket whose area it shares
  bool chains_ = false;
  Rings rings_;
  std::vector<Mapping> mappings_;
};

}  // namespace pollux::xdp
