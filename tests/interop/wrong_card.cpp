// SPDX-License-Identifier: BSD-3-Clause
// Exports two in-process cards of the I350's generation that are wrong in one way, for a test that third-party drivers
// notice it. "wrong_card WAY CAPTURE SOCKET SOCKET" prints "SOCKET: card ..." for each; "wrong_card" prints the ways.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/intel/igb/card.hpp"
#include "pollux/laboratory.hpp"
#include "pollux/open.hpp"
#include "pollux/pollux.hpp"
#include "servers/vfio_user/client_memory.hpp"
#include "servers/vfio_user/server.hpp"

namespace {

using namespace pollux;
using models::igb::Card;
namespace hw = pollux::hw::igb;

constexpr std::uint16_t kI350 = 0x1521;
constexpr std::uint16_t kI210 = 0x1533;

/// Reads give nothing.
template <class R>
void read_as_zero(Card& card) {
  card.registers().on_read<R>([](std::uint32_t) { return std::uint32_t{0}; });
}
/// Writes change nothing.
template <class R>
void ignore_writes(Card& card) {
  card.registers().on_write<R>([](std::uint32_t, std::uint32_t) {});
}
/// Some of the bits are kept.
template <class R>
void keep(Card& card, std::uint32_t bits) {
  card.registers().on_write<R>([&card, bits](std::uint32_t index, std::uint32_t value) {
    card.registers().set<R>(index, typename R::Value(value & bits));
  });
}

struct Way {
  std::string_view name;
  std::uint16_t id;
  void (*traits)(hw::CardTraits& traits);
  void (*card)(Card& card);
};

const std::array kWays{
    Way{"phy-id", kI350, [](hw::CardTraits& traits) { traits.phy.id = 0x12340000; }, nullptr},
    Way{"mdic", kI350, nullptr, [](Card& card) { ignore_writes<hw::MDIC>(card); }},
    Way{"section-checksum", kI350, nullptr, [](Card& card) { card.nvm().words()[0x85] ^= 1U; }},
    Way{"ring-length", kI210, nullptr, [](Card& card) { keep<hw::RDLEN>(card, 0x000FF000); }},
    Way{"addresses", kI210, [](hw::CardTraits& traits) { traits.exact_addresses = 8; }, nullptr},
    Way{"queue-registers", kI210, [](hw::CardTraits& traits) { traits.queue_registers = 2; }, nullptr},
    Way{"causes", kI210, nullptr, [](Card& card) { ignore_writes<hw::ICS>(card); }},
    Way{"vlan-writes", kI350, [](hw::CardTraits& traits) { traits.errata.vlan_table_writes = 11; }, nullptr},
    Way{"redirection", kI210, nullptr, [](Card& card) { ignore_writes<hw::RETA>(card); }},
    Way{"octets", kI350, nullptr, [](Card& card) { read_as_zero<hw::GORCL>(card); }},
    Way{"ether-type", kI210, nullptr, [](Card& card) { keep<hw::ETQF>(card, ~hw::ETQF::QUEUE_ENABLE.bits()); }},
    Way{"stamp-cause", kI210, nullptr, [](Card& card) { read_as_zero<hw::TSICR>(card); }},
    Way{"negotiated-eee", kI350, nullptr, [](Card& card) { read_as_zero<hw::EEER>(card); }},
    Way{"temperature", kI350, nullptr, [](Card& card) { read_as_zero<hw::THMJT>(card); }},
};

std::unique_ptr<DeviceModel> make(const Way& way, unsigned number) {
  static hw::CardTraits traits;  // it outlives the cards, which are alike
  traits = *hw::find_card({.vendor = hw::kVendorId, .device = way.id});
  if (way.traits != nullptr) way.traits(traits);
  models::igb::CardOptions options{.device_id = way.id, .lan_id = traits.functions != 0 ? number % 2 : 0};
  options.mac[5] = static_cast<std::uint8_t>(options.mac[5] + number);
  options.traits = &traits;
  auto card = std::make_unique<Card>(options);
  if (way.card != nullptr) way.card(*card);
  return card;
}

volatile std::sig_atomic_t stopped = 0;

Result<void> serve(const Way& way, const std::string& capture, const std::array<std::string, 2>& sockets) {
  Context context;
  auto added =
      add_card_model(context, {.name = "wrong", .make = [&way](unsigned number) { return make(way, number); }});
  if (!added) return added;
  std::vector<std::unique_ptr<vfio_user::Server>> servers;
  for (std::size_t index = 0; index < sockets.size(); ++index) {
    auto device = open_device(context, fmt::format("sim:{}?card=wrong,capture={}", index, capture));
    if (!device) return tl::unexpected<Error>(device.error());
    auto server = vfio_user::Server::create(context, *std::move(device), sockets[index]);
    if (!server) return tl::unexpected<Error>(server.error());
    servers.push_back(*std::move(server));
    fmt::print("{}: card that is wrong in '{}'\n", sockets[index], way.name);
  }
  std::fflush(stdout);
  const vfio_user::BusErrorGuard guard;
  return vfio_user::serve(context.clock(), servers, [] { return stopped != 0; });
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) {
    for (const Way& way : kWays) fmt::print("{}\n", way.name);
    return 0;
  }
  const auto way = std::find_if(kWays.begin(), kWays.end(), [&](const Way& one) { return one.name == words[1]; });
  if (way == kWays.end()) {
    fmt::print(stderr, "wrong_card: no way '{}'\n", words[1]);
    return 2;
  }
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stopped = 1; });
  const auto served = serve(*way, words[2], {words[3], words[4]});
  if (served) return 0;
  fmt::print(stderr, "wrong_card: {}\n", served.error().message());
  return 1;
}
