// SPDX-License-Identifier: BSD-3-Clause
#include "silicon_probe/trace_file.hpp"

#include <fmt/format.h>

#include <utility>

#include "drivers/intel/igb/driver.hpp"

namespace pollux::silicon {
namespace {

std::string text_of(const TraceEntry& entry) {
  using Kind = TraceEntry::Kind;
  const auto where = [&] {
    return fmt::format("{} ({:#06x}, {} bits)", drivers::igb::card_layout().name(entry.offset), entry.offset,
                       entry.width * 8);
  };
  switch (entry.kind) {
    case Kind::read: return fmt::format("read   {} = {:#x}", where(), entry.value);
    case Kind::write: return fmt::format("write  {} = {:#x}", where(), entry.value);
    case Kind::config_read: return fmt::format("config read   {:#05x} = {:#x}", entry.offset, entry.value);
    case Kind::config_write: return fmt::format("config write  {:#05x} = {:#x}", entry.offset, entry.value);
    case Kind::bus_master: return fmt::format("bus mastering {}", entry.value != 0 ? "on" : "off");
    case Kind::reset: return "reset of the function";
    case Kind::interrupts: return fmt::format("{} interrupt vectors", entry.value);
  }
  return "?";
}

}  // namespace

TraceFile::TraceFile(const std::filesystem::path& file) {
  if (!file.empty()) out_.open(file);
}

TraceFile::~TraceFile() {
  write_last();
  if (lines_ > kMaxLines) out_ << fmt::format("... and {} lines more\n", lines_ - kMaxLines);
}

std::unique_ptr<Device> TraceFile::wrap(std::unique_ptr<Device> device, std::string name) {
  if (!out_.is_open()) return device;
  return trace_device(std::move(device), [this, name = std::move(name)](const TraceEntry& entry) { add(name, entry); });
}

void TraceFile::add(const std::string& name, const TraceEntry& entry) {
  std::string line = fmt::format("{:<8}{}{}", name, text_of(entry), entry.worked ? "" : "  (failed)");
  if (line != last_) {
    write_last();
    last_ = std::move(line);
  }
  ++times_;
}

void TraceFile::write_last() {
  if (times_ == 0) return;
  if (++lines_ <= kMaxLines) out_ << last_ << (times_ > 1 ? fmt::format("  {} times", times_) : "") << '\n';
  times_ = 0;
}

}  // namespace pollux::silicon
