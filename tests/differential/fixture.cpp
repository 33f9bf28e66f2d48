// SPDX-License-Identifier: BSD-3-Clause
#include "differential/fixture.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "backends/qtest/device.hpp"
#include "backends/sim/open_sim.hpp"
#include "hw/intel/igb/phy.hpp"
#include "models/intel/igb/card.hpp"

namespace pollux::differential {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kVectors = 10;  // all that QEMU's card has
constexpr milliseconds kSettleTime{3};
constexpr milliseconds kLinkLimit{60000};

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());  // GoogleTest prints it as the test's failure
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

std::unique_ptr<Device> open_device(Context& context, std::string_view scheme, unsigned which) {
  if (scheme == "qtest") return must(qtest::open_qtest(context, std::to_string(which)));
  return must(sim::open_sim(context, std::to_string(which), models::igb::make_card));
}

}  // namespace

std::unique_ptr<Fixture> Fixture::of_model() {
  return std::unique_ptr<Fixture>(new Fixture("the model", "sim", std::make_shared<ManualClock>()));
}

std::unique_ptr<Fixture> Fixture::of_qemu() {
  return std::unique_ptr<Fixture>(new Fixture("QEMU", "qtest", std::make_shared<SteadyClock>()));
}

Fixture::Fixture(std::string_view name, std::string_view scheme, std::shared_ptr<Clock> clock)
    : name_(name),
      clock_(std::move(clock)),
      context_({.clock = clock_, .huge_pages = HugePages::never}),
      memory_(must(context_.allocate({.size = kMemory, .purpose = "differential test"}))) {
  for (unsigned which = 0; which < kCards; ++which) {
    cards_[which] = open_device(context_, scheme, which);
    bars_[which] = must(cards_[which]->bar(reg::kRegisterBar));
  }
}

// QEMU completes a requested action before it answers the read. The model completes it in virtual time, so the clock
// is advanced.
void Fixture::settle() {
  for (const Bar& bar : bars_) static_cast<void>(bar.read32(reg::STATUS::offset()));
  if (auto* const manual = dynamic_cast<ManualClock*>(clock_.get())) manual->advance(kSettleTime);
}

void Fixture::reset() {
  for (unsigned which = 0; which < kCards; ++which) {
    must(cards_[which]->reset());
    must(cards_[which]->set_bus_master(true));
    events_[which] = must(cards_[which]->enable_interrupts(kVectors));
  }
  settle();
}

void Fixture::write_phy(unsigned which, std::uint32_t number, std::uint32_t value) {
  const reg::Registers regs = registers(which);
  regs.write<reg::MDIC>(reg::MDIC::DATA(value) | reg::MDIC::REGADD(number) | reg::MDIC::PHYADD(reg::phy::kAddress) |
                        reg::MDIC::WRITE);
  must(wait_until(*clock_, "MDIC.READY", milliseconds(100),
                  [&] { return regs.read<reg::MDIC>().has(reg::MDIC::READY); }));
}

void Fixture::raise_link() {
  for (unsigned which = 0; which < kCards; ++which) {
    const reg::Registers regs = registers(which);
    regs.write<reg::CTRL>(reg::CTRL::SLU | reg::CTRL::FD);
    // The in-process card's PHY starts with the registers of an earlier owner [I-M-DIRTY].
    write_phy(which, reg::phy::kPageSelect, 0);
    write_phy(which, reg::phy::kPowerManagement, 0);
    write_phy(which, reg::phy::kPortControl, reg::phy::kPortControlAutoMdix);
    write_phy(which, reg::phy::kGigabitControl, reg::phy::kGigabitFull);
    write_phy(which, 0, 0x1200);  // autonegotiation enabled and restarted
  }
  for (unsigned which = 0; which < kCards; ++which) {
    const reg::Registers regs = registers(which);
    must(wait_until(
        *clock_, fmt::format("{}: the link of card {}", name_, which), kLinkLimit,
        [&] { return regs.read<reg::STATUS>().has(reg::STATUS::LU); }, milliseconds(5)));
  }
  settle();
}

}  // namespace pollux::differential
