// SPDX-License-Identifier: BSD-3-Clause
#include "device/decorator.hpp"

#include <utility>

namespace pollux {

DeviceDecorator::DeviceDecorator(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}
DeviceDecorator::~DeviceDecorator() = default;

const std::string& DeviceDecorator::name() const { return inner_->name(); }
PciIdentity DeviceDecorator::identity() const { return inner_->identity(); }
int DeviceDecorator::numa_node() const { return inner_->numa_node(); }

Result<std::uint32_t> DeviceDecorator::read_config(std::uint32_t offset, unsigned width) {
  return inner_->read_config(offset, width);
}

Result<void> DeviceDecorator::write_config(std::uint32_t offset, unsigned width, std::uint32_t value) {
  return inner_->write_config(offset, width, value);
}

Result<Bar> DeviceDecorator::bar(unsigned index) {
  auto bar = inner_->bar(index);
  if (!bar) return bar;
  if (windows_[index] == nullptr) windows_[index] = std::make_unique<Window>(*this, index, *bar);
  return Bar(static_cast<RemoteRegisters&>(*windows_[index]), bar->size());
}

Result<void> DeviceDecorator::set_bus_master(bool enabled) { return inner_->set_bus_master(enabled); }
Result<void> DeviceDecorator::reset() { return inner_->reset(); }
DmaDomain& DeviceDecorator::dma_domain() { return inner_->dma_domain(); }
unsigned DeviceDecorator::interrupt_vectors() const { return inner_->interrupt_vectors(); }

Result<std::span<const int>> DeviceDecorator::enable_interrupts(unsigned count) {
  return inner_->enable_interrupts(count);
}

int DeviceDecorator::error_event() const { return inner_->error_event(); }
unsigned DeviceDecorator::max_functions() { return inner_->max_functions(); }

unsigned DeviceDecorator::functions() { return inner_->functions(); }

Result<void> DeviceDecorator::set_functions(unsigned count) { return inner_->set_functions(count); }

int DeviceDecorator::removal_event() const { return inner_->removal_event(); }
bool DeviceDecorator::removed() const { return inner_->removed(); }
Device::Wakeup DeviceDecorator::next_wakeup() const { return inner_->next_wakeup(); }

std::uint32_t DeviceDecorator::read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept {
  return windows_[bar]->inner.read(offset, width);
}

void DeviceDecorator::write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  windows_[bar]->inner.write(offset, width, value);
}

void DeviceDecorator::flush_registers(unsigned bar) noexcept { windows_[bar]->inner.flush(); }

std::uint32_t DeviceDecorator::Window::read32(std::uint32_t offset) noexcept {
  return owner_.read_register(index_, offset, 4);
}

void DeviceDecorator::Window::write32(std::uint32_t offset, std::uint32_t value) noexcept {
  owner_.write_register(index_, offset, 4, value);
}

std::uint32_t DeviceDecorator::Window::read_narrow(std::uint32_t offset, unsigned width) noexcept {
  return part_of_word(owner_.read_register(index_, offset, width), 0, width);
}

void DeviceDecorator::Window::write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  owner_.write_register(index_, offset, width, value);
}

void DeviceDecorator::Window::flush() noexcept { owner_.flush_registers(index_); }

}  // namespace pollux
