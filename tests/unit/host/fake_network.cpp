// SPDX-License-Identifier: BSD-3-Clause
#include "fake_network.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace pollux::host::test {

NetworkState host_with_port(const std::string& parent, const std::string& interface) {
  NetworkNamespace own;
  own.id = 1;
  own.name = "this network namespace";
  own.links = {{.index = 1, .name = "lo"}, {.index = 2, .name = interface, .parent_device = parent}};
  return {{own}, {}};
}

IpPrefix prefix(const std::string& text) {
  const auto slash = text.find('/');
  IpPrefix made;
  made.v6 = text.find(':') != std::string::npos;
  const std::string address = text.substr(0, slash);
  EXPECT_EQ(::inet_pton(made.v6 ? AF_INET6 : AF_INET, address.c_str(), made.bytes.data()), 1) << text;
  made.length = static_cast<std::uint8_t>(std::stoi(text.substr(slash + 1)));
  return made;
}

}  // namespace pollux::host::test
