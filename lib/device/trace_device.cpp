// SPDX-License-Identifier: BSD-3-Clause
#include <utility>

#include "device/decorator.hpp"
#include "pollux/device/trace.hpp"

namespace pollux {
namespace {

class TraceDevice final : public DeviceDecorator {
 public:
  TraceDevice(std::unique_ptr<Device> inner, TraceSink sink)
      : DeviceDecorator(std::move(inner)), sink_(std::move(sink)) {}

  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    auto value = DeviceDecorator::read_config(offset, width);
    sink_({.kind = TraceEntry::Kind::config_read,
           .offset = offset,
           .width = width,
           .value = value.value_or(0),
           .worked = value.has_value()});
    return value;
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    auto written = DeviceDecorator::write_config(offset, width, value);
    sink_({.kind = TraceEntry::Kind::config_write,
           .offset = offset,
           .width = width,
           .value = value,
           .worked = written.has_value()});
    return written;
  }
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override {
    auto set = DeviceDecorator::set_bus_master(enabled);
    sink_({.kind = TraceEntry::Kind::bus_master, .value = enabled, .worked = set.has_value()});
    return set;
  }
  [[nodiscard]] Result<void> reset() override {
    auto done = DeviceDecorator::reset();
    sink_({.kind = TraceEntry::Kind::reset, .worked = done.has_value()});
    return done;
  }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override {
    auto enabled = DeviceDecorator::enable_interrupts(count);
    sink_({.kind = TraceEntry::Kind::interrupts, .value = count, .worked = enabled.has_value()});
    return enabled;
  }

 private:
  [[nodiscard]] std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept override {
    const std::uint32_t value = DeviceDecorator::read_register(bar, offset, width);
    sink_({.kind = TraceEntry::Kind::read, .bar = bar, .offset = offset, .width = width, .value = value});
    return value;
  }
  void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    DeviceDecorator::write_register(bar, offset, width, value);
    sink_({.kind = TraceEntry::Kind::write, .bar = bar, .offset = offset, .width = width, .value = value});
  }

  TraceSink sink_;
};

}  // namespace

std::unique_ptr<Device> trace_device(std::unique_ptr<Device> inner, TraceSink sink) {
  return std::make_unique<TraceDevice>(std::move(inner), std::move(sink));
}

}  // namespace pollux
