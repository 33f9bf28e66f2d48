// SPDX-License-Identifier: BSD-3-Clause
#include "nvm_copy.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/open_file.hpp"

namespace pollux::tool {
namespace {

/// Copies of one name; more are a mistake.
constexpr unsigned kMostCopies = 1000;
/// Words have addresses of 16 bits.
constexpr std::size_t kMostBytes = 2 * 65536;

tl::unexpected<Error> cannot_write(const std::string& path) {
  return fail(ErrorCode::io_error, fmt::format("cannot write {}", path), "choose a folder with room that is writable");
}

Result<void> write_file(const std::string& path, const char* mode, std::span<const std::uint16_t> words) {
  const std::string bytes = to_bytes(words);
  std::FILE* const file = std::fopen(path.c_str(), mode);
  if (file == nullptr) return cannot_write(path);
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (std::fclose(file) != 0 || !written) return cannot_write(path);
  return {};
}

}  // namespace

std::string to_bytes(std::span<const std::uint16_t> words) {
  std::string bytes;
  for (const std::uint16_t word : words) {
    bytes += static_cast<char>(word & 0xFF);
    bytes += static_cast<char>(word >> 8);
  }
  return bytes;
}

Result<void> save_copy(const std::string& path, std::span<const std::uint16_t> words) {
  return write_file(path, "wb", words);
}

Result<std::string> save_new_copy(const std::string& stem, std::span<const std::uint16_t> words) {
  for (unsigned number = 0; number < kMostCopies; ++number) {
    const std::string path = number == 0 ? stem + ".bin" : fmt::format("{}.{}.bin", stem, number);
    if (std::filesystem::exists(path)) continue;
    if (auto written = write_file(path, "wbx", words); !written) return pass_on(std::move(written));
    return path;
  }
  return fail(ErrorCode::io_error, fmt::format("there are {} copies named {}.N.bin", kMostCopies, stem),
              "move them to another folder");
}

Result<NvmWords> load_copy(const std::string& path) {
  const auto read = read_input_file(path, "copy of an NVM", kMostBytes);
  if (!read) return fail(read.error().code, read.error().what, "name a file of `pollux nvm --dump`");
  const std::string& bytes = *read;
  if (bytes.empty() || bytes.size() % 2 != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} has {} bytes, so it is not a copy of an NVM", path, bytes.size()),
                "name a file of `pollux nvm --dump`");
  }
  NvmWords words(bytes.size() / 2);
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = static_cast<std::uint16_t>(static_cast<std::uint8_t>(bytes[2 * i]) |
                                          static_cast<std::uint8_t>(bytes[2 * i + 1]) << 8);
  }
  return words;
}

}  // namespace pollux::tool
