// SPDX-License-Identifier: BSD-3-Clause
// `pollux nvm`: shows, copies and changes a card's non-volatile memory.
#include "pollux/net/nvm.hpp"

#include <fmt/format.h>
#include "common/cli.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/shell_words.hpp"
#include "commands.hpp"
#include "nvm_copy.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

/// Words of the PCI identity, which tell cards apart (DPDK e1000, e1000_defines.h).
constexpr std::uint32_t kDeviceIdWord = 0x0D;
constexpr std::uint32_t kVendorIdWord = 0x0E;

const std::map<std::string, NvmProtection> kProtections{{"none", NvmProtection::none},
                                                        {"upper-quarter", NvmProtection::upper_quarter},
                                                        {"upper-half", NvmProtection::upper_half},
                                                        {"all", NvmProtection::all}};

struct NvmOptions {
  std::string port;
  std::string dump;
  std::string restore;
  std::vector<std::string> writes;
  std::string protect;
  std::string save;
  bool yes = false;
  bool force = false;
  bool json = false;

  [[nodiscard]] bool changes() const { return !restore.empty() || !writes.empty() || !protect.empty(); }
};

/// Words that follow each other, to be written.
struct Change {
  std::uint32_t first = 0;
  NvmWords words;
};

std::string name_of(NvmProtection protection) {
  for (const auto& [name, value] : kProtections) {
    if (value == protection) return name;
  }
  return "unknown";
}

std::vector<std::string> names_of_protections() {
  std::vector<std::string> names;
  for (const auto& protection : kProtections) names.push_back(protection.first);
  return names;
}

std::optional<std::uint32_t> number(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Change> parse_write(const std::string& text, std::uint32_t words) {
  const auto equals = text.find('=');
  const auto word = number(std::string_view(text).substr(0, equals));
  const auto value = equals == std::string::npos ? std::nullopt : number(std::string_view(text).substr(equals + 1));
  if (!word || !value || *word >= words || *value > 0xFFFF) {
    return fail(ErrorCode::invalid_argument, fmt::format("--write {}: not WORD=VALUE", text),
                fmt::format("WORD is 0 to {:#x}, VALUE 0 to 0xffff, such as --write 0x1f=0x1234", words - 1));
  }
  return Change{*word, {static_cast<std::uint16_t>(*value)}};
}

Result<Change> parse_copy(const NvmOptions& options, const NvmInfo& info, std::span<const std::uint16_t> now) {
  auto copy = load_copy(options.restore);
  if (!copy) return pass_on(std::move(copy));
  const auto other = [&](const std::string& what) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} is the copy of another card: {}", options.restore, what),
                "restore a copy of this card, or add --force");
  };
  if (copy->size() > info.words || (copy->size() != info.words && !options.force)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} has {} words; the NVM has {}", options.restore, copy->size(), info.words),
                "restore a copy of this card");
  }
  // The first three words are the MAC address.
  for (const std::uint32_t word : {0U, 1U, 2U, kDeviceIdWord, kVendorIdWord}) {
    if (word < copy->size() && (*copy)[word] != now[word] && !options.force) {
      return other(fmt::format("word {:#x} is {:#06x}, not {:#06x}", word, (*copy)[word], now[word]));
    }
  }
  return Change{0, *std::move(copy)};
}

Result<std::vector<Change>> parse_changes(const NvmOptions& options, const NvmInfo& info,
                                          std::span<const std::uint16_t> now) {
  std::vector<Change> changes;
  if (!options.restore.empty()) {
    auto copy = parse_copy(options, info, now);
    if (!copy) return pass_on(std::move(copy));
    changes.push_back(*std::move(copy));
  }
  for (const std::string& text : options.writes) {
    auto write = parse_write(text, info.words);
    if (!write) return pass_on(std::move(write));
    changes.push_back(*std::move(write));
  }
  return changes;
}

std::string number_text(const NvmVersion& version) { return fmt::format("{}.{:02}", version.major, version.minor); }

std::string version_text(const NvmVersion& version) {
  const std::string text = number_text(version);
  return version.track_id ? fmt::format("{}, track id {:#010x}", text, *version.track_id)
                          : fmt::format("{}, image {}", text, version.image);
}

std::string default_stem(const std::string& port) {
  std::string stem = "nvm-" + port;
  std::ranges::replace_if(
      stem, [](char c) { return c == ':' || c == '/' || c == '?' || c == '='; }, '-');
  return stem;
}

/// With a wrong checksum no driver accepts the card, so a failed change puts the old words back. Words that are equal
/// are not written.
Result<void> change_words(const Environment& environment, Nvm& nvm, const std::vector<Change>& changes,
                          std::span<const std::uint16_t> now, const std::string& copy) {
  for (const Change& change : changes) {
    if (auto written = nvm.write_nvm(change.first, change.words); !written) {
      Error error = std::move(written).error();
      const auto back = nvm.write_nvm(0, now);
      error.what += back ? "; the old contents were written again" : "; and so did writing the old contents again";
      error.hint += fmt::format("; the old contents are in {}", copy);
      return tl::unexpected<Error>(std::move(error));
    }
  }
  environment.err << fmt::format("wrote the NVM; `pollux nvm PORT --restore {}` restores what it had\n",
                                 shell_quoted(copy));
  return {};
}

/// Asks, saves a copy, then writes.
Result<void> change(const Environment& environment, const NvmOptions& options, Nvm& nvm, const NvmInfo& info) {
  auto now = nvm.read_nvm(0, info.words);
  if (!now) return pass_on(std::move(now));
  auto changes = parse_changes(options, info, *now);
  if (!changes) return pass_on(std::move(changes));
  if (!options.yes) {
    if (!environment.confirm) {
      return fail(ErrorCode::permission_denied, "a change of the NVM needs a confirmation, and there is no terminal",
                  "add --yes");
    }
    if (!environment.confirm(
            fmt::format("This changes the NVM of {}. Wrong words can make the card unusable. Go on?", options.port))) {
      return fail(ErrorCode::permission_denied, "nothing was changed", "answer y, or add --yes");
    }
  }
  if (!changes->empty()) {
    auto copy = save_new_copy(options.save.empty() ? default_stem(options.port) : options.save, *now);
    if (!copy) return pass_on(std::move(copy));
    if (auto changed = change_words(environment, nvm, *changes, *now, *copy); !changed) return changed;
  }
  return options.protect.empty() ? Result<void>() : nvm.set_nvm_protection(kProtections.at(options.protect));
}

Result<void> dump(const Environment& environment, const std::string& path, Nvm& nvm, const NvmInfo& info) {
  auto words = nvm.read_nvm(0, info.words);
  if (!words) return pass_on(std::move(words));
  if (path != "-") return save_copy(path, *words);
  environment.out << to_bytes(*words);
  return {};
}

void show(const Environment& environment, const NvmOptions& options, const std::string& mac, Nvm& nvm,
          const NvmInfo& info) {
  const auto protection = nvm.nvm_protection();
  if (options.json) {
    nlohmann::json json{{"port", options.port},
                        {"words", info.words},
                        {"mac", mac},
                        {"vendor_id", info.vendor_id},
                        {"device_id", info.device_id},
                        {"checksum_holds", info.checksum_holds},
                        {"version", number_text(info.version)},
                        {"track_id", nullptr},
                        {"protection", nullptr}};
    if (info.version.track_id) json["track_id"] = *info.version.track_id;
    if (protection) json["protection"] = name_of(*protection);
    environment.out << json.dump(2) << '\n';
    return;
  }
  const auto line = [&](const char* label, const std::string& value) {
    environment.out << fmt::format("  {:<18}{}\n", label, value);
  };
  environment.out << "NVM of " << options.port << '\n';
  line("words", fmt::format("{} of 16 bits", info.words));
  line("card", fmt::format("{:04x}:{:04x}", info.vendor_id, info.device_id));
  line("MAC address", mac);
  line("version", version_text(info.version));
  line("checksum", info.checksum_holds ? "holds" : "wrong");
  line("write protection", protection ? name_of(*protection) : "not known: " + protection.error().what);
}

int run_nvm(const Environment& environment, const NvmOptions& options) {
  if (!environment.open_port) return kFailure;
  auto port = environment.open_port(options.port);
  if (!port) return report(environment, port.error());
  const auto capability = port->capability<Nvm>();
  if (!capability) return report(environment, port->lacks(Nvm::kId));
  const std::string mac = to_string(port->mac());
  const auto call = capability.operator->();
  Nvm& nvm = *call.operator->();
  auto info = nvm.nvm_info();
  if (!info) return report(environment, info.error());
  if (options.changes()) {
    if (auto changed = change(environment, options, nvm, *info); !changed) return report(environment, changed.error());
    info = nvm.nvm_info();
    if (!info) return report(environment, info.error());
  }
  if (!options.dump.empty()) {
    if (auto dumped = dump(environment, options.dump, nvm, *info); !dumped) return report(environment, dumped.error());
    if (options.dump == "-") return kSuccess;
  }
  show(environment, options, mac, nvm, *info);
  return kSuccess;
}

}  // namespace

void add_nvm(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<NvmOptions>();
  cli::App* command = app.add_subcommand("nvm", "Show, copy and change the non-volatile memory of a port's card");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  command->add_option("--dump", options->dump, "Copy the NVM to this file, or with - to standard output, as bytes");
  command->add_option("--restore", options->restore, "Write a copy back");
  command->add_option("--write", options->writes, "WORD=VALUE: write a word; the checksum follows; can be repeated");
  command->add_option("--protect", options->protect, "Protect none, upper-quarter, upper-half or all of it from writes")
      ->check(cli::one_of(names_of_protections()));
  command->add_option("--save", options->save, "Save the old contents as FILE.bin before a write (nvm-PORT.bin)");
  command->add_flag("--yes", options->yes, "Do not ask before a change");
  command->add_flag("--force", options->force, "Restore a copy of another card");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "pollux nvm 0000:01:00.0 --dump card.bin\n"
      "pollux nvm 0000:01:00.0 --write 0x1f=0x1234\n"
      "Copies are as those of `ethtool --eeprom-dump DEVICE raw on`. Changes take effect when the card reads its NVM\n"
      "again, at the latest after a power cycle.");
  command->callback([options, &environment, &exit_code] { exit_code = run_nvm(environment, *options); });
}

}  // namespace pollux::tool
