// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "servers/vfio_user/protocol.hpp"

namespace pollux::test {

using Bytes = std::vector<std::byte>;

template <class T>
void append(Bytes& bytes, const T& value) {
  const auto part = std::as_bytes(std::span(&value, 1));
  bytes.insert(bytes.end(), part.begin(), part.end());
}
template <class... T>
[[nodiscard]] Bytes packed(const T&... values) {
  Bytes bytes;
  (append(bytes, values), ...);
  return bytes;
}

/// A client of a vfio-user server in the same process. `pump` lets the server work; it is called while the client
/// waits. So both run on one thread, in virtual time if the server's clock is manual.
class VfioUserClient {
 public:
  struct Reply {
    vfio_user::Header header;
    Bytes payload;
    [[nodiscard]] int error() const {
      return (header.flags & vfio_user::Header::kError) != 0 ? static_cast<int>(header.error) : 0;
    }
  };

  /// Connects to the socket at `path`.
  VfioUserClient(const std::string& path, std::function<void()> pump);

  /// Sends a command with a correct header. False if the server has closed the connection.
  bool send(vfio_user::Command command, std::span<const std::byte> payload, std::span<const int> descriptors = {},
            std::uint32_t flags = 0);
  bool send_raw(std::span<const std::byte> bytes, std::span<const int> descriptors = {});
  /// The next reply; nullopt if none comes or the connection is closed.
  [[nodiscard]] std::optional<Reply> receive();
  /// send and receive.
  [[nodiscard]] std::optional<Reply> call(vfio_user::Command command, std::span<const std::byte> payload,
                                          std::span<const int> descriptors = {});
  /// The errno value of a command's reply; 0 for success, -1 without a reply.
  [[nodiscard]] int error_of(vfio_user::Command command, std::span<const std::byte> payload,
                             std::span<const int> descriptors = {});
  /// Negotiates the version. True if the server agrees.
  [[nodiscard]] bool negotiate();

  [[nodiscard]] int region_read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> bytes);
  [[nodiscard]] int region_write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes);
  void post_write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] int map(std::uint64_t address, std::uint64_t size, int descriptor, std::uint64_t offset,
                        std::uint32_t flags = 3);
  [[nodiscard]] int unmap(std::uint64_t address, std::uint64_t size);

  /// True if the server has closed the connection.
  [[nodiscard]] bool closed();
  void pump() const { pump_(); }

 private:
  FileDescriptor socket_;
  std::function<void()> pump_;
  std::uint16_t id_ = 0;
};

/// The card behind a vfio-user server as a Device, so that a driver can run on it. DMA works for memory of the
/// Context in ordinary pages; some of it must be allocated already.
class VfioUserDevice final : public Device {
 public:
  /// Fails the test on errors.
  VfioUserDevice(Context& context, const std::string& path, std::function<void()> pump);
  ~VfioUserDevice() override;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override;
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  [[nodiscard]] Result<Bar> bar(unsigned index) override;
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override;
  [[nodiscard]] Result<void> reset() override;
  [[nodiscard]] DmaDomain& dma_domain() override;
  [[nodiscard]] unsigned interrupt_vectors() const override;
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override;

  [[nodiscard]] VfioUserClient& client() noexcept { return client_; }

 private:
  class Window;
  class ClientDomain;

  Context& context_;
  std::string name_ = "vfio-user";
  mutable VfioUserClient client_;
  std::shared_ptr<ClientDomain> domain_;
  std::array<std::unique_ptr<Window>, 6> windows_;
  std::vector<FileDescriptor> events_;
  std::vector<int> event_numbers_;
};

}  // namespace pollux::test
