// SPDX-License-Identifier: BSD-3-Clause
#include "device/record_text.hpp"

#include <fmt/format.h>

namespace pollux {
namespace {

std::string describe_register(const RecordEvent& event, const CardLayout& layout) {
  const std::string part = event.width == 4 ? "" : fmt::format("{} bits of ", 8 * event.width);
  if (event.bar != layout.bar) return fmt::format("{}{:#x} in BAR {}", part, event.offset, event.bar);
  return fmt::format("{}{} ({:#x})", part, layout.name(event.offset), event.offset);
}

}  // namespace

std::string describe(const RecordEvent& event, const CardLayout& layout) {
  switch (event.kind) {
    case RecordEvent::Kind::read: return "a read of " + describe_register(event, layout);
    case RecordEvent::Kind::write:
      return fmt::format("a write of {:#x} to {}", event.value, describe_register(event, layout));
    case RecordEvent::Kind::config_read: return fmt::format("a read of configuration space at {:#x}", event.offset);
    case RecordEvent::Kind::config_write:
      return fmt::format("a write of {:#x} to configuration space at {:#x}", event.value, event.offset);
    case RecordEvent::Kind::bus_master:
      return event.bar != 0 ? "a call that enables bus mastering" : "a call that disables bus mastering";
    case RecordEvent::Kind::reset: return "a reset of the function";
    case RecordEvent::Kind::interrupts_on: return fmt::format("a call that enables {} interrupt vectors", event.queue);
    case RecordEvent::Kind::end: return "no further event: its card counts as removed from here on";
    default: return "an event of the card";
  }
}

}  // namespace pollux
