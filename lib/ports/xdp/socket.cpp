// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/socket.hpp"

#include <fmt/format.h>
#include <linux/if_xdp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "ports/xdp/privileges.hpp"

namespace pollux::xdp {
namespace {

int set_option(int socket, int option, const void* value, std::size_t bytes) {
  return ::setsockopt(socket, SOL_XDP, option, value, static_cast<socklen_t>(bytes)) == 0 ? 0 : errno;
}

/// The kernel frees what a closed socket had after an RCU grace period: some 30 ms, over 200 on a busy machine.
constexpr Duration kReleaseLimit = std::chrono::seconds(1);

/// Calls `attempt`, which returns 0 or errno, until it returns another error than `busy`. Returns its last result.
template <class Attempt>
int try_while(int busy, Attempt&& attempt) {
  SteadyClock clock;  // the kernel does not follow that of a test
  int error = 0;
  static_cast<void>(wait_until(
      clock, "the kernel", kReleaseLimit,
      [&] {
        error = attempt();
        return error != busy;
      },
      std::chrono::milliseconds(2)));
  return error;
}

}  // namespace

int bind_to(int socket, unsigned interface, std::uint16_t queue, std::uint16_t flags, int shared_with) {
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_flags = flags;
  address.sxdp_ifindex = interface;
  address.sxdp_queue_id = queue;
  address.sxdp_shared_umem_fd = static_cast<std::uint32_t>(std::max(shared_with, 0));
  return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

int make_rings(int socket, const RingSlots& slots) {
  // The kernel wants both rings of addresses, whatever the direction.
  const std::pair<int, std::uint32_t> sizes[] = {{XDP_UMEM_FILL_RING, std::max(slots.rx, 1U)},
                                                 {XDP_UMEM_COMPLETION_RING, std::max(slots.tx, 1U)},
                                                 {XDP_RX_RING, slots.rx},
                                                 {XDP_TX_RING, slots.tx}};
  for (const auto& [option, size] : sizes) {
    if (size == 0) continue;
    if (const int error = set_option(socket, option, &size, sizeof size); error != 0) return error;
  }
  return 0;
}

namespace {

tl::unexpected<Error> area_error(const std::string& name, const Umem& area, int error) {
  const std::string what =
      fmt::format("{}: the kernel does not take {} bytes of memory for frames", name, area.bytes());
  switch (error) {
    case ENOBUFS: {
      // Other sockets of the user count, too, and have at most as much as is allowed now.
      rlimit limit{};
      const bool known = ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
      return fail_errno(
          ErrorCode::memlock_too_small, what, error,
          fmt::format("raise the limit: ulimit -l {} (KiB), or give the program CAP_IPC_LOCK, or use smaller pools",
                      (area.bytes() + (known ? limit.rlim_cur : 0) + 1023) / 1024));
    }
    case ENOMEM: return fail_errno(ErrorCode::no_memory, what, error, "use smaller pools");
    default: return fail_errno(ErrorCode::not_supported, what, error, "use a kernel of 5.4 or newer");
  }
}

}  // namespace

KernelCounts& KernelCounts::operator+=(const KernelCounts& more) noexcept {
  rx_dropped += more.rx_dropped;
  rx_invalid_descs += more.rx_invalid_descs;
  tx_invalid_descs += more.tx_invalid_descs;
  rx_ring_full += more.rx_ring_full;
  rx_fill_empty += more.rx_fill_empty;
  tx_ring_empty += more.tx_ring_empty;
  return *this;
}

Result<Socket> Socket::create(const std::string& name, FileDescriptor descriptor, std::shared_ptr<Umem> area,
                              const SocketRequest& request, std::optional<Umem::Bound> shared) {
  if (!shared) {
    xdp_umem_reg memory{};
    memory.addr = reinterpret_cast<std::uintptr_t>(area->first());
    memory.len = area->bytes();
    memory.chunk_size = area->layout().chunk;
    memory.headroom = area->layout().headroom;
    memory.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
    const int error =
        try_while(ENOBUFS, [&] { return set_option(descriptor.get(), XDP_UMEM_REG, &memory, sizeof memory); });
    if (error != 0) return area_error(name, *area, error);
  }
  Socket socket(std::move(descriptor), std::move(area), request, shared);
  if (const int error = socket.set_up(); error != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot make the rings of queue {}", name, request.queue),
                      error);
  }
  return socket;
}

Result<Socket> Socket::take(const std::string& name, FileDescriptor bound, std::shared_ptr<Umem> area,
                            const SocketRequest& request, bool chains) {
  int domain = 0;
  socklen_t bytes = sizeof domain;
  if (::getsockopt(bound.get(), SOL_SOCKET, SO_DOMAIN, &domain, &bytes) != 0 || domain != AF_XDP) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: what was handed over is not an AF_XDP socket", name),
                "start the program without a handover");
  }
  Socket socket(std::move(bound), std::move(area), request, std::nullopt);
  socket.chains_ = chains;
  if (const int error = socket.map_rings(); error != 0) {
    return fail_errno(ErrorCode::not_supported,
                      fmt::format("{}: cannot map the rings of queue {}, which were handed over", name, request.queue),
                      error, "use a kernel of 6.4 or newer, or start the program without a handover");
  }
  return socket;
}

// Before Linux 6.4 the kernel maps the rings of addresses until the socket is bound (net/xdp/xsk.c, xsk_mmap).
bool Socket::can_be_taken() const noexcept {
  const auto page = static_cast<std::size_t>(::getpagesize());
  void* const mapped =
      ::mmap(nullptr, page, PROT_READ, MAP_SHARED, descriptor_.get(), static_cast<off_t>(XDP_UMEM_PGOFF_FILL_RING));
  return mapped != MAP_FAILED && ::munmap(mapped, page) == 0;
}

Socket::~Socket() {
  if (descriptor_) area_->remove_socket(descriptor_.get());
}

int Socket::set_up() {
  const int error = make_rings(descriptor_.get(), request_.slots);
  // EINVAL: a helper has made them; if there are none, they cannot be mapped.
  return error == 0 || error == EINVAL ? map_rings() : error;
}

int Socket::map_rings() {
  xdp_mmap_offsets at{};
  socklen_t bytes = sizeof at;
  if (::getsockopt(descriptor_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &at, &bytes) != 0) return errno;
  if (bytes != sizeof at) return ENOTSUP;  // a kernel before 5.4 has no flags
  int error = map(rings_.fill, at.fr, std::max(request_.slots.rx, 1U), XDP_UMEM_PGOFF_FILL_RING);
  if (error == 0)
    error = map(rings_.completion, at.cr, std::max(request_.slots.tx, 1U), XDP_UMEM_PGOFF_COMPLETION_RING);
  if (error == 0 && request_.slots.rx != 0) error = map(rings_.rx, at.rx, request_.slots.rx, XDP_PGOFF_RX_RING);
  if (error == 0 && request_.slots.tx != 0) error = map(rings_.tx, at.tx, request_.slots.tx, XDP_PGOFF_TX_RING);
  return error;
}

template <class Entry>
int Socket::map(Ring<Entry>& ring, const xdp_ring_offset& at, std::uint32_t slots, std::uint64_t page) {
  const std::size_t bytes = at.desc + std::size_t{slots} * sizeof(Entry);
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor_.get(),
                              static_cast<off_t>(page));
  if (mapped == MAP_FAILED) return errno;
  mappings_.emplace_back(mapped, bytes);
  // A forked child that kept the mapping would keep the queue busy after this process has closed it.
  static_cast<void>(::madvise(mapped, bytes, MADV_DONTFORK));
  auto* const start = static_cast<std::byte*>(mapped);
  ring.producer = reinterpret_cast<std::uint32_t*>(start + at.producer);
  ring.consumer = reinterpret_cast<std::uint32_t*>(start + at.consumer);
  ring.flags = reinterpret_cast<const std::uint32_t*>(start + at.flags);
  ring.entries = reinterpret_cast<Entry*>(start + at.desc);
  ring.mask = slots - 1;
  return 0;
}

int Socket::bind(std::uint16_t mode) {
  const auto flags = static_cast<std::uint16_t>(shared_ ? XDP_SHARED_UMEM : mode | XDP_USE_NEED_WAKEUP);
  const int error = try_while(EBUSY, [&] {
    return bind_to(descriptor_.get(), request_.interface, request_.queue, flags, shared_ ? shared_->descriptor : -1);
  });
  if (error != 0) return error;
  chains_ = shared_ ? shared_->chains : (mode & kUseChains) != 0;
  area_->add_socket({descriptor_.get(), chains_, is_zero_copy()});
  return 0;
}

bool Socket::is_zero_copy() const {
  xdp_options options{};
  socklen_t bytes = sizeof options;
  return ::getsockopt(descriptor_.get(), SOL_XDP, XDP_OPTIONS, &options, &bytes) == 0 &&
         (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

KernelCounts Socket::counts() const {
  xdp_statistics counts{};
  socklen_t bytes = sizeof counts;
  if (::getsockopt(descriptor_.get(), SOL_XDP, XDP_STATISTICS, &counts, &bytes) != 0) return {};
  return {.rx_dropped = counts.rx_dropped,
          .rx_invalid_descs = counts.rx_invalid_descs,
          .tx_invalid_descs = counts.tx_invalid_descs,
          .rx_ring_full = counts.rx_ring_full,
          .rx_fill_empty = counts.rx_fill_ring_empty_descs,
          .tx_ring_empty = counts.tx_ring_empty_descs};
}

}  // namespace pollux::xdp
