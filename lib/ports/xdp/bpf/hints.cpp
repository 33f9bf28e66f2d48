// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/bpf/hints.hpp"

#include <linux/btf.h>
#include <linux/genetlink.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/open_file.hpp"
#include "netlink/socket.hpp"

namespace pollux::xdp {
namespace {

/// Linux 6.7, include/uapi/linux/netdev.h; missing in older headers.
constexpr std::uint8_t kGetDevice = 1;            // NETDEV_CMD_DEV_GET
constexpr std::uint16_t kDeviceIndex = 1;         // NETDEV_A_DEV_IFINDEX
constexpr std::uint16_t kDeviceHints = 5;         // NETDEV_A_DEV_XDP_RX_METADATA_FEATURES
constexpr std::uint64_t kHash = 2, kVlanTag = 4;  // enum netdev_xdp_rx_metadata

/// Asks a family of generic netlink by a command with one attribute. Returns the attributes of the answer; none if that
/// is an error.
std::vector<std::byte> ask_family(netlink::Socket& socket, std::uint16_t family, std::uint8_t command,
                                  std::uint16_t attribute, netlink::Bytes value) {
  std::vector<std::byte> attributes;
  netlink::Payload request(genlmsghdr{.cmd = command, .version = 1, .reserved = 0});
  const auto asked = socket.get(family, request.add(attribute, value), [&](std::uint16_t, netlink::Bytes answer) {
    const netlink::Bytes found = netlink::after_header(answer, sizeof(genlmsghdr));
    attributes.assign(found.begin(), found.end());
  });
  return asked ? attributes : std::vector<std::byte>();
}

/// The bytes of a type that follow its btf_type: Linux, Documentation/bpf/btf.rst. Kinds without any are not named.
std::size_t bytes_behind(const btf_type& type) noexcept {
  const std::size_t count = BTF_INFO_VLEN(type.info);
  switch (BTF_INFO_KIND(type.info)) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG: return sizeof(std::uint32_t);
    case BTF_KIND_ARRAY: return sizeof(btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: return count * sizeof(btf_member);
    case BTF_KIND_ENUM: return count * sizeof(btf_enum);
    case BTF_KIND_ENUM64: return count * sizeof(btf_enum64);
    case BTF_KIND_FUNC_PROTO: return count * sizeof(btf_param);
    case BTF_KIND_DATASEC: return count * sizeof(btf_var_secinfo);
    default: return 0;
  }
}

/// Calls `use` with the number and the name of each function.
template <class Function>
void for_each_function(std::string_view btf, Function&& use) {
  btf_header head{};
  if (btf.size() < sizeof head) return;
  std::memcpy(&head, btf.data(), sizeof head);
  if (head.magic != BTF_MAGIC || head.hdr_len > btf.size()) return;
  btf.remove_prefix(head.hdr_len);
  if (head.type_off > btf.size() || head.str_off > btf.size()) return;
  std::string_view types = btf.substr(head.type_off, head.type_len);
  const std::string_view names = btf.substr(head.str_off, head.str_len);
  for (std::uint32_t number = 1; types.size() >= sizeof(btf_type); ++number) {
    btf_type type{};
    std::memcpy(&type, types.data(), sizeof type);
    if (BTF_INFO_KIND(type.info) == BTF_KIND_FUNC && type.name_off < names.size()) {
      const std::string_view rest = names.substr(type.name_off);
      use(number, rest.substr(0, rest.find('\0')));
    }
    types.remove_prefix(std::min(types.size(), sizeof type + bytes_behind(type)));
  }
}

}  // namespace

std::uint16_t hints_of(unsigned interface) {
  auto socket = netlink::Socket::open(NETLINK_GENERIC);
  if (!socket) return {};
  constexpr std::array<char, 7> kFamily{"netdev"};
  const auto about =
      ask_family(*socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, std::as_bytes(std::span(kFamily)));
  const auto family = netlink::read<std::uint16_t>(netlink::find_attribute(about, CTRL_ATTR_FAMILY_ID));
  if (!family) return {};
  const auto device = ask_family(*socket, *family, kGetDevice, kDeviceIndex, std::as_bytes(std::span(&interface, 1)));
  const auto features = netlink::read<std::uint64_t>(netlink::find_attribute(device, kDeviceHints)).value_or(0);
  std::uint16_t hints = 0;
  if ((features & kHash) != 0) hints |= Hint::hash;
  if ((features & kVlanTag) != 0) hints |= Hint::vlan;
  return hints;
}

HintCalls find_hint_calls(std::uint16_t hints) {
  constexpr std::size_t kMostBytes = 64 << 20;  // ten times what today's kernels have
  const auto btf = read_input_file("/sys/kernel/btf/vmlinux", "types of the kernel", kMostBytes);
  HintCalls calls;
  if (!btf) return calls;
  for_each_function(*btf, [&](std::uint32_t number, std::string_view name) {
    if ((hints & Hint::hash) != 0 && name == "bpf_xdp_metadata_rx_hash") calls.hash = number;
    if ((hints & Hint::vlan) != 0 && name == "bpf_xdp_metadata_rx_vlan_tag") calls.vlan = number;
  });
  return calls;
}

}  // namespace pollux::xdp
