// SPDX-License-Identifier: BSD-3-Clause
#include "pci/interface_record.hpp"

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "pci/record_file.hpp"
#include "pci/sysfs.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/iommu_group.hpp"

namespace pollux::pci {
namespace {

constexpr std::string_view kInterfacesFirstLine = "pollux interface record 1";
constexpr std::string_view kInterfacesLastLine = "end";
/// Of a message of rtnetlink, whose length has 16 bits in an attribute.
constexpr std::size_t kLongestMessage = 1U << 16U;

std::filesystem::path interfaces_path(const SystemPaths& paths, Address address) {
  return paths.run / "pollux/interfaces" / address.to_string();
}

std::string to_hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

/// Reads the whole of `text` as a number.
template <class Number>
bool parse_number(std::string_view text, Number& into, int base = 10) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, into, base);
  return error == std::errc{} && stop == end;
}

bool parse_hex(std::string_view text, std::size_t least, std::size_t most, std::vector<std::byte>& into) {
  if (text.size() % 2 != 0 || text.size() < 2 * least || text.size() > 2 * most) return false;
  into.clear();
  for (std::size_t at = 0; at < text.size(); at += 2) {
    std::uint8_t byte = 0;
    if (!parse_number(text.substr(at, 2), byte, 16)) return false;
    into.push_back(std::byte{byte});
  }
  return true;
}

// Linux, net/core/dev.c, dev_valid_name.
bool is_interface_name(std::string_view name) {
  const auto fits = [](char c) { return c > ' ' && c < 0x7F && c != '/' && c != ':'; };
  return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), fits);
}

bool parse_message(std::string_view text, std::size_t header, std::vector<std::vector<std::byte>>& into) {
  std::vector<std::byte> message;
  if (!parse_hex(text, header, kLongestMessage, message)) return false;
  into.push_back(std::move(message));
  return true;
}

bool parse_field(std::string_view key, std::string_view value, InterfaceBackup& into) {
  if (key == "index") return parse_number(value, into.index);
  if (key == "mtu") return parse_number(value, into.mtu);
  if (key == "master") return parse_number(value, into.master);
  if (key == "mac") return parse_hex(value, 0, 32, into.mac);
  if (key == "address") return parse_message(value, sizeof(ifaddrmsg), into.addresses);
  if (key == "route") return parse_message(value, sizeof(rtmsg), into.routes);
  into.up = value == "1";
  return key == "up" && (value == "0" || value == "1");
}

bool parse_line(std::string_view line, InterfaceRecord& into) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view key = line.substr(0, equals);
  const std::string_view value = line.substr(equals + 1);
  if (key == "interface") {
    into.interfaces.emplace_back().name = value;
    return is_interface_name(value);
  }
  if (!into.interfaces.empty()) return parse_field(key, value, into.interfaces.back());
  if (key == "vendor") return parse_number(value, into.vendor, 16);
  return key == "device" && parse_number(value, into.device, 16);
}

std::optional<InterfaceRecord> parse_interfaces(std::istream& text) {
  std::string line;
  if (!std::getline(text, line) || line != kInterfacesFirstLine) return std::nullopt;
  InterfaceRecord record;
  while (std::getline(text, line)) {
    if (line == kInterfacesLastLine) return record;
    if (!parse_line(line, record)) return std::nullopt;
  }
  return std::nullopt;  // it was cut
}

std::string record_text(const InterfaceBackup& interface) {
  std::string text =
      fmt::format("interface={}\nindex={}\nup={}\nmtu={}\nmaster={}\nmac={}\n", interface.name, interface.index,
                  interface.up ? 1 : 0, interface.mtu, interface.master, to_hex(interface.mac));
  for (const auto& address : interface.addresses) text += "address=" + to_hex(address) + '\n';
  for (const auto& route : interface.routes) text += "route=" + to_hex(route) + '\n';
  return text;
}

}  // namespace

Result<void> save_interfaces(const SystemPaths& paths, Address address, const InterfaceRecord& record) {
  std::string text =
      fmt::format("{}\nvendor={:04x}\ndevice={:04x}\n", kInterfacesFirstLine, record.vendor, record.device);
  for (const InterfaceBackup& interface : record.interfaces) text += record_text(interface);
  text += kInterfacesLastLine;
  text += '\n';
  return record_file::replace(interfaces_path(paths, address), text);
}

Result<std::optional<InterfaceRecord>> load_interfaces(const SystemPaths& paths, Address address) {
  const std::filesystem::path file = interfaces_path(paths, address);
  if (!sysfs::exists(file)) return std::nullopt;
  std::ifstream text(file);
  auto record = parse_interfaces(text);
  if (record) return record;
  return fail(ErrorCode::io_error, fmt::format("what was saved of the interfaces in {} is malformed", file.string()),
              fmt::format("remove it, and set addresses and routes by hand: rm {}", file.string()));
}

void remove_interfaces(const SystemPaths& paths, Address address) {
  std::error_code ignored;
  std::filesystem::remove(interfaces_path(paths, address), ignored);
}

Result<std::vector<InterfaceBackup>> saved_interfaces(const SystemPaths& paths, Address address) {
  const auto device = read_device(paths, address);
  if (!device) return tl::unexpected<Error>(device.error());
  auto record = load_interfaces(paths, address);
  if (!record) return pass_on(std::move(record));
  const std::string name = address.to_string();
  const std::string again = fmt::format("pollux unbind {0}; pollux bind --force {0}", name);
  if (!*record) {
    return fail(ErrorCode::not_found, fmt::format("no addresses and routes were saved for {}", name),
                "bind the port by the command pollux, which saves them: " + again);
  }
  if (!is_vfio_driver(device->driver)) {
    return fail(ErrorCode::not_bound,
                fmt::format("what was saved of the interfaces of {} is out of date: the port has left vfio-pci", name),
                "bind it again, which saves them anew: pollux bind --force " + name);
  }
  if ((*record)->vendor != device->vendor || (*record)->device != device->device) {
    return fail(ErrorCode::bad_state,
                fmt::format("what was saved of the interfaces of {} is of another card, {:04x}:{:04x}", name,
                            (*record)->vendor, (*record)->device),
                "give the port back, set its addresses and routes, and bind it: " + again);
  }
  return std::move((*record)->interfaces);
}

}  // namespace pollux::pci
