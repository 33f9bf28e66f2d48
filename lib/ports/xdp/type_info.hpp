// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"

namespace pollux::xdp {

/// What the kernel wants to know of programs that call or replace functions, "int NAME(struct xdp_md *ctx)" each.
/// Linux, Documentation/bpf/btf.rst.
class TypeInfo {
 public:
  explicit TypeInfo(std::span<const std::string> functions);

  /// The number of a function in it, by its place among `functions`.
  [[nodiscard]] static std::uint32_t id_of(std::size_t function) noexcept;
  /// Without a descriptor: errno says why.
  [[nodiscard]] FileDescriptor load() const;

 private:
  std::uint32_t text(const std::string& word);
  void type(const std::string& name, std::uint32_t kind, std::uint32_t low, std::uint32_t what);

  std::vector<std::uint32_t> types_;
  std::string texts_ = std::string(1, '\0');
};

}  // namespace pollux::xdp
