// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/context.hpp"
#include "servers/vfio_user/server.hpp"
#include "support/vfio_user_client.hpp"

namespace pollux::test {

/// Servers of in-process cards, and clients in the same thread and in virtual time.
struct ServerFixture {
  /// A server for each URI, on the socket of its index.
  explicit ServerFixture(const std::vector<std::string>& uris = {"sim:0"}, bool passes_functions = false);
  ~ServerFixture();

  [[nodiscard]] std::string path(unsigned index = 0) const { return folder / (std::to_string(index) + ".sock"); }
  /// Lets all servers work, and virtual time pass.
  void pump();
  /// A client that has negotiated the version, or has only connected.
  [[nodiscard]] std::unique_ptr<VfioUserClient> client(unsigned index = 0);
  [[nodiscard]] std::unique_ptr<VfioUserClient> connected(unsigned index = 0);
  [[nodiscard]] vfio_user::Server& server() { return *servers.front(); }
  [[nodiscard]] bool has_logged(std::string_view text) const;

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::vector<std::string> log;
  Context context;
  std::filesystem::path folder;
  std::vector<std::unique_ptr<vfio_user::Server>> servers;
};

/// A file in memory.
[[nodiscard]] FileDescriptor memory_file(std::size_t bytes);

/// A register of BAR 0 over a client; all ones if the read fails.
[[nodiscard]] std::uint32_t read_register(VfioUserClient& client, std::uint32_t offset);
void write_register(VfioUserClient& client, std::uint32_t offset, std::uint32_t value);
/// Sets up the link of an 82576 whose PHY has the registers of an earlier owner.
void raise_link(ServerFixture& fixture, VfioUserClient& client);
[[nodiscard]] std::uint32_t read_config(VfioUserClient& client, std::uint32_t offset, unsigned width);
void write_config(VfioUserClient& client, std::uint32_t offset, unsigned width, std::uint32_t value);

}  // namespace pollux::test
