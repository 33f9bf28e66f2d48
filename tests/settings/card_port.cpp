// SPDX-License-Identifier: BSD-3-Clause
#include "settings/card_port.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "pollux/mem/burst.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/open.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test::settings {
namespace {

using namespace std::chrono_literals;

// Offsets and bits as in the datasheet.
constexpr std::uint32_t kMdic = 0x0020, kRxpbs = 0x2404, kTxpbs = 0x3404, kModeration = 0x1680, kGcr = 0x5B00;
constexpr std::uint32_t kWuc = 0x5800, kWufc = 0x5808, kManc = 0x5820;
constexpr unsigned kVectors = 25;
constexpr std::uint32_t kMdicPhy1 = 1U << 21, kMdicWrite = 1U << 26, kMdicReady = 1U << 28;

}  // namespace

void CardPort::open(Context& context) {
  auto opened = open_unconfigured(context, device());
  if (!opened) throw std::runtime_error(opened.error().message());
  port_ = *std::move(opened);
}

std::unique_ptr<Device> CardPort::device() {
  auto device = open_device();
  auto bar = device->bar(0);
  if (!bar) throw std::runtime_error(bar.error().message());
  bar_ = *bar;
  return device;
}

void CardPort::write_phy(unsigned number, std::uint16_t value) {
  bar_.write32(kMdic, value | number << 16 | kMdicPhy1 | kMdicWrite);
  for (int i = 0; i < 10 && (bar_.read32(kMdic) & kMdicReady) == 0; ++i) wait(20us);
}

// GCR and MANC belong to no setting, so they always get the same values: a timeout that is repeated, and a filter of
// the firmware's. The sizes of the packet buffers are those that the card had when the port first changed them, so they
// are only poisoned after that.
void CardPort::poison(bool with_phy) {
  for (unsigned vector = 0; vector < kVectors; ++vector)
    bar_.write32(kModeration + 4 * vector, random_.below(0x2000) << 2);
  bar_.write32(kGcr, bar_.read32(kGcr) | 1U << 16);
  bar_.write32(kManc, 1U << 13);
  bar_.write32(kWuc, 0xB);
  bar_.write32(kWufc, random_.below(0x20));
  if (sized_buffers_) {
    bar_.write32(kRxpbs, 20 + random_.below(40));
    bar_.write32(kTxpbs, 10 + random_.below(20));
  }
  if (!with_phy) return;
  // Forced to 10 Mb/s; other advertised modes; roles; pairs; low-power link-up.
  constexpr std::uint16_t kNumbers[]{0, 4, 9, 18, 25};
  for (const std::uint16_t number : kNumbers) write_phy(number, number == 0 ? 0 : random_.below<std::uint16_t>(0x8000));
}

Result<void> CardPort::start() {
  if (state() != PortState::configured) return {};
  poison(true);
  auto started = port().start();
  if (started) sized_buffers_ = sized_buffers_ || asked.config->packet_buffers != PacketBuffers{};
  return started;
}

Result<void> CardPort::stop() {
  if (state() != PortState::started) return {};
  stopped_rx.clear();
  stopped_tx.clear();
  return port().stop();
}

// What a card in D3hot gets is lost, and the port resets it several times on the way, so nothing can be poisoned.
Result<void> CardPort::suspend_and_resume() {
  if (auto suspended = port().suspend(); !suspended) return suspended;
  wait(10ms);
  return port().resume();
}

Result<void> CardPort::detach_and_attach() {
  if (auto detached = port().detach(); !detached) return detached;
  auto next = device();
  poison(false);
  return port().attach(std::move(next));
}

Result<void> CardPort::hang_and_recover() {
  if (state() != PortState::started || stopped_tx.contains(0) || !port().link().up) return {};
  if (!hang(static_cast<unsigned>(asked.functions.size()))) return {};
  MempoolCache cache(pools_.frames);
  MbufPtr mbuf = cache.allocate();
  std::memset(mbuf->append(60), 0xFF, 60);
  Burst<1> burst;
  static_cast<void>(burst.push(mbuf));
  if (port().tx(0).tx_burst(burst) != 1) return fail(ErrorCode::busy, "the transmit queue is full");
  poison(false);
  const auto resets = [this] {
    for (const Counter& counter : port().extended_stats()) {
      if (counter.name == "tx_timeouts") return counter.value;
    }
    return std::uint64_t{0};
  };
  const std::uint64_t resets_before = resets();
  for (int second = 0; second < 9 && resets() == resets_before; ++second) {
    wait(1s);
    if (auto served = port().service(); !served) return tl::unexpected<Error>(served.error());
  }
  if (resets() == resets_before) return fail(ErrorCode::timeout, "the service has not reset the port that hangs");
  return {};
}

Result<void> CardPort::wait_for_link() {
  static_cast<void>(port().wait_for_link(4s));
  for (int i = 0; i < 2; ++i) {
    if (auto served = port().service(); !served) return tl::unexpected<Error>(served.error());
    wait(100ms);
  }
  return {};
}

Result<void> CardPort::announce(unsigned function) {
  constexpr std::uint32_t kReset = 1;  // Linux igbvf, mbx.h
  announced.insert(function);
  const auto state = port().capability<VirtualFunctions>()->function(function);
  if (!state) return tl::unexpected<Error>(state.error());
  if (state->driver_up) return {};
  send(function, {kReset});
  auto served = port().service();
  return served ? Result<void>() : tl::unexpected<Error>(served.error());
}

Result<void> CardPort::request(unsigned function, const std::vector<std::uint32_t>& words) {
  if (auto is_up = announce(function); !is_up) return is_up;
  requesting_.insert(function);
  send(function, words);
  auto served = port().service();
  return served ? Result<void>() : tl::unexpected<Error>(served.error());
}

Result<void> CardPort::settle() {
  if (state() == PortState::opened) {
    asked.config = Settings{.rx = {{.pool = pools_.frames, .ring = 64}}, .tx = {{.ring = 64}}};
    if (auto configured = configure_port(port(), *asked.config); !configured) return configured;
  }
  if (auto started = start(); !started) return started;
  for (const std::uint16_t queue : stopped_rx) {
    if (auto started = port().start_queue(QueueId::rx(queue)); !started) return started;
  }
  for (const std::uint16_t queue : stopped_tx) {
    if (auto started = port().start_queue(QueueId::tx(queue)); !started) return started;
  }
  stopped_rx.clear();
  stopped_tx.clear();
  for (const unsigned number : std::exchange(requesting_, {})) {
    if (number >= asked.functions.size()) continue;
    if (auto reset = port().capability<VirtualFunctions>()->reset_function(number); !reset) return reset;
  }
  std::erase_if(announced, [this](unsigned number) { return number >= asked.functions.size(); });
  for (const unsigned number : std::set(announced)) {
    if (auto is_up = announce(number); !is_up) return is_up;
  }
  return wait_for_link();
}

Image CardPort::image() {
  Image image = image_of(port().capability<RegisterDump>()->registers());
  append_hidden(image);
  // The queues of a function are its driver's; a reset of the function and a start leave different defaults.
  for (unsigned number = 0; number < asked.functions.size(); ++number) {
    for (const unsigned queue : {number, number + 8}) {
      image.registers.erase(fmt::format("RXDCTL[{}]", queue));
      image.registers.erase(fmt::format("TXDCTL[{}]", queue));
    }
  }
  // Control, what is advertised, 1000BASE-T control, and registers of this kind of PHY. The others are states, and a
  // PHY that does not negotiate (bit 12 of control) advertises nothing, one that is powered down (bit 11) uses none.
  constexpr std::uint8_t kNumbers[]{0, 4, 9, 16, 18, 25};
  std::uint32_t control = 0;
  for (const std::uint8_t number : kNumbers) {
    const bool is_mode = number == 4 || number == 9;
    if ((control & 0x0800) != 0 || (is_mode && (control & 0x1000) == 0)) continue;
    const auto value = port().capability<PhyRegisters>()->read_phy_register({.number = number});
    if (number == 0) control = value ? *value : 0;
    // A PHY gets the mode of the link when it is powered up; until then it has that of before.
    const std::uint32_t counts = (control & 0x0800) != 0 ? 0x0800 : 0xFFFFFFFF;
    image.registers["PHY register " + std::to_string(number)] = {.value = (value ? *value : 0xFFFFFFFF) & counts};
  }
  // What the MAC is forced to (FD, SPEED, FRCSPD, FRCDPX) follows the PHY when that is powered up.
  if ((control & 0x0800) != 0) image.registers["CTRL"].value &= ~0x1B01U;
  return image;
}

}  // namespace pollux::test::settings
