// SPDX-License-Identifier: BSD-3-Clause
// The kernel's end of a TAP port: its MAC address, carrier and IP addresses.
#include <gmock/gmock.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>

#include "conformance/own_network.hpp"
#include "fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::ports {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

class TapKernelInterface : public PortFixture {
 protected:
  void SetUp() override {
    if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
    conformance::enter_own_network();
    port_ = started("tap:plxk");
  }
  [[nodiscard]] Capability<KernelInterface> kernel() { return port_->capability<KernelInterface>(); }
  static void set_ipv6(bool on) {
    std::ofstream("/proc/sys/net/ipv6/conf/plxk/disable_ipv6") << (on ? "0" : "1") << std::flush;
  }
  /// Whether the interface has a carrier. Its flags say so only after a while.
  [[nodiscard]] static bool carrier() {
    ethtool_value value{.cmd = ETHTOOL_GLINK, .data = 0};
    ifreq request{};
    std::strcpy(request.ifr_name, "plxk");
    request.ifr_data = reinterpret_cast<char*>(&value);
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::ioctl(socket, SIOCETHTOOL, &request), 0);
    ::close(socket);
    return value.data != 0;
  }
  /// The interface's addresses with their prefixes, as "10.1.2.3/24", without those that the kernel makes itself.
  [[nodiscard]] static std::vector<std::string> addresses() {
    std::vector<std::string> found;
    ifaddrs* all = nullptr;
    EXPECT_EQ(::getifaddrs(&all), 0);
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
      if (one->ifa_addr == nullptr || std::string(one->ifa_name) != "plxk") continue;
      if (one->ifa_addr->sa_family == AF_INET) {
        const auto* const address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
        const auto* const mask = reinterpret_cast<const sockaddr_in*>(one->ifa_netmask);
        found.push_back(hex_of(&address->sin_addr, 4) + " " + hex_of(&mask->sin_addr, 4));
      } else if (one->ifa_addr->sa_family == AF_INET6) {
        const auto* const address = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
        if (address->sin6_addr.s6_addr[0] != 0xFE) found.push_back(hex_of(&address->sin6_addr, 16));
      }
    }
    ::freeifaddrs(all);
    return found;
  }
  [[nodiscard]] static std::string hex_of(const void* bytes, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      constexpr const char* kDigits = "0123456789abcdef";
      const auto byte = static_cast<const std::uint8_t*>(bytes)[i];
      text += {kDigits[byte >> 4], kDigits[byte & 15]};
    }
    return text;
  }

  std::optional<Port> port_;
};

TEST_F(TapKernelInterface, HasANameAndAnAddressThatCanChangeWhileItIsUp) {
  EXPECT_EQ(kernel()->interface_name(), "plxk");
  const MacAddress mac{0x02, 0, 0, 0, 0xAB, 0xCD};
  ASSERT_TRUE(kernel()->set_interface_mac(mac));
  EXPECT_EQ(*kernel()->interface_mac(), mac);
  EXPECT_NE(port_->mac(), mac);
  const auto multicast = kernel()->set_interface_mac({0x01, 0, 0, 0, 0, 1});
  ASSERT_FALSE(multicast);
  EXPECT_EQ(multicast.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(multicast.error().hint, HasSubstr("ip link set plxk address"));
  EXPECT_EQ(*kernel()->interface_mac(), mac);
}

TEST_F(TapKernelInterface, ItsCarrierIsThePrograms) {
  EXPECT_TRUE(carrier());
  ASSERT_TRUE(kernel()->set_interface_carrier(false));
  EXPECT_FALSE(carrier());
  ASSERT_TRUE(kernel()->set_interface_carrier(true));
  EXPECT_TRUE(carrier());
}

// Another interface may have the old name.
TEST_F(TapKernelInterface, KeepsItsInterfaceWhenThatIsRenamed) {
  ASSERT_EQ(std::system("ip link set plxk down && ip link set plxk name plxn && ip link set plxn up && "
                        "ip tuntap add dev plxk mode tap"),
            0);
  EXPECT_EQ(kernel()->interface_name(), "plxn");
  EXPECT_TRUE(port_->link().up);
  ASSERT_TRUE(test::set_mtu(*port_, 1400));
  EXPECT_EQ(std::system("ip link show plxn | grep -q 'mtu 1400' && ip link show plxk | grep -q 'mtu 1500'"), 0);
  must(kernel()->add_interface_address({.bytes = {10, 1, 2, 3}, .prefix = 24}));
  EXPECT_EQ(std::system("ip address show plxn | grep -q 10.1.2.3/24"), 0);
  ASSERT_TRUE(port_->stop());
  ASSERT_EQ(std::system("ip link set plxn down"), 0);
  ASSERT_TRUE(port_->start());
  EXPECT_TRUE(port_->link().up);
}

TEST_F(TapKernelInterface, GetsIpAddresses) {
  set_ipv6(true);
  const InterfaceAddress first{.bytes = {10, 1, 2, 3}, .prefix = 24};
  InterfaceAddress third{.ipv6 = true, .bytes = {0xFD}, .prefix = 64};
  third.bytes[15] = 9;
  for (const InterfaceAddress& address : {first, InterfaceAddress{.bytes = {10, 1, 3, 3}, .prefix = 16}, third, first})
    must(kernel()->add_interface_address(address));
  EXPECT_THAT(addresses(),
              UnorderedElementsAre("0a010203 ffffff00", "0a010303 ffff0000", "fd000000000000000000000000000009"));
  set_ipv6(false);
  const auto disabled = kernel()->add_interface_address(third);
  ASSERT_FALSE(disabled);
  EXPECT_THAT(disabled.error().hint, HasSubstr("net.ipv6.conf.plxk.disable_ipv6=0"));
  const auto wrong = kernel()->add_interface_address({.bytes = {10, 1, 2, 4}, .prefix = 33});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(wrong.error().hint, HasSubstr("0 to 32"));
}

TEST_F(TapKernelInterface, OtherPortsHaveNone) {
  Port port = started("null:");
  EXPECT_FALSE(port.capability<KernelInterface>());
}

TEST_F(TapKernelInterface, APoolThatIsTooSmallForSuperframesIsRefused) {
  Mempool small = must(Mempool::create(context_, {.count = 32}));
  Settings config = this->config();
  config.rx[0].pool = small;
  config.rx[0].cache = {};
  const auto refused = open(context_, "tap:plxz?superframes", config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message(), HasSubstr("do not fit 32 buffers of 2048"));
  EXPECT_TRUE(open(context_, "tap:plxz", config)) << "without superframes it is large enough";
}

TEST_F(TapKernelInterface, UnknownOptionsAreRejected) {
  EXPECT_THAT(refused("tap:plxz?superframe").hint, HasSubstr("superframes"));
  EXPECT_EQ(refused("tap:?superframes").code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace pollux::ports
