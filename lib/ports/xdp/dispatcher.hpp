// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "base/file_descriptor.hpp"

/// The program through which several programs share an interface, as libxdp knows it: it calls one function after the
/// other, each of which the kernel replaces by a program. xdp-tools, lib/libxdp/protocol.org.
namespace pollux::xdp {

inline constexpr std::size_t kMaxComponents = 10;
/// What libxdp 1.3 to 1.5 write; later ones have version 3, and refuse another one, as the earlier ones do.
inline constexpr std::uint8_t kDispatcherVersion = 2;

/// What a dispatcher keeps for those who come later; protocol.org, "Populating the dispatcher configuration map".
struct DispatcherConfig {
  std::uint8_t magic = 236;
  std::uint8_t version = kDispatcherVersion;
  std::uint8_t count = 0;  ///< of components
  std::uint8_t frags = 0;  ///< whether it takes frames over several buffers
  std::array<std::uint32_t, kMaxComponents> chain_actions{};
  std::array<std::uint32_t, kMaxComponents> priorities{};
  std::array<std::uint32_t, kMaxComponents> flags{};
  std::uint8_t device_bound = 0;  ///< from version 3 on

  /// In the kernel.
  [[nodiscard]] std::uint32_t bytes() const noexcept { return version < 3 ? 124 : 128; }
};
static_assert(sizeof(DispatcherConfig) == 128);

/// A program of those that share.
struct Component {
  FileDescriptor program;  ///< none yet: made of `code`
  std::span<const bpf_insn> code;
  std::uint32_t id = 0;
  std::string name;
  std::vector<std::uint32_t> maps;  ///< ids
  std::uint32_t priority = 0;       ///< the least comes first
  std::uint32_t chain_actions = 0;  ///< bits of results behind which the next one is called
  std::uint32_t flags = 0;          ///< kHasFrags
  FileDescriptor link;              ///< keeps it in the dispatcher
};

struct Dispatcher {
  FileDescriptor program;
  std::uint32_t id = 0;
  DispatcherConfig config;
  std::vector<Component> components;
};

/// Loads a dispatcher of this version with the programs of `components` in it, whose `code` it loads, too. It is not
/// attached yet. Errors: errno; EOPNOTSUPP if the kernel does not replace functions.
[[nodiscard]] tl::expected<Dispatcher, int> make_dispatcher(std::vector<Component> components, std::uint8_t version);

/// What a dispatcher has besides its components. Errors: EBUSY if it is another program, or one of a version that is
/// not known.
[[nodiscard]] tl::expected<Dispatcher, int> read_dispatcher(std::uint32_t id);

}  // namespace pollux::xdp
