// SPDX-License-Identifier: BSD-3-Clause
// The drivers, the backend and the software ports of the core.
#include "drivers/intel/e1000e/driver.hpp"
#include "drivers/intel/igb/driver.hpp"
#include "drivers/intel/igbvf/driver.hpp"
#include "drivers/virtio/net/driver.hpp"
#include "drivers/vmware/vmxnet3/driver.hpp"
#include "open/registry.hpp"
#include "ports/null/open_null.hpp"
#include "ports/ring/open_ring.hpp"
#include "ports/tap/open_tap.hpp"
#include "ports/xdp/open_xdp.hpp"

namespace pollux {

void register_core(Registry& registry) {
  for (CardDriver (*const driver)() : {drivers::virtio::driver, drivers::vmxnet3::driver, drivers::e1000e::driver,
                                       drivers::igbvf::driver, drivers::igb::driver}) {
    static_cast<void>(registry.add(driver()));  // each has a name, cards and a probe
  }
  registry.add_scheme(
      {"vfio", "vfio:0000:01:00.0 (or only 0000:01:00.0), a card bound to vfio-pci", Scheme::OpenDevice{open_card}});
  registry.add_scheme(
      {"ring", "ring:a:0 and ring:a:1 (or ring:a, connected to itself), a ring in memory", ring::open_ring});
  registry.add_scheme({"tap", "tap:NAME or tap:NAME?superframes, a TAP interface of the kernel", tap::open_tap});
  registry.add_scheme(
      {"xdp", "xdp:NAME?rule=all or xdp:NAME?rule=udp:53, an interface of the kernel, by AF_XDP", xdp::open_xdp});
  registry.add_scheme({"null", "null: or null:?rx=64, a port that discards frames and generates them", null::open_null,
                       Scheme::Argument::optional});
}

}  // namespace pollux
