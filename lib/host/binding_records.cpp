// SPDX-License-Identifier: BSD-3-Clause
#include "host/binding_records.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/open_file.hpp"
#include "pci/device_info.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"

namespace pollux::host {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFirstLine = "pollux driver record 1";

fs::path record_path(const pci::SystemPaths& paths, pci::Address address) {
  return paths.run / "pollux/drivers" / address.to_string();
}

std::optional<std::uint16_t> parse_id(const std::string& text) {
  std::uint16_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<DriverRecord> parse(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != kFirstLine) return std::nullopt;
  std::map<std::string, std::string> fields;
  while (std::getline(lines, line)) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || !fields.emplace(line.substr(0, equals), line.substr(equals + 1)).second) {
      return std::nullopt;
    }
  }
  for (const char* name : {"vendor", "device", "driver", "driver_override"}) {
    if (!fields.contains(name)) return std::nullopt;
  }
  const auto vendor = parse_id(fields["vendor"]);
  const auto device = parse_id(fields["device"]);
  DriverRecord record{fields["driver"], fields["driver_override"], vendor.value_or(0), device.value_or(0),
                      fields.contains("unbinding")};
  const auto acceptable = [](const std::string& name) { return name.empty() || is_driver_name(name); };
  if (!vendor || !device || !acceptable(record.driver) || !acceptable(record.driver_override)) return std::nullopt;
  return record;
}

constexpr std::string_view kInterfacesFirstLine = "pollux interface record 1";
constexpr std::string_view kInterfacesLastLine = "end";
/// Of a message of rtnetlink, whose length has 16 bits in an attribute.
constexpr std::size_t kLongestMessage = 1U << 16U;

std::filesystem::path interfaces_path(const pci::SystemPaths& paths, pci::Address address) {
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

namespace record_file {
namespace {

namespace fs = std::filesystem;

Result<void> write_all(const FileDescriptor& descriptor, const fs::path& file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(descriptor.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot_write(file, errno);
    done += static_cast<std::size_t>(written);
  }
  return {};
}

}  // namespace

tl::unexpected<Error> cannot_write(const fs::path& file, int error) {
  const bool refused = error == EACCES || error == EPERM || error == EROFS;
  return fail_errno(
      refused ? ErrorCode::permission_denied : ErrorCode::io_error, "cannot write " + file.string(), error,
      refused ? "run the command as root, with sudo" : "check that /run exists and has free space: df /run");
}

Result<FileDescriptor> open_directory(const fs::path& directory) {
  const fs::path above = directory.parent_path();
  std::error_code error;
  fs::create_directories(above.parent_path(), error);
  if (error) return cannot_write(above.parent_path(), error.value());
  const std::string hint = "run the command as root, with sudo; nobody else may write to " + above.string();
  if (auto checked = open_own_directory(above.string(), hint); !checked) return checked;
  return open_own_directory(directory.string(), hint);
}

Result<void> replace(const fs::path& file, const std::string& text) {
  if (auto made = open_directory(file.parent_path()); !made) return pass_on(std::move(made));
  std::string temporary = file.string() + ".XXXXXX";
  {
    const FileDescriptor descriptor(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!descriptor) return cannot_write(temporary, errno);
    ::fchmod(descriptor.get(), 0644);
    if (auto written = write_all(descriptor, file, text); !written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), file.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return cannot_write(file, error);
  }
  return {};
}

}  // namespace record_file

bool is_driver_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '+';
  };
  return !name.empty() && name.size() <= 64 && name.front() != '.' && std::all_of(name.begin(), name.end(), fits);
}

Result<void> save_record(const pci::SystemPaths& paths, pci::Address address, const DriverRecord& record) {
  return record_file::replace(
      record_path(paths, address),
      fmt::format("{}\nvendor={:04x}\ndevice={:04x}\ndriver={}\ndriver_override={}\n{}", kFirstLine, record.vendor,
                  record.device, record.driver, record.driver_override, record.unbinding ? "unbinding=\n" : ""));
}

Result<std::optional<DriverRecord>> load_record(const pci::SystemPaths& paths, pci::Address address) {
  const fs::path file = record_path(paths, address);
  if (!pci::sysfs::exists(file)) return std::nullopt;
  const auto text = pci::sysfs::read_text(file);
  auto record = text ? parse(*text) : std::nullopt;
  if (record) return record;
  return fail(ErrorCode::io_error, fmt::format("the record of the previous driver in {} is malformed", file.string()),
              fmt::format("remove it; the kernel then chooses the driver: rm {}", file.string()));
}

void remove_record(const pci::SystemPaths& paths, pci::Address address) {
  std::error_code ignored;
  fs::remove(record_path(paths, address), ignored);
}

Result<BindingLock> BindingLock::take(const pci::SystemPaths& paths, Clock& clock, Duration limit) {
  const fs::path file = paths.run / "pollux/lock";
  const auto directory = record_file::open_directory(file.parent_path());
  if (!directory) return tl::unexpected<Error>(directory.error());
  FileDescriptor descriptor(::openat(directory->get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!descriptor) return record_file::cannot_write(file, errno);
  const auto locked = wait_until(
      clock, "the lock", limit, [&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0; },
      std::chrono::milliseconds(10));
  if (!locked) {
    return fail(ErrorCode::busy, "another process is binding devices and holds " + file.string(),
                "wait until it has finished; `fuser " + file.string() + "` shows the process");
  }
  return BindingLock(std::move(descriptor));
}

Result<void> save_interfaces(const pci::SystemPaths& paths, pci::Address address, const InterfaceRecord& record) {
  std::string text =
      fmt::format("{}\nvendor={:04x}\ndevice={:04x}\n", kInterfacesFirstLine, record.vendor, record.device);
  for (const InterfaceBackup& interface : record.interfaces) text += record_text(interface);
  text += kInterfacesLastLine;
  text += '\n';
  return record_file::replace(interfaces_path(paths, address), text);
}

Result<std::optional<InterfaceRecord>> load_interfaces(const pci::SystemPaths& paths, pci::Address address) {
  const std::filesystem::path file = interfaces_path(paths, address);
  if (!pci::sysfs::exists(file)) return std::nullopt;
  std::ifstream text(file);
  auto record = parse_interfaces(text);
  if (record) return record;
  return fail(ErrorCode::io_error, fmt::format("what was saved of the interfaces in {} is malformed", file.string()),
              fmt::format("remove it, and set addresses and routes by hand: rm {}", file.string()));
}

void remove_interfaces(const pci::SystemPaths& paths, pci::Address address) {
  std::error_code ignored;
  std::filesystem::remove(interfaces_path(paths, address), ignored);
}

Result<std::vector<InterfaceBackup>> saved_interfaces(const pci::SystemPaths& paths, pci::Address address) {
  const auto device = pci::read_device(paths, address);
  if (!device) return tl::unexpected<Error>(device.error());
  auto record = load_interfaces(paths, address);
  if (!record) return pass_on(std::move(record));
  const std::string name = address.to_string();
  const std::string again = fmt::format("pollux unbind {0}; pollux bind --force {0}", name);
  if (!*record) {
    return fail(ErrorCode::not_found, fmt::format("no addresses and routes were saved for {}", name),
                "bind the port by the command pollux, which saves them: " + again);
  }
  if (!pci::is_vfio_driver(device->driver)) {
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

}  // namespace pollux::host
