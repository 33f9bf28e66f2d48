// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include "common/cli.hpp"

#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"
#include "pci_facts.hpp"
#include "pollux/net/link_control.hpp"
#include "report.hpp"
#include "started_port.hpp"

namespace pollux::tool {
namespace {

struct PhyOptions {
  std::string port;
  std::vector<unsigned> reads;
  std::vector<std::string> writes;
  std::uint16_t page = 0;
  std::optional<std::uint8_t> address;
  bool json = false;
};

struct PhyWrite {
  std::uint8_t number;
  std::uint16_t value;
};

std::optional<unsigned> number_of(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, hexadecimal ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<std::vector<PhyWrite>> parse_writes(const std::vector<std::string>& words) {
  std::vector<PhyWrite> writes;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    const auto number = number_of(std::string_view(word).substr(0, equals));
    const auto value =
        equals == std::string::npos ? std::nullopt : number_of(std::string_view(word).substr(equals + 1));
    if (!number || !value || *number > 31 || *value > 0xFFFF) {
      return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not REG=VALUE", word),
                  "a register is 0 to 31, a value 0 to 0xFFFF, such as 4=0x01e1");
    }
    writes.push_back({static_cast<std::uint8_t>(*number), static_cast<std::uint16_t>(*value)});
  }
  return writes;
}

/// The registers that are read: those that were named, or all of IEEE 802.3, clause 22, if none was named or written.
std::vector<unsigned> numbers_to_read(const PhyOptions& options) {
  if (!options.reads.empty() || !options.writes.empty()) return options.reads;
  std::vector<unsigned> all;
  for (unsigned number = 0; number < 16; ++number) all.push_back(number);
  return all;
}

void print(const Environment& environment, const PhyOptions& options, const nlohmann::json& found) {
  if (options.json) {
    environment.out << nlohmann::json{{"port", options.port}, {"page", options.page}, {"registers", found}}.dump(
                           2, ' ', true, kReplaceBadText)
                    << '\n';
    return;
  }
  for (const auto& entry : found) {
    const unsigned number = entry["number"];
    const auto& value = entry["value"];
    environment.out << fmt::format("{:>2}  {}\n", number,
                                   value.is_null() ? "-" : fmt::format("{:#06x}", value.get<unsigned>()));
  }
}

// In a list of all registers, one that the PHY lacks has no value.
Result<void> access(const Environment& environment, const PhyOptions& options, const std::vector<PhyWrite>& writes,
                    Port& port) {
  const auto phy = port.capability<PhyRegisters>();
  if (!phy) return tl::unexpected<Error>(port.lacks(PhyRegisters::kId));
  for (const PhyWrite& write : writes) {
    auto written = phy->write_phy_register({write.number, options.page, options.address}, write.value);
    if (!written) return written;
  }
  auto found = nlohmann::json::array();
  for (const unsigned number : numbers_to_read(options)) {
    const auto value = phy->read_phy_register({static_cast<std::uint8_t>(number), options.page, options.address});
    const bool is_missing = !value && value.error().code == ErrorCode::device_fault && options.reads.empty();
    if (!value && !is_missing) return tl::unexpected<Error>(value.error());
    found.push_back({{"number", number}, {"value", value ? nlohmann::json(*value) : nlohmann::json(nullptr)}});
  }
  print(environment, options, found);
  return {};
}

int run_phy(const Environment& environment, const PhyOptions& options) {
  const auto writes = parse_writes(options.writes);
  if (!writes) return report(environment, writes.error());
  auto port = open_port(environment, options.port);
  if (!port) return report(environment, port.error());
  const auto done = access(environment, options, *writes, *port);
  if (!done) return report(environment, done.error());
  const auto closed = port->close();
  return closed ? kSuccess : report(environment, closed.error());
}

}  // namespace

void add_phy(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<PhyOptions>();
  cli::App* command = app.add_subcommand("phy", "Read and write registers of a port's PHY");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  command->add_option("--read", options->reads, "Registers to read, such as 1,17; without options 0 to 15")
      ->delimiter(',')
      ->check(cli::range(0, 31));
  command->add_option("--write", options->writes, "Write before reading: REG=VALUE, such as 4=0x01e1");
  command->add_option("--page", options->page, "The page of the registers 16 to 30")->check(cli::range(0, 2047));
  command->add_option("--address", options->address, "The PHY's address; without it the card's own PHY")
      ->check(cli::range(0, 31));
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples:\n"
      "  pollux phy vfio:0000:01:00.0\n"
      "  pollux phy vfio:0000:01:00.0 --read 17 --page 141");
  command->callback([options, &environment, &exit_code] { exit_code = run_phy(environment, *options); });
}

}  // namespace pollux::tool
