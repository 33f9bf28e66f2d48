// SPDX-License-Identifier: BSD-3-Clause
#include "pci/sysfs.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "base/file_descriptor.hpp"
#include "base/printable.hpp"

namespace pollux::pci::sysfs {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> write_failed(const fs::path& file, int error) {
  const std::string what = "cannot write " + file.string();
  switch (error) {
    case ENOENT:
    case ENODEV:
      return fail_errno(ErrorCode::not_found, what, error, "the device or its driver was removed; see `pollux list`");
    case EACCES:
    case EPERM: return fail_errno(ErrorCode::permission_denied, what, error, "run the command as root, with sudo");
    case EROFS:
      return fail_errno(
          ErrorCode::permission_denied, what, error,
          "sysfs is read-only, as in a container: run the command on the host, or mount -o remount,rw /sys");
    default: return fail_errno(ErrorCode::io_error, what, error, "see the kernel's log: dmesg | tail");
  }
}

/// Opens an attribute; it never creates one. Tests use regular files, which need O_TRUNC; sysfs ignores it.
Result<FileDescriptor> open_to_write(const fs::path& file, int flags) {
  FileDescriptor descriptor(::open(file.c_str(), O_WRONLY | O_CLOEXEC | flags));
  if (!descriptor) return write_failed(file, errno);
  return descriptor;
}

}  // namespace

fs::path device(const SystemPaths& paths, Address address) {
  return paths.sys / "bus/pci/devices" / address.to_string();
}

std::vector<Address> virtual_functions(const SystemPaths& paths, Address physical) {
  std::vector<Address> functions;
  const fs::path directory = device(paths, physical);
  for (const std::string& entry : entries(directory)) {
    if (!entry.starts_with("virtfn")) continue;
    const auto address = Address::parse(link_target_name(directory / entry));
    if (address) functions.push_back(*address);
  }
  return functions;
}

// The interface of a virtio card is below its virtio device, which is below the PCI function.
std::vector<fs::path> interfaces(const SystemPaths& paths, Address address) {
  const fs::path directory = device(paths, address);
  std::vector<fs::path> found;
  const auto add_below = [&](const fs::path& net) {
    for (const std::string& name : entries(net)) found.push_back(net / name);
  };
  add_below(directory / "net");
  for (const std::string& child : entries(directory)) {
    if (child.starts_with("virtio")) add_below(directory / child / "net");
  }
  return found;
}

std::optional<std::string> read_text(const fs::path& file) {
  const FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) return std::nullopt;
  std::array<char, 4096> page{};
  std::size_t filled = 0;
  while (filled < page.size()) {
    const ssize_t got = ::read(descriptor.get(), page.data() + filled, page.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  std::string_view text(page.data(), filled);
  const auto last = text.find_last_not_of(" \t\r\n");
  return std::string(text.substr(0, last == std::string_view::npos ? 0 : last + 1));
}

std::optional<std::uint32_t> read_number(const fs::path& file, std::uint32_t limit) {
  const auto text = read_text(file);
  if (!text) return std::nullopt;
  const bool hex = text->starts_with("0x");
  const char* const end = text->data() + text->size();
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text->data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
  if (error != std::errc{} || stop != end || value > limit) return std::nullopt;
  return value;
}

std::string process_name(const fs::path& process) { return printable(read_text(process / "comm").value_or("?")); }

std::string link_target_name(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? std::string() : target.filename().string();
}

std::vector<std::string> entries(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  while (!error && entry != fs::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Result<void> write(const fs::path& file, std::string_view text) {
  auto descriptor = open_to_write(file, O_TRUNC);
  if (!descriptor) return pass_on(std::move(descriptor));
  ssize_t written = 0;
  do {
    written = ::write(descriptor->get(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return write_failed(file, errno);
  return {};
}

Result<void> check_writable(const fs::path& file) {
  auto descriptor = open_to_write(file, 0);
  if (!descriptor) return pass_on(std::move(descriptor));
  return {};
}

}  // namespace pollux::pci::sysfs
