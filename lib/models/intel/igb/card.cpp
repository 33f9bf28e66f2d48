// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/card.hpp"

#include <algorithm>
#include <utility>

namespace pollux::models::igb {
namespace {

const hw::CardTraits& traits_of(const CardOptions& options) {
  if (options.traits != nullptr) return *options.traits;
  const hw::CardTraits* const row = hw::find_card({.vendor = hw::kVendorId, .device = options.device_id});
  return row != nullptr ? *row : hw::kCards[0];
}

}  // namespace

Card::Card(CardOptions options)
    : options_(std::move(options)),
      traits_(traits_of(options_)),
      interrupts_(registers_, timers_, traits_, options_.vectors.value_or(traits_.msix_vectors)),
      mailboxes_(registers_, interrupts_),
      statistics_(registers_),
      semaphores_(registers_, timers_, options_.package ? options_.package : std::make_shared<Package>(),
                  options_.lan_id),
      nvm_(registers_, timers_, traits_.nvm, [this] { return semaphores_.begin_nvm_read(); }),
      phy_(registers_, timers_, traits_.phy,
           {.link_changed =
                [this] {
                  wake_.link_is(phy_.link_up());
                  control_.update_link();
                },
            .configuration_changed = [this] { update_configured(); },
            .accessed = [this] { semaphores_.access_phy(); }}),
      general_timers_(registers_, timers_, interrupts_),
      receive_(registers_, timers_, dma_, interrupts_, statistics_, time_, traits_.exact_addresses),
      transmit_(registers_, timers_, dma_, interrupts_, statistics_, time_, receive_.pools()),
      control_(registers_, timers_, dma_, phy_, interrupts_, options_.lan_id,
               {.reset = [this] { begin_reset(false); },
                .link_changed = [this] { link_changed(); },
                .reset_announced = [this] { mailboxes_.finish_reset(); }}),
      flow_(registers_, timers_, statistics_,
            {.pause =
                 [this](bool paused) {
                   control_.set_paused(paused);
                   transmit_.hold(Transmit::Hold::pause, paused);
                 },
             .send =
                 [this](std::span<const std::byte> frame) {
                   if (wire_) wire_(frame);
                 }}),
      reset_done_(timers_.add([this] { finish_reset(); })),
      load_done_(timers_.add([this] { finish_load(); })) {
  nvm_.program(flip_for_port(options_.mac), options_.device_id, options_.lan_id);
  transmit_.on_frame([this](std::span<const std::byte> frame) { transmitted(frame); });
  transmit_.on_corrupt_frame([this](std::span<const std::byte> frame) { transmitted_corrupt(frame); });
  transmit_.on_switch(
      [this](std::span<const std::byte> frame, std::uint32_t pool) { return receive_.frame_of_pool(frame, pool); });
  transmit_.on_software_pause([this] { flow_.send_for_software(); });
  receive_.on_level([this](std::size_t bytes) { flow_.set_level(bytes); });
  for (unsigned number = 0; number < traits_.functions; ++number) {
    functions_.push_back(make_function(*this, number));
  }
  interrupts_.on_function_message([this](unsigned number, unsigned vector) { functions_[number]->message(vector); });
  if (traits_.later_registers) {
    registers_.on_write<hw::PHPM>([this](std::uint32_t, std::uint32_t value) {
      registers_.set<hw::PHPM>(hw::PHPM::Value(value));
      phy_.apply_power();
    });
  }
  // [E-PLL] Its PLL is configured, unless a test says otherwise.
  if (traits_.phy.pll_may_fail) set_pll(0);
  registers_.on_write<hw::PVTCTRL>([this](std::uint32_t number, std::uint32_t value) {
    if (has_function(number) && hw::PVTCTRL::Value(value).has(hw::PVTCTRL::RST)) reset_function(number);
  });
  initialise(true);
  if (options_.used_before) registers_.set<hw::WUC>(hw::WUC::PME_EN);
  finish_load();  // the NVM was loaded at power-on
}

PciIdentity Card::identity() const {
  return {.vendor = hw::kVendorId,
          .device = options_.device_id,
          .subsystem_vendor = hw::kVendorId,
          .subsystem_device = options_.device_id,
          .revision = 1};
}

std::size_t Card::bar_size(unsigned index) const {
  if (index == hw::kRegisterBar) return hw::kRegisterBytes;
  return index == hw::kMsixBar ? MsixTable::kBarBytes : 0;
}

std::uint32_t Card::read32(unsigned bar, std::uint32_t offset) noexcept {
  if (removed_) return ~std::uint32_t{0};
  if (bar == hw::kRegisterBar) return registers_.read(offset);
  return bar == hw::kMsixBar ? interrupts_.read_table(offset) : ~std::uint32_t{0};
}

void Card::write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept {
  if (removed_) return;
  if (bar == hw::kMsixBar) return interrupts_.write_table(offset, value);
  if (bar != hw::kRegisterBar) return;
  // [I-M-RESETWRITES] Writes during a reset (CTRL.RST) are lost.
  if (in_reset_) return void(++writes_in_reset_);
  registers_.write(offset, value);
}

// [I-M-NARROW] A narrow read returns part of the 32-bit register (DeviceModel does this). A narrow write is ignored.
void Card::write_narrow(unsigned /*bar*/, std::uint32_t /*offset*/, unsigned /*width*/,
                        std::uint32_t /*value*/) noexcept {
  if (!removed_) ++narrow_writes_;
}

void Card::set_dma(ModelDma* dma) noexcept {
  dma_.connect(dma);
  if (dma != nullptr) receive_.drain();
}

void Card::reset() noexcept {
  enable_functions(0);
  // [E-PLL] The way back from D3, which is a reset, loads the word that makes the PLL start again.
  const auto word = registers_.get<hw::EEARBC_I210>();
  const bool again = (word.get(hw::EEARBC_I210::DATA) & hw::phy::kPllAgain) != 0;
  if (traits_.phy.pll_may_fail && again && word.get(hw::EEARBC_I210::ADDR) == hw::phy::kPllWord) set_pll(0);
  begin_reset(true);
}

bool Card::intercepted() const noexcept {
  return dma_.intercepted() ||
         std::any_of(function_dma_.begin(), function_dma_.end(), [](const Dma& dma) { return dma.intercepted(); });
}

// A function accesses memory under its own identity, through its own queues: QEMU, igb_core.c, igb_start_xmit.
void Card::enable_functions(unsigned count) noexcept {
  enabled_functions_ = std::min<unsigned>(count, traits_.functions);
  interrupts_.set_functions(enabled_functions_);
  control_.set_functions(enabled_functions_);
  for (std::uint32_t queue = 0; queue < hw::kRxQueues; ++queue) {
    const std::uint32_t number = hw::pool_of(queue);
    Dma& dma = number < enabled_functions_ ? function_dma_[number] : dma_;
    receive_.queue(queue).use(dma);
    transmit_.queue(queue).use(dma);
  }
}

void Card::set_function_dma(unsigned number, ModelDma* dma) noexcept {
  function_dma_[number].connect(dma);
  if (dma == nullptr) return;
  receive_.drain();
  transmit_.resume();
}

// [I-M-VFRESET] QEMU, igb_core.c, igb_vf_reset; the queues' and interrupts' registers: Linux igbvf, vf.c,
// e1000_reset_hw_vf.
void Card::reset_function(unsigned number) noexcept {
  for (const std::uint32_t queue : {number, number + hw::kPools}) {
    receive_.disable_queue(queue);
    transmit_.disable_queue(queue);
  }
  interrupts_.reset_function(number);
  registers_.set<hw::VFRE>(hw::VFRE::Value(registers_.get<hw::VFRE>().raw() & ~bit(number)));
  registers_.set<hw::VFTE>(hw::VFTE::Value(registers_.get<hw::VFTE>().raw() & ~bit(number)));
  mailboxes_.report_reset(number);
}

void Card::on_interrupt(std::function<void(unsigned vector)> handler) { interrupts_.on_message(std::move(handler)); }

void Card::receive(std::span<const std::byte> frame) noexcept {
  if (removed_) return;
  if (phy_.link_up()) wake_.frame(frame);
  const bool link_up = control_.link_up() && !in_reset_;
  if (link_up && FlowControl::concerns(frame) && flow_.take(frame)) return;
  receive_.frame(frame, link_up);
}

void Card::receive_corrupt(std::span<const std::byte> frame) noexcept {
  if (!removed_) receive_.corrupt_frame(frame, control_.link_up() && !in_reset_);
}

bool Card::can_receive() const noexcept { return !removed_ && !in_reset_ && control_.link_up() && receive_.has_room(); }

void Card::link_changed() {
  flow_.set_link(control_.link_up(), phy_.speed());
  transmit_.set_speed(phy_.speed());
  transmit_.collisions().set_half_duplex(!control_.full_duplex());
  transmit_.set_link(control_.link_up());
}

void Card::set_carrier(bool present) noexcept { phy_.set_carrier(present); }

void Card::set_removed(bool removed) {
  if (std::exchange(removed_, removed) == removed) return;
  if (removed) {
    phy_.power_on();
    begin_reset(true);
  }
  if (signal_changed_) signal_changed_(timers_.now());
}

void Card::share_package(DeviceModel& other) {
  const auto* const card = dynamic_cast<const Card*>(&other);
  if (card != nullptr && card->options_.lan_id != options_.lan_id) semaphores_.share(card->semaphores_);
}

LinkSignal Card::link_signal() const {
  LinkSignal signal = phy_.signal();
  signal.present = signal.present && !removed_;
  return signal;
}

void Card::on_link_signal(const SignalHandler& handler) {
  signal_changed_ = handler;
  phy_.on_signal(signal_changed_);
}

// [I-MAC] The ports of an 82576 share the NVM's address words, and the second port inverts the lowest bit of the
// address.
std::array<std::uint8_t, 6> Card::flip_for_port(std::array<std::uint8_t, 6> mac) const {
  if (traits_.later_registers) return mac;
  mac[5] = static_cast<std::uint8_t>(mac[5] ^ (options_.lan_id & 1));
  return mac;
}

bool Card::loops_back() const noexcept {
  return registers_.get<hw::RCTL>().has(hw::RCTL::LBM_MAC) || phy_.loops_back();
}

void Card::transmitted(std::span<const std::byte> frame) {
  if (loops_back()) return receive_.frame(frame, control_.link_up());
  if (wire_) wire_(frame);
}

void Card::transmitted_corrupt(std::span<const std::byte> frame) {
  if (loops_back()) return receive_corrupt(frame);
  if (corrupt_wire_) corrupt_wire_(frame);
}

// [I-M-RESET] A reset does not change the PHY, which keeps its link. The MAC's link goes down until CTRL.SLU is set.
void Card::initialise(bool function_level) {
  // A software reset (CTRL.RST) does not change these registers (QEMU, igb_core.c, igb_reset).
  const auto receive_buffer = registers_.get<hw::RXPBS>();
  const auto transmit_buffer = registers_.get<hw::TXPBS>();
  std::array<hw::EITR::Value, hw::EITR::kCount> moderation;
  for (std::uint32_t i = 0; i < moderation.size(); ++i) moderation[i] = registers_.get<hw::EITR>(i);
  // Only power-on clears the wake-up and management registers (82575 manual, 3.8). GCR keeps its value through a
  // software reset: Linux, e1000_82575.c, igb_reset_hw_82575, sets it up before CTRL.RST.
  const auto wake_up = registers_.get<hw::WUC>();
  const auto wake_up_filters = registers_.get<hw::WUFC>();
  const auto management = registers_.get<hw::MANC>();
  const auto express = registers_.get<hw::GCR>();
  const auto phy_power = registers_.get<hw::PHPM>();
  registers_.clear();
  registers_.set<hw::WUC>(wake_up);
  registers_.set<hw::WUFC>(wake_up_filters);
  registers_.set<hw::MANC>(management);
  const auto express_default = hw::GCR::Value(hw::GCR::COMPLETION_TIMEOUT_RESEND);
  registers_.set<hw::GCR>(!function_level                 ? express
                          : options_.express_version >= 2 ? express_default.with(hw::GCR::CAP_VER2)
                                                          : express_default);
  registers_.set<hw::RXPBS>(function_level ? initial_receive_buffer() : receive_buffer);
  registers_.set<hw::TXPBS>(function_level ? initial_transmit_buffer() : transmit_buffer);
  const auto left = options_.used_before ? hw::EITR::Value(hw::EITR::INTERVAL.mask()) : hw::EITR::Value();
  for (std::uint32_t i = 0; i < moderation.size(); ++i) {
    registers_.set<hw::EITR>(i, function_level ? left : moderation[i]);
  }
  if (traits_.later_registers) {
    set_later_defaults();
    if (!function_level) registers_.set<hw::PHPM>(phy_power);
  }
  control_.reset(function_level);
  interrupts_.reset(function_level);
  mailboxes_.reset();
  nvm_.reset();
  phy_.set_accessible(false);
  receive_.reset();
  transmit_.reset();
  time_.reset();
  general_timers_.reset();
  flow_.reset();
}

hw::RXPBS::Value Card::initial_receive_buffer() const {
  return hw::RXPBS::Value(traits_.buffers.adjustable ? traits_.receive_buffer / 1024 : traits_.buffers.receive);
}

hw::TXPBS::Value Card::initial_transmit_buffer() const {
  return hw::TXPBS::Value(traits_.buffers.adjustable ? traits_.transmit_buffer / 1024 : traits_.buffers.transmit);
}

/// No source that was read says what these hold: the PHY has no link before a driver asks for one, and the sensor
/// reports a usual temperature.
void Card::set_later_defaults() {
  constexpr std::uint32_t kDegrees = 45;
  constexpr std::uint32_t kWarning = 100;
  registers_.set<hw::PHPM>(hw::PHPM::SPD_EN | hw::PHPM::D3_LPLU | hw::PHPM::GO_LINKD);
  registers_.set<hw::MDICNFG>(hw::MDICNFG::PHYADD(traits_.phy.address));
  registers_.set<hw::IPCNFG>(hw::IPCNFG::EEE_100M_AN | hw::IPCNFG::EEE_1G_AN);
  registers_.set<hw::THMJT>(hw::THMJT::TEMPERATURE(kDegrees));
  registers_.set<hw::THHIGHTC>(hw::THHIGHTC::Value(kWarning));
}

void Card::begin_reset(bool function_level) {
  initialise(function_level);
  in_reset_ = true;
  control_.set_in_reset(true);
  timers_.cancel(load_done_);
  timers_.start(reset_done_, kResetTime);
}

void Card::finish_reset() {
  in_reset_ = false;
  control_.set_in_reset(false);
  timers_.start(load_done_, options_.load_time);
}

void Card::finish_load() {
  nvm_.set_loaded(true);
  receive_.set_mac(flip_for_port(nvm_.mac()));
  phy_.set_accessible(true);
  update_configured();
}

void Card::update_configured() {
  constexpr auto kDone =
      hw::EEMNGCTL::CFG_DONE_0 | hw::EEMNGCTL::CFG_DONE_1 | hw::EEMNGCTL::CFG_DONE_2 | hw::EEMNGCTL::CFG_DONE_3;
  const auto now = registers_.get<hw::EEMNGCTL>();
  const bool done = nvm_.loaded() && phy_.configured() && traits_.nvm.storage != hw::nvm::Storage::one_time;
  registers_.set<hw::EEMNGCTL>(done ? now.with(kDone) : now.without(kDone));
}

namespace {

template <std::uint16_t kId>
std::unique_ptr<DeviceModel> make(unsigned number) {
  CardOptions options;
  options.mac[5] = static_cast<std::uint8_t>(0x60 + number);
  options.device_id = kId;
  // An I210 and an I211 have one port.
  if (traits_of(options).functions != 0) options.lan_id = number % 2;
  return std::make_unique<Card>(options);
}

}  // namespace

std::unique_ptr<DeviceModel> make_card(unsigned number) { return make<0x10C9>(number); }

std::span<const NamedCard> named_cards() noexcept {
  static constexpr std::array kNamed{NamedCard{"i350", make<0x1521>}, NamedCard{"i210", make<0x1533>},
                                     NamedCard{"i210-flashless", make<0x157B>}, NamedCard{"i211", make<0x1539>}};
  return kNamed;
}

}  // namespace pollux::models::igb
