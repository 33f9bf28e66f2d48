// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/bpf/header_code.hpp"

#include <arpa/inet.h>

#include <array>
#include <cstddef>
#include <utility>

#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "ports/xdp/bpf/rule_code.hpp"

namespace pollux::xdp {
namespace {

namespace ether_type = packet::ether_type;
namespace ip_protocol = packet::ip_protocol;

constexpr std::array kVlanTypes{ether_type::kVlan, ether_type::kService, ether_type::kOldQinq};
constexpr std::array kExtensions{ip_protocol::kHopByHop, ip_protocol::kRouting, ip_protocol::kDestinationOptions};

// In BPF_REG_2 is the address of the header that comes next, and in BPF_REG_3 its EtherType, then in BPF_REG_4 its IP
// protocol. EtherTypes are in network byte order.
class HeaderWriter {
 public:
  HeaderWriter(BpfCode& code, const HeadersWanted& wanted) : code_(code), wanted_(wanted) {}

  void write() {
    for (int at = saved::kEnd; at < 0; at += 8) code_.store_zero(BPF_REG_10, at);
    expect(reg::kData, 14, done_);
    code_.move(reg::kFound, found::kEthernet);
    save(reg::kData, 0, saved::kEthernet, 12);
    code_.load(BPF_H, BPF_REG_3, reg::kData, 12);
    code_.store(BPF_H, BPF_REG_10, saved::kEthernet + 12, BPF_REG_3);
    code_.store(BPF_H, BPF_REG_10, saved::kCardType, BPF_REG_3);
    code_.copy(BPF_REG_2, reg::kData);
    code_.change(BPF_ADD, BPF_REG_2, 14);
    tags();
    code_.store(BPF_H, BPF_REG_10, saved::kType, BPF_REG_3);
    const auto ipv6_header = code_.label();
    if (wanted_.ipv6) code_.jump_if(BPF_JEQ, BPF_REG_3, htons(ether_type::kIpv6), ipv6_header);
    if (wanted_.ipv4) {
      code_.jump_if(BPF_JNE, BPF_REG_3, htons(ether_type::kIpv4), done_);
      ipv4();
    }
    if (wanted_.ipv6) {
      if (wanted_.ipv4) {
        code_.jump(transport_);
      } else {
        code_.jump(done_);
      }
      code_.place(ipv6_header);
      ipv6();
    }
    if (wanted_.ipv4 || wanted_.ipv6) transport();
    code_.place(done_);
  }

 private:
  /// Goes to `otherwise` unless the frame has `bytes` bytes from the address in a register on.
  void expect(unsigned address, std::uint32_t bytes, BpfCode::Label otherwise) {
    code_.copy(BPF_REG_1, address);
    code_.change(BPF_ADD, BPF_REG_1, bytes);
    code_.jump_if_register(BPF_JGT, BPF_REG_1, reg::kDataEnd, otherwise);
  }
  void save(unsigned address, int from, int to, int bytes) {
    for (int i = 0; i < bytes; i += 4) {
      code_.load(BPF_W, BPF_REG_0, address, from + i);
      code_.store(BPF_W, BPF_REG_10, to + i, BPF_REG_0);
    }
  }
  void found(std::uint32_t bits) { code_.change32(BPF_OR, reg::kFound, bits); }

  void tags() {
    const auto end = code_.label();
    tag(0, end);
    const auto other = code_.label();
    const auto second = code_.label();
    code_.load(BPF_H, BPF_REG_5, reg::kData, 12);
    code_.jump_if(BPF_JNE, BPF_REG_5, htons(ether_type::kVlan), other);
    code_.store(BPF_H, BPF_REG_10, saved::kCardType, BPF_REG_3);
    code_.jump(second);
    code_.place(other);
    found(found::kOtherTags);
    code_.place(second);
    tag(1, end);
    found(found::kOtherTags);
    code_.place(end);
  }
  // A type of a tag without a tag behind it is the type of the frame.
  void tag(int index, BpfCode::Label none) {
    const auto present = code_.label();
    for (const std::uint16_t type : kVlanTypes) code_.jump_if(BPF_JEQ, BPF_REG_3, htons(type), present);
    code_.jump(none);
    code_.place(present);
    expect(BPF_REG_2, 4, none);
    save(BPF_REG_2, 0, saved::kTags + 4 * index, 4);
    code_.load(BPF_H, BPF_REG_3, BPF_REG_2, 2);
    code_.change(BPF_ADD, BPF_REG_2, 4);
    found(index == 0 ? found::kTag : found::kSecondTag);
  }

  // RFC 791, 3.1
  void ipv4() {
    expect(BPF_REG_2, 20, done_);
    code_.load(BPF_B, BPF_REG_4, BPF_REG_2, 0);
    code_.copy(BPF_REG_5, BPF_REG_4);
    code_.change(BPF_RSH, BPF_REG_5, 4);
    code_.jump_if(BPF_JNE, BPF_REG_5, 4, done_);
    code_.change(BPF_AND, BPF_REG_4, 0x0F);
    code_.change(BPF_LSH, BPF_REG_4, 2);
    code_.jump_if(BPF_JLT, BPF_REG_4, 20, done_);
    code_.copy(BPF_REG_5, BPF_REG_2);
    code_.change_by(BPF_ADD, BPF_REG_5, BPF_REG_4);
    code_.jump_if_register(BPF_JGT, BPF_REG_5, reg::kDataEnd, done_);
    save(BPF_REG_2, 0, saved::kNetwork, 20);
    found(found::kIpv4);
    code_.load(BPF_H, BPF_REG_4, BPF_REG_2, 6);
    code_.jump_if(BPF_JSET, BPF_REG_4, htons(0x3FFF), done_);
    code_.load(BPF_B, BPF_REG_4, BPF_REG_2, 9);
    code_.copy(BPF_REG_2, BPF_REG_5);
  }

  // RFC 8200, 3 and 4
  void ipv6() {
    expect(BPF_REG_2, 40, done_);
    code_.load(BPF_B, BPF_REG_4, BPF_REG_2, 0);
    code_.change(BPF_RSH, BPF_REG_4, 4);
    code_.jump_if(BPF_JNE, BPF_REG_4, 6, done_);
    save(BPF_REG_2, 0, saved::kNetwork, 40);
    found(found::kIpv6);
    code_.load(BPF_B, BPF_REG_4, BPF_REG_2, 6);
    code_.change(BPF_ADD, BPF_REG_2, 40);
    for (unsigned i = 0; i < kMaxExtensions; ++i) {
      const auto extension = code_.label();
      for (const std::uint8_t type : kExtensions) code_.jump_if(BPF_JEQ, BPF_REG_4, type, extension);
      code_.jump(transport_);
      code_.place(extension);
      expect(BPF_REG_2, 8, done_);
      code_.load(BPF_B, BPF_REG_4, BPF_REG_2, 0);
      code_.load(BPF_B, BPF_REG_5, BPF_REG_2, 1);
      code_.change(BPF_ADD, BPF_REG_5, 1);
      code_.change(BPF_LSH, BPF_REG_5, 3);
      code_.change_by(BPF_ADD, BPF_REG_2, BPF_REG_5);
      code_.jump_if_register(BPF_JGT, BPF_REG_2, reg::kDataEnd, done_);
    }
  }

  void transport() {
    constexpr std::array kTransports{std::pair{ip_protocol::kTcp, std::pair{found::kTcp, 20}},
                                     std::pair{ip_protocol::kUdp, std::pair{found::kUdp, 8}},
                                     std::pair{ip_protocol::kSctp, std::pair{found::kSctp, 12}}};
    code_.place(transport_);
    for (const auto& [protocol, header] : kTransports) {
      const auto other = code_.label();
      code_.jump_if(BPF_JNE, BPF_REG_4, protocol, other);
      expect(BPF_REG_2, static_cast<std::uint32_t>(header.second), done_);
      save(BPF_REG_2, 0, saved::kTransport, header.second);
      found(header.first);
      code_.jump(done_);
      code_.place(other);
    }
  }

  BpfCode& code_;
  const HeadersWanted& wanted_;
  BpfCode::Label done_ = code_.label();
  BpfCode::Label transport_ = code_.label();
};

}  // namespace

void write_headers(BpfCode& code, const HeadersWanted& wanted) {
  code.copy(reg::kContext, BPF_REG_1);
  code.load(BPF_W, reg::kData, reg::kContext, offsetof(xdp_md, data));
  code.load(BPF_W, reg::kDataEnd, reg::kContext, offsetof(xdp_md, data_end));
  code.move(reg::kFound, 0);
  if (wanted.ethernet) HeaderWriter(code, wanted).write();
}

}  // namespace pollux::xdp
