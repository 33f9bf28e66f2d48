// SPDX-License-Identifier: BSD-3-Clause
#include "tcp_server/lwip_port.hpp"

#include <fmt/format.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/memp.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/memp_priv.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/raw.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>
#include <netif/ethernet.h>

#include <algorithm>
#include <array>

namespace pollux::examples {
namespace {

ip4_addr_t to_lwip(const packet::Ipv4Address& address) {
  ip4_addr_t made;
  IP4_ADDR(&made, address[0], address[1], address[2], address[3]);
  return made;
}

/// A copy of a frame in lwIP's memory; nullptr if there is none. PBUF_RAM is as long as the frame. PBUF_POOL would
/// depend on a size that the library was built with: in Debian 12 its pool has buffers of 592 bytes, which it fills
/// with up to 1,536.
pbuf* copy_of(const Mbuf& frame) {
  const std::uint32_t length = frame.packet_length();
  if (length > 0xFFFF) return nullptr;
  pbuf* const copy = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(length), PBUF_RAM);
  if (copy != nullptr) static_cast<void>(frame.copy_out(0, {static_cast<std::uint8_t*>(copy->payload), length}));
  return copy;
}

struct SizeInLibrary {
  memp_t pool;
  std::size_t bytes;  // what the headers make of it
};

/// Whether the library was built with the sizes that its headers have here. Its pools say what it reserves for its
/// structures; the program and the library share some of them, and its own sources may differ, too.
Result<void> check_sizes() {
  constexpr std::array kSizes{
      SizeInLibrary{MEMP_PBUF, sizeof(pbuf)},       SizeInLibrary{MEMP_TCP_PCB, sizeof(tcp_pcb)},
      SizeInLibrary{MEMP_TCP_SEG, sizeof(tcp_seg)}, SizeInLibrary{MEMP_TCP_PCB_LISTEN, sizeof(tcp_pcb_listen)},
      SizeInLibrary{MEMP_UDP_PCB, sizeof(udp_pcb)}, SizeInLibrary{MEMP_RAW_PCB, sizeof(raw_pcb)}};
  for (const SizeInLibrary& one : kSizes) {
    const std::size_t expected = LWIP_MEM_ALIGN_SIZE(one.bytes);
    if (memp_pools[one.pool]->size == expected) continue;
    return fail(ErrorCode::not_supported,
                fmt::format("lwIP: the library reserves {} bytes where its headers say {}", memp_pools[one.pool]->size,
                            expected),
                "install liblwip-dev of the same version as liblwip0, and build this program again");
  }
  return {};
}

}  // namespace

struct LwipPort::Netif {
  netif interface {};

  static err_t init(netif* interface) {
    LwipPort& self = *static_cast<LwipPort*>(interface->state);
    const MacAddress mac = self.port_.mac();
    std::copy(mac.begin(), mac.end(), interface->hwaddr);
    interface->hwaddr_len = ETH_HWADDR_LEN;
    interface->mtu = 1500;
    interface->name[0] = 'p';
    interface->name[1] = 'x';
    interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    interface->output = etharp_output;
    interface->linkoutput = transmit;
    return ERR_OK;
  }
  static err_t transmit(netif* interface, pbuf* frame) {
    LwipPort& self = *static_cast<LwipPort*>(interface->state);
    MbufPtr mbuf = self.cache_.allocate();
    std::uint8_t* const bytes = mbuf == nullptr ? nullptr : mbuf->append(frame->tot_len);
    if (bytes == nullptr) {
      ++self.counts_.no_mbuf;
      return ERR_MEM;
    }
    pbuf_copy_partial(frame, bytes, frame->tot_len, 0);
    return self.send(std::move(mbuf)) ? ERR_OK : ERR_MEM;
  }
};

LwipPort::LwipPort(Port& port, MempoolCache& cache) : port_(port), cache_(cache), netif_(std::make_unique<Netif>()) {}

Result<std::unique_ptr<LwipPort>> LwipPort::create(Port& port, MempoolCache& cache, const Address& address) {
  if (auto sizes = check_sizes(); !sizes) return pass_on(std::move(sizes));
  lwip_init();
  std::unique_ptr<LwipPort> made(new LwipPort(port, cache));
  netif& interface = made->netif_->interface;
  const ip4_addr_t own = to_lwip(address.address);
  const ip4_addr_t mask = to_lwip(address.netmask);
  const ip4_addr_t no_gateway = to_lwip({});
  if (netif_add(&interface, &own, &mask, &no_gateway, made.get(), &Netif::init, &ethernet_input) == nullptr)
    return fail(ErrorCode::no_memory, "lwIP: cannot add the port as a network interface", "free some memory");
  netif_set_default(&interface);
  netif_set_link_up(&interface);
  netif_set_up(&interface);
  return made;
}

LwipPort::~LwipPort() {
  netif_remove(&netif_->interface);
  flush();
}

bool LwipPort::send(MbufPtr frame) {
  if (out_.full()) flush();
  return out_.push(frame);
}

void LwipPort::flush() {
  counts_.sent += port_.tx(0).tx_burst(out_);
  out_.drop(ring_full_, cache_);
}

void LwipPort::receive(Burst<64>& burst) {
  for (Mbuf& frame : burst) {
    // lwIP checks the sums of all that it receives.
    static_cast<void>(complete_checksums(frame));
    pbuf* const copy = copy_of(frame);
    if (copy == nullptr) {
      ++counts_.no_pbuf;
      continue;
    }
    ++counts_.received;
    netif& interface = netif_->interface;
    if (interface.input(copy, &interface) != ERR_OK) pbuf_free(copy);
  }
  burst.drop(handled_, cache_);
  flush();
}

void LwipPort::run_timers() {
  sys_check_timeouts();
  flush();
}

LwipPort::Counts LwipPort::counts() const {
  Counts counts = counts_;
  counts.ring_full = ring_full_.value();
  return counts;
}

}  // namespace pollux::examples
