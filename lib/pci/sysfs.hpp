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

/// Small readers and writers for the attributes of sysfs and procfs.
namespace pollux::pci::sysfs {

[[nodiscard]] std::filesystem::path device(const SystemPaths& paths, Address address);

/// The first page of a file, without white space at its end; nothing if it cannot be read.
[[nodiscard]] std::optional<std::string> read_text(const std::filesystem::path& file);

/// A whole attribute as a number that fits `limit`: "0x8086", "12". Nothing if it is anything else.
[[nodiscard]] std::optional<std::uint32_t> read_number(const std::filesystem::path& file, std::uint32_t limit);

/// The last part of what a symbolic link points to; empty if there is no such link.
[[nodiscard]] std::string link_target_name(const std::filesystem::path& link);

/// Names of a directory's entries, sorted; none if it cannot be read.
[[nodiscard]] std::vector<std::string> entries(const std::filesystem::path& directory);

[[nodiscard]] bool exists(const std::filesystem::path& path);

/// Writes an existing attribute in one go. The error tells apart `not_found`, `permission_denied` and `io_error`.
[[nodiscard]] Result<void> write(const std::filesystem::path& file, std::string_view text);

/// Whether `write` would be allowed to open the file; changes nothing.
[[nodiscard]] Result<void> check_writable(const std::filesystem::path& file);

}  // namespace pollux::pci::sysfs
