// SPDX-License-Identifier: BSD-3-Clause
#include "golden/golden.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "open/registry.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"
#include "support/card_layout.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using Kind = TraceEntry::Kind;

const CardLayout& layout() {
  static const CardLayout* const found = find_card_layout({.vendor = 0x8086, .device = 0x10C9});
  return *found;
}

bool is_counter(const TraceEntry& entry) {
  return entry.kind == Kind::read && entry.bar == hw::igb::kRegisterBar && layout().is_counter(entry.offset);
}

std::string masked(const TraceEntry& entry, const std::string& name) {
  constexpr std::array<std::string_view, 4> kBases{"RDBAL[", "RDBAH[", "TDBAL[", "TDBAH["};
  if (std::any_of(kBases.begin(), kBases.end(), [&](std::string_view base) { return name.starts_with(base); }))
    return "(ring)";
  const bool own_address = name == "RAL[0]" || name == "RAH[0]";
  if (own_address && entry.value != 0) return "(address)";
  // NVM words 0 to 2 have the card's MAC address. Word 0x3F has the checksum, which depends on the address.
  const std::uint32_t nvm_word = entry.value >> 2 & 0x3FFF;
  const bool is_nvm_read = name == "EERD" && entry.kind == Kind::read;
  if (is_nvm_read && nvm_word < 3) return "(address)";
  if (is_nvm_read && nvm_word == 0x3F) return "(checksum)";
  return fmt::format("{:#010x}", entry.value);
}

std::string name_of(const TraceEntry& entry) {
  return entry.bar == hw::igb::kRegisterBar ? layout().name(entry.offset)
                                            : fmt::format("BAR{}+{:#x}", entry.bar, entry.offset);
}

bool same_register(const TraceEntry& a, const TraceEntry& b) { return a.bar == b.bar && a.offset == b.offset; }

std::string line_of(const TraceEntry& entry, bool read_values) {
  const std::string failed = entry.worked ? "" : " failed";
  switch (entry.kind) {
    case Kind::read:
    case Kind::write: {
      const std::string name = name_of(entry);
      const bool shown = entry.kind == Kind::write || read_values;
      return fmt::format("{:5} {:16} {}", entry.kind == Kind::read ? "read" : "write", name,
                         shown ? masked(entry, name) : "?");
    }
    case Kind::config_read: return fmt::format("config read at {:#x}{}", entry.offset, failed);
    case Kind::config_write: return fmt::format("config write at {:#x}: {:#x}{}", entry.offset, entry.value, failed);
    case Kind::bus_master: return fmt::format("bus mastering {}{}", entry.value != 0 ? "on" : "off", failed);
    case Kind::reset: return "function level reset" + failed;
    case Kind::interrupts: return fmt::format("{} interrupt vectors{}", entry.value, failed);
  }
  return "?";
}

/// The number of entries from `trace[first]` on that write the same value to consecutive registers of an array.
std::size_t run_of_writes(const std::vector<TraceEntry>& trace, std::size_t first) {
  const std::string name = name_of(trace[first]);
  if (trace[first].kind != Kind::write || !name.ends_with(']')) return 1;
  const std::string array = name.substr(0, name.find('['));
  std::uint32_t index = static_cast<std::uint32_t>(std::stoul(name.substr(array.size() + 1)));
  std::size_t end = first + 1;
  for (; end < trace.size(); ++end) {
    const bool same = trace[end].kind == Kind::write && trace[end].value == trace[first].value;
    if (!same || name_of(trace[end]) != fmt::format("{}[{}]", array, ++index)) break;
  }
  return end - first;
}

std::string path_of(std::string_view name) { return std::filesystem::path(POLLUX_GOLDEN_DIR) / name; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

constexpr std::string_view kStatistics = "read  statistics";

}  // namespace

std::vector<Phase> trace_life(const char* uri, std::shared_ptr<Clock> clock) {
  Context context({.clock = std::move(clock), .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30});
  std::vector<Phase> phases{{"igb_open.txt", {}}, {"igb_start.txt", {}}, {"igb_stop.txt", {}}, {"igb_close.txt", {}}};
  Phase waiting{"", {}};
  Phase* phase = &phases[0];
  auto device = open_device(context, uri);
  if (!device) {
    ADD_FAILURE() << device.error().message();
    return {};
  }
  auto port = open_unconfigured(
      context, trace_device(*std::move(device), [&](const TraceEntry& entry) { phase->trace.push_back(entry); }));
  if (!port) {
    ADD_FAILURE() << port.error().message();
    return {};
  }
  const auto pool = Mempool::create(context, {.count = 512});
  phase = &phases[1];
  EXPECT_TRUE(configure_port(*port, {.rx = {{.pool = *pool, .ring = 64}}, .tx = {{.ring = 64}}}));
  EXPECT_TRUE(port->start());
  phase = &waiting;
  EXPECT_TRUE(port->wait_for_link(std::chrono::seconds(20)));
  phase = &phases[2];
  EXPECT_TRUE(port->stop());
  phase = &phases[3];
  EXPECT_TRUE(port->close());
  return phases;
}

std::string describe_trace(const std::vector<TraceEntry>& trace, bool read_values) {
  std::string text;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (is_counter(trace[i])) {
      while (i + 1 < trace.size() && is_counter(trace[i + 1])) ++i;
      text += std::string(kStatistics) + "\n";
      continue;
    }
    // Where capabilities lie in the configuration space, and in which order, is a matter of the card.
    if (trace[i].kind == Kind::config_read) {
      while (i + 1 < trace.size() && trace[i + 1].kind == Kind::config_read) ++i;
      text += "configuration space read\n";
      continue;
    }
    // A read-modify-write shows only the changed bits, because the other bits depend on the card.
    if (i != 0 && trace[i].kind == Kind::write && trace[i - 1].kind == Kind::read &&
        same_register(trace[i], trace[i - 1])) {
      text += fmt::format("write {:16} set {:#010x}, clear {:#010x}\n", name_of(trace[i]),
                          trace[i].value & ~trace[i - 1].value, ~trace[i].value & trace[i - 1].value);
      continue;
    }
    if (const std::size_t run = run_of_writes(trace, i); run > 2) {
      text += fmt::format("write {:16} {:#010x}, the last of {}\n", name_of(trace[i + run - 1]), trace[i].value, run);
      i += run - 1;
      continue;
    }
    // Of consecutive reads of one register, only the last is shown.
    const bool polled = trace[i].kind == Kind::read && i + 1 < trace.size() && trace[i + 1].kind == Kind::read &&
                        same_register(trace[i], trace[i + 1]);
    if (!polled) text += line_of(trace[i], read_values) + "\n";
  }
  return text;
}

std::string without_read_values(const std::string& text) {
  std::string result;
  for (std::string line : lines_of(text)) {
    if (line.starts_with("read ") && line != kStatistics) line = line.substr(0, line.rfind(' ') + 1) + "?";
    result += line + "\n";
  }
  return result;
}

std::string golden_text(std::string_view name) {
  std::ifstream file(path_of(name));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // Skip the comment at the top.
  std::size_t at = 0;
  while (at < text.size() && text[at] == '#') at = text.find('\n', at) + 1;
  return text.substr(at);
}

std::string first_difference(const std::string& expected, const std::string& found) {
  const std::vector<std::string> a = lines_of(expected);
  const std::vector<std::string> b = lines_of(found);
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string left = i < a.size() ? a[i] : "(the end)";
    const std::string right = i < b.size() ? b[i] : "(the end)";
    if (left != right) return fmt::format("access {}: expected '{}', found '{}'", i + 1, left, right);
  }
  return "";
}

testing::AssertionResult is_golden(std::string_view name, const std::string& text) {
  const char* const update = std::getenv("POLLUX_UPDATE_GOLDEN");
  if (update != nullptr && std::string_view(update) == "1") {
    std::ofstream file(path_of(name));
    file << "# SPDX-License-Identifier: BSD-3-Clause\n# The accesses of the igb driver to a card. Compared and updated "
            "by the golden tests of "
            "tests/unit/trace.\n"
         << text;
    file.close();
    if (file) {
      return testing::AssertionFailure() << "updated " << path_of(name)
                                         << "; run the test again without POLLUX_UPDATE_GOLDEN";
    }
    return testing::AssertionFailure() << "cannot write " << path_of(name);
  }
  const std::string difference = first_difference(golden_text(name), text);
  if (difference.empty()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "the driver's accesses differ from tests/golden/" << name << " at "
                                     << difference
                                     << ".\nIf the change is intended, run this test with POLLUX_UPDATE_GOLDEN=1 and "
                                        "review the difference before you commit it.";
}

}  // namespace pollux::test
