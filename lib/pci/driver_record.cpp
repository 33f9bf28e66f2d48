// SPDX-License-Identifier: BSD-3-Clause
#include "pci/driver_record.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <sstream>
#include <system_error>

#include "pci/record_file.hpp"
#include "pci/sysfs.hpp"

namespace pollux::pci {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFirstLine = "pollux driver record 1";

fs::path record_path(const SystemPaths& paths, Address address) {
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

}  // namespace

bool is_driver_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '+';
  };
  return !name.empty() && name.size() <= 64 && name.front() != '.' && std::all_of(name.begin(), name.end(), fits);
}

Result<void> save_record(const SystemPaths& paths, Address address, const DriverRecord& record) {
  return record_file::replace(
      record_path(paths, address),
      fmt::format("{}\nvendor={:04x}\ndevice={:04x}\ndriver={}\ndriver_override={}\n{}", kFirstLine, record.vendor,
                  record.device, record.driver, record.driver_override, record.unbinding ? "unbinding=\n" : ""));
}

Result<std::optional<DriverRecord>> load_record(const SystemPaths& paths, Address address) {
  const fs::path file = record_path(paths, address);
  if (!sysfs::exists(file)) return std::nullopt;
  const auto text = sysfs::read_text(file);
  auto record = text ? parse(*text) : std::nullopt;
  if (record) return record;
  return fail(ErrorCode::io_error, fmt::format("the record of the previous driver in {} is malformed", file.string()),
              fmt::format("remove it; the kernel then chooses the driver: rm {}", file.string()));
}

void remove_record(const SystemPaths& paths, Address address) {
  std::error_code ignored;
  fs::remove(record_path(paths, address), ignored);
}

Result<BindingLock> BindingLock::take(const SystemPaths& paths, Clock& clock, Duration limit) {
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

}  // namespace pollux::pci
