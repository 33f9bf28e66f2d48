// SPDX-License-Identifier: BSD-3-Clause
#include "kernel_gro.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "napi_thread.hpp"
#include "net/virtio_net_header.hpp"
#include "vlan_frames.hpp"

namespace pollux::test {
namespace {

// Longer than it takes to write a batch.
constexpr std::string_view kNanoseconds = "800000";
constexpr int kAnswerMilliseconds = 2000;

void must(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

/// A network namespace of the process's own, with its interfaces under /sys.
void enter_namespace() {
  must(::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "a network namespace of its own (run this as root)");
  must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
  must(::mount("sysfs", "/sys", "sysfs", 0, nullptr) == 0, "/sys of the namespace");
}

/// The process's own, since threads of the kernel are named after interfaces of all namespaces.
const std::string& interface_name() {
  static const std::string name = fmt::format("plx{}", ::getpid());
  return name;
}

ifreq request() {
  ifreq named{};
  std::strcpy(named.ifr_name, interface_name().c_str());
  return named;
}

FileDescriptor open_tap() {
  FileDescriptor tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  must(tap.get() >= 0, "/dev/net/tun");
  ifreq named = request();
  named.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_NAPI;
  must(::ioctl(tap.get(), TUNSETIFF, &named) == 0, "a TAP interface with NAPI");
  return tap;
}

void set_flush_timeout() {
  const std::string path = fmt::format("/sys/class/net/{}/gro_flush_timeout", interface_name());
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  must(file.get() >= 0, path.c_str());
  must(::write(file.get(), kNanoseconds.data(), kNanoseconds.size()) > 0, path.c_str());
}

void bring_up(int socket) {
  ifreq named = request();
  named.ifr_flags = IFF_UP;
  must(::ioctl(socket, SIOCSIFFLAGS, &named) == 0, "bringing the interface up");
}

void bind_to_interface(int socket) {
  ifreq named = request();
  must(::ioctl(socket, SIOCGIFINDEX, &named) == 0, "the interface's index");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = named.ifr_ifindex;
  must(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "binding the socket");
}

// No protocol before it is bound: it gets no frames of other interfaces.
FileDescriptor open_packet_socket() {
  FileDescriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  must(socket.get() >= 0, "a packet socket");
  return socket;
}

/// A socket that takes no frame. The kernel defers the last receiver of a frame to the end of a batch, which changes
/// the order in which this receiver sees frames. This one is the last for frames that no protocol takes.
FileDescriptor open_last_socket() {
  FileDescriptor socket = open_packet_socket();
  sock_filter none{BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program{1, &none};
  must(::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0, "SO_ATTACH_FILTER");
  bind_to_interface(socket.get());
  return socket;
}

FileDescriptor open_socket() {
  FileDescriptor socket = open_packet_socket();
  const int on = 1;
  const int bytes = 16 << 20;
  must(::setsockopt(socket.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0, "PACKET_VNET_HDR");
  must(::setsockopt(socket.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) == 0, "PACKET_AUXDATA");
  must(::setsockopt(socket.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0, "PACKET_IGNORE_OUTGOING");
  must(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0, "SO_RCVBUFFORCE");
  bring_up(socket.get());
  bind_to_interface(socket.get());
  return socket;
}

/// The frames that a merged one was made of.
std::size_t segments_of(const MergedFrame& frame, const VirtioNetHeader& header) {
  if (frame.segment_size == 0) return 1;
  const std::size_t l4 = header.checksum_start;
  const bool is_udp = frame.segmentation == VirtioNetHeader::kUdp;
  const std::size_t payload = frame.bytes.size() - l4 - (is_udp ? 8 : (frame.bytes[l4 + 12] >> 4) * std::size_t{4});
  return (payload + frame.segment_size - 1) / frame.segment_size;
}

/// The tag that the kernel took out of the frame before it showed it to the socket; nullptr if there was none.
const tpacket_auxdata* tag_of(msghdr& message, tpacket_auxdata& copy) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_PACKET || one->cmsg_type != PACKET_AUXDATA) continue;
    std::memcpy(&copy, CMSG_DATA(one), sizeof copy);
    return (copy.tp_status & TP_STATUS_VLAN_VALID) != 0 ? &copy : nullptr;
  }
  return nullptr;
}

void run(const std::string& command) { must(std::system(command.c_str()) == 0, command.c_str()); }

void prepare(SequenceKind kind) {
  if (kind == SequenceKind::udp_and_tcp) run(fmt::format("ethtool -K {} rx-udp-gro-forwarding on", interface_name()));
  if (kind != SequenceKind::vxlan) return;
  // Without a network identifier of its own it receives over IPv4 and IPv6.
  run("ip link add plxvxlan type vxlan dstport 4789 external");
  run("ip link set plxvxlan up");
}

}  // namespace

KernelGro::KernelGro(SequenceKind kind)
    : tap_((enter_namespace(), open_tap())), last_(open_last_socket()), socket_(open_socket()) {
  prepare(kind);
  is_batch_by_sleep_ = receive_only_while_asleep(interface_name());
  if (!is_batch_by_sleep_) set_flush_timeout();
}

bool KernelGro::wait() const {
  pollfd waiting{socket_.get(), POLLIN, 0};
  return ::poll(&waiting, 1, kAnswerMilliseconds) == 1;
}

MergedFrame KernelGro::read(std::size_t& seen) {
  VirtioNetHeader header;
  std::array<iovec, 2> parts{{{&header, sizeof header}, {buffer_.data(), buffer_.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const auto bytes = ::recvmsg(socket_.get(), &message, 0);
  must(bytes >= static_cast<ssize_t>(sizeof header), "reading the kernel's result");
  MergedFrame frame{
      .bytes = FrameBytes(buffer_.begin(), buffer_.begin() + (bytes - static_cast<ssize_t>(sizeof header))),
      .segment_size = header.segment_size,
      .segmentation = header.segmentation};
  seen += segments_of(frame, header);
  tpacket_auxdata copy{};
  if (const tpacket_auxdata* const tag = tag_of(message, copy))
    insert_tag(frame.bytes, tag->tp_vlan_tpid, tag->tp_vlan_tci);
  return frame;
}

void KernelGro::write(const std::vector<FrameBytes>& frames) const {
  for (const FrameBytes& frame : frames) {
    must(::write(tap_.get(), frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()), "writing a frame");
  }
}

std::vector<MergedFrame> KernelGro::merge(const std::vector<FrameBytes>& frames) {
  std::optional<NapiHold> hold;
  if (is_batch_by_sleep_) hold.emplace();
  write(frames);
  std::vector<MergedFrame> merged;
  for (std::size_t seen = 0; seen < frames.size();) {
    if (!wait()) throw std::runtime_error("the kernel has lost a frame");
    merged.push_back(read(seen));
  }
  return merged;
}

}  // namespace pollux::test
