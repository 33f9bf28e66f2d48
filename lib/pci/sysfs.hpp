// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

/// Functions that read and write attributes of sysfs and procfs.
namespace pollux::pci::sysfs {

[[nodiscard]] std::filesystem::path device(const SystemPaths& paths, Address address);

/// The virtual functions that a physical function has now.
[[nodiscard]] std::vector<Address> virtual_functions(const SystemPaths& paths, Address physical);

/// The directories of a function's network interfaces; the last component is the name.
[[nodiscard]] std::vector<std::filesystem::path> interfaces(const SystemPaths& paths, Address address);

/// The first page of a file, without trailing white space; nullopt if it cannot be read.
[[nodiscard]] std::optional<std::string> read_text(const std::filesystem::path& file);

/// The name of a process in procfs, which the process may choose, without control characters.
[[nodiscard]] std::string process_name(const std::filesystem::path& process);

/// The value of an attribute that is a number up to `limit`, such as "0x8086" or "12"; else nullopt.
[[nodiscard]] std::optional<std::uint32_t> read_number(const std::filesystem::path& file, std::uint32_t limit);

/// The last component of the target of a symbolic link; empty if there is no such link.
[[nodiscard]] std::string link_target_name(const std::filesystem::path& link);

/// The names in a directory, sorted; empty if it cannot be read.
[[nodiscard]] std::vector<std::string> entries(const std::filesystem::path& directory);

[[nodiscard]] bool exists(const std::filesystem::path& path);

/// Writes an existing attribute with one system call. Errors: `not_found`, `permission_denied`, `io_error`.
[[nodiscard]] Result<void> write(const std::filesystem::path& file, std::string_view text);

/// Whether `write` would be allowed to open the file; changes nothing.
[[nodiscard]] Result<void> check_writable(const std::filesystem::path& file);

}  // namespace pollux::pci::sysfs
