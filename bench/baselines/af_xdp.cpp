// SPDX-License-Identifier: BSD-3-Clause
#include "af_xdp.hpp"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

namespace baselines {
namespace {

constexpr std::uint32_t kMask = XdpSocket::kRing - 1;
// The upper half of the memory holds the frames to send.
constexpr std::uint64_t kSendBase = std::uint64_t{XdpSocket::kRing} * XdpSocket::kChunk;
constexpr std::size_t kMemory = 2 * kSendBase;

std::uint32_t load(const std::uint32_t* position) noexcept { return __atomic_load_n(position, __ATOMIC_ACQUIRE); }
void store(std::uint32_t* position, std::uint32_t value) noexcept {
  __atomic_store_n(position, value, __ATOMIC_RELEASE);
}

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

int make_map(int socket) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_XSKMAP;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = sizeof(std::uint32_t);
  attributes.max_entries = 1;
  const int map = bpf(BPF_MAP_CREATE, attributes);
  const std::uint32_t key = 0;
  attributes = {};
  attributes.map_fd = static_cast<std::uint32_t>(map);
  attributes.key = reinterpret_cast<std::uint64_t>(&key);
  attributes.value = reinterpret_cast<std::uint64_t>(&socket);
  if (map < 0 || bpf(BPF_MAP_UPDATE_ELEM, attributes) != 0)
    give_up("the kernel does not support maps of AF_XDP sockets");
  return map;
}

// The program is: return bpf_redirect_map(&map, context->rx_queue_index, XDP_PASS);
int load_program(int map) {
  const bpf_insn program[] = {
      {.code = BPF_LDX | BPF_MEM | BPF_W,
       .dst_reg = BPF_REG_2,
       .src_reg = BPF_REG_1,
       .off = offsetof(xdp_md, rx_queue_index),
       .imm = 0},
      {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .off = 0, .imm = map},
      {.code = 0, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .src_reg = 0, .off = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_redirect_map},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.insns = reinterpret_cast<std::uint64_t>(program);
  attributes.insn_cnt = std::size(program);
  attributes.license = reinterpret_cast<std::uint64_t>("BSD");
  const int loaded = bpf(BPF_PROG_LOAD, attributes);
  if (loaded < 0) give_up("the kernel rejected the XDP program");
  return loaded;
}

int attach(int program, unsigned interface) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(program);
  attributes.link_create.target_ifindex = interface;
  attributes.link_create.attach_type = BPF_XDP;
  attributes.link_create.flags = XDP_FLAGS_DRV_MODE;
  const int link = bpf(BPF_LINK_CREATE, attributes);
  if (link < 0) give_up("the interface's driver does not support XDP programs");
  return link;
}

}  // namespace

void wait_for_link(const std::string& interface) {
  constexpr int kTries = 500;
  for (int i = 0; i < kTries; ++i) {
    std::ifstream file("/sys/class/net/" + interface + "/carrier");
    if (file.get() == '1') return;
    usleep(10'000);
  }
  give_up("no link");
}

XdpSocket::XdpSocket(const std::string& interface) : socket_(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (socket_ < 0 || index == 0) give_up("the kernel has no AF_XDP, or no such interface");
  void* const memory =
      mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) give_up("no memory");
  memory_ = static_cast<std::uint8_t*>(memory);
  make_rings();
  for (std::uint32_t i = 0; i < kRing; ++i) static_cast<std::uint64_t*>(fill_.entries)[i] = std::uint64_t{i} * kChunk;
  store(fill_.producer, kRing);
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = index;
  address.sxdp_flags = XDP_COPY;
  if (bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up("an AF_XDP socket could not be bound");
  }
  const int map = make_map(socket_);
  const int program = load_program(map);
  link_ = attach(program, index);
  // The link holds a reference to the program, and the program one to the map.
  close(program);
  close(map);
}

XdpSocket::~XdpSocket() {
  for (const Ring* ring : {&fill_, &completion_, &rx_, &tx_}) munmap(ring->mapping, ring->size);
  close(link_);
  close(socket_);
  munmap(memory_, kMemory);
}

void XdpSocket::make_rings() {
  xdp_umem_reg registration{};
  registration.addr = reinterpret_cast<std::uint64_t>(memory_);
  registration.len = kMemory;
  registration.chunk_size = kChunk;
  bool made = setsockopt(socket_, SOL_XDP, XDP_UMEM_REG, &registration, sizeof registration) == 0;
  for (const int ring : {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING}) {
    made = made && setsockopt(socket_, SOL_XDP, ring, &kRing, sizeof kRing) == 0;
  }
  xdp_mmap_offsets offsets{};
  socklen_t size = sizeof offsets;
  if (!made || getsockopt(socket_, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0) {
    give_up("the rings of an AF_XDP socket could not be created");
  }
  fill_ = map_ring(offsets.fr, sizeof(std::uint64_t), XDP_UMEM_PGOFF_FILL_RING);
  completion_ = map_ring(offsets.cr, sizeof(std::uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
  rx_ = map_ring(offsets.rx, sizeof(xdp_desc), XDP_PGOFF_RX_RING);
  tx_ = map_ring(offsets.tx, sizeof(xdp_desc), XDP_PGOFF_TX_RING);
}

XdpSocket::Ring XdpSocket::map_ring(const xdp_ring_offset& offsets, std::size_t entry_size,
                                    std::uint64_t page_offset) const {
  Ring ring;
  ring.size = offsets.desc + kRing * entry_size;
  ring.mapping = mmap(nullptr, ring.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, socket_,
                      static_cast<off_t>(page_offset));
  if (ring.mapping == MAP_FAILED) give_up("a ring could not be mapped");
  auto* const bytes = static_cast<std::uint8_t*>(ring.mapping);
  ring.producer = reinterpret_cast<std::uint32_t*>(bytes + offsets.producer);
  ring.consumer = reinterpret_cast<std::uint32_t*>(bytes + offsets.consumer);
  ring.entries = bytes + offsets.desc;
  return ring;
}

// Counts completed frames. Frames are used in order, so their number is enough.
void XdpSocket::reclaim() noexcept {
  const std::uint32_t done = load(completion_.producer);
  in_flight_ -= done - *completion_.consumer;
  store(completion_.consumer, done);
}

std::uint32_t XdpSocket::send(const Frame& data, std::uint32_t count) noexcept {
  reclaim();
  const std::uint32_t room = kRing - in_flight_;
  const std::uint32_t taken = count < room ? count : room;
  const std::uint32_t first = *tx_.producer;
  for (std::uint32_t i = 0; i < taken; ++i) {
    const std::uint32_t slot = (first + i) & kMask;
    const std::uint64_t address = kSendBase + std::uint64_t{slot} * kChunk;
    std::memcpy(memory_ + address, data.data(), data.size());
    static_cast<xdp_desc*>(tx_.entries)[slot] = {.addr = address, .len = sizeof data, .options = 0};
  }
  in_flight_ += taken;
  store(tx_.producer, first + taken);
  // In copy mode the kernel sends during this call. Its errors are transient (the card's ring is full): unsent frames
  // stay in the ring until the next call.
  static_cast<void>(sendto(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, 0));
  return taken;
}

std::uint32_t XdpSocket::receive(std::uint32_t limit) noexcept {
  const std::uint32_t first = *rx_.consumer;
  const std::uint32_t waiting = load(rx_.producer) - first;
  const std::uint32_t taken = waiting < limit ? waiting : limit;
  const std::uint32_t back = *fill_.producer;
  for (std::uint32_t i = 0; i < taken; ++i) {
    const xdp_desc& frame = static_cast<const xdp_desc*>(rx_.entries)[(first + i) & kMask];
    static_cast<std::uint64_t*>(fill_.entries)[(back + i) & kMask] = frame.addr & ~std::uint64_t{kChunk - 1};
  }
  store(rx_.consumer, first + taken);
  store(fill_.producer, back + taken);
  return taken;
}

}  // namespace baselines
