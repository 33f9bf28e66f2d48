// SPDX-License-Identifier: BSD-3-Clause
#include "settings/sim_port.hpp"

#include <stdexcept>
#include <utility>

#include "backends/sim/device.hpp"

namespace pollux::test::settings {
namespace {

namespace reg = hw::igb;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

template <class R>
void append(Image& image, models::igb::Card& card, const std::string& name) {
  for (std::uint32_t i = 0; i < R::kCount; ++i)
    image.registers[name + "[" + std::to_string(i) + "]"] = {.value = card.registers().get<R>(i).raw()};
}

}  // namespace

SimLab::SimLab()
    : context({.clock = clock,
               .log = [this](LogLevel, std::string_view line) { log.emplace_back(line); },
               .huge_pages = HugePages::never,
               .arena_size = std::size_t{1} << 30}),
      pools{must(Mempool::create(context, {.count = 8192, .name = "frames"})),
            must(Mempool::create(context, {.count = 8192, .data_room = 256, .name = "headers"}))} {}

SimPort::SimPort(SimLab& lab, std::uint64_t seed)
    : CardPort(lab.pools, seed),
      lab_(lab),
      wire_(sim::Wire::create(
          *lab.clock, std::make_unique<models::igb::Card>(models::igb::CardOptions{.used_before = true}),
          [this](std::span<const std::byte> frame) { sent_.emplace_back(frame.begin(), frame.end()); })) {
  open(lab.context);
}

std::unique_ptr<Device> SimPort::open_device() {
  return must(sim::SimDevice::create(lab_.context, "sim:settings", wire_, 0));
}

bool SimPort::hang(unsigned queue) {
  with_card([queue](models::igb::Card& card) {
    card.transmitter().queue(queue).hang();
    return 0;
  });
  return true;
}

void SimPort::send(unsigned function, const std::vector<std::uint32_t>& words) {
  namespace vf = hw::igbvf;
  with_card([&](models::igb::Card& card) {
    const auto write = [&](std::uint32_t offset, std::uint32_t value) {
      card.function(function)->write32(vf::kRegisterBar, offset, value);
    };
    write(vf::V2PMAILBOX::offset(), vf::V2PMAILBOX::Value(vf::V2PMAILBOX::VFU).raw());
    for (std::uint32_t i = 0; i < words.size(); ++i) write(vf::VMBMEM::offset(i), words[i]);
    write(vf::V2PMAILBOX::offset(), vf::V2PMAILBOX::Value(vf::V2PMAILBOX::REQ).raw());
    return 0;
  });
}

void SimPort::append_hidden(Image& image) {
  with_card([&image](models::igb::Card& card) {
    append<reg::UTA>(image, card, "UTA");
    const bool has_link = reg::STATUS::Value(image.registers["STATUS"].value).has(reg::STATUS::LU);
    bool limited = false;
    for (std::uint32_t queue = 0; has_link && queue < reg::kTxQueues; ++queue) {  // a rate follows from the link's
      const auto rate = card.transmitter().rate(queue);
      image.registers["RTTBCNRC of queue " + std::to_string(queue)] = {.value = rate.raw()};
      limited = limited || rate.has(reg::RTTBCNRC::RS_ENA);
    }
    if (limited) append<reg::RTTBCNRM>(image, card, "RTTBCNRM");
    return 0;
  });
}

Image SimPort::image_asleep() {
  Image image;
  with_card([&image](models::igb::Card& card) {
    append<reg::WUC>(image, card, "WUC");
    if (card.registers().get<reg::WUC>().has(reg::WUC::PME_EN)) append<reg::WUFC>(image, card, "WUFC");
    append<reg::RCTL>(image, card, "RCTL");
    append<reg::RAL>(image, card, "RAL");
    append<reg::RAH>(image, card, "RAH");
    append<reg::CTRL>(image, card, "CTRL");
    append<reg::CTRL_EXT>(image, card, "CTRL_EXT");
    return 0;
  });
  return image;
}

}  // namespace pollux::test::settings
