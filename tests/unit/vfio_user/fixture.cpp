// SPDX-License-Identifier: BSD-3-Clause
#include "unit/vfio_user/fixture.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "hw/intel/igb/phy.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/open.hpp"

namespace pollux::test {

using namespace std::chrono_literals;

namespace {

ContextOptions options(const std::shared_ptr<ManualClock>& clock, std::vector<std::string>& log) {
  return {.clock = clock,
          .log = [&log](LogLevel, std::string_view message) { log.emplace_back(message); },
          .huge_pages = HugePages::never,
          .arena_size = std::size_t{1} << 30};
}

}  // namespace

ServerFixture::ServerFixture(const std::vector<std::string>& uris, bool passes_functions)
    : context(options(clock, log)) {
  std::string name = std::filesystem::temp_directory_path() / "pollux-vfio-user-XXXXXX";
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  folder = name;
  for (const std::string& uri : uris) {
    auto device = open_device(context, uri);
    EXPECT_TRUE(device) << device.error().message();
    if (!device) continue;
    auto server = vfio_user::Server::create(context, *std::move(device), path(static_cast<unsigned>(servers.size())),
                                            passes_functions);
    EXPECT_TRUE(server) << server.error().message();
    if (server) servers.push_back(*std::move(server));
  }
}

ServerFixture::~ServerFixture() {
  servers.clear();
  std::filesystem::remove_all(folder);
}

void ServerFixture::pump() {
  for (const auto& each : servers) each->work();
  clock->advance(1us);
}

std::unique_ptr<VfioUserClient> ServerFixture::connected(unsigned index) {
  return std::make_unique<VfioUserClient>(path(index), [this] { pump(); });
}

std::unique_ptr<VfioUserClient> ServerFixture::client(unsigned index) {
  auto made = connected(index);
  EXPECT_TRUE(made->negotiate());
  return made;
}

bool ServerFixture::has_logged(std::string_view text) const {
  return std::ranges::any_of(log, [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

FileDescriptor memory_file(std::size_t bytes) {
  FileDescriptor file(::memfd_create("pollux test", MFD_CLOEXEC));
  EXPECT_TRUE(file);
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  return file;
}

std::uint32_t read_register(VfioUserClient& client, std::uint32_t offset) {
  std::uint32_t value = 0;
  return client.region_read(0, offset, std::as_writable_bytes(std::span(&value, 1))) == 0 ? value : ~std::uint32_t{0};
}

void write_register(VfioUserClient& client, std::uint32_t offset, std::uint32_t value) {
  client.post_write(0, offset, std::as_bytes(std::span(&value, 1)));
}

void raise_link(ServerFixture& fixture, VfioUserClient& client) {
  namespace igb = pollux::hw::igb;
  write_register(client, igb::CTRL::offset(), igb::CTRL::Value(igb::CTRL::SLU | igb::CTRL::FD).raw());
  const std::array<std::array<std::uint32_t, 2>, 5> values{{{igb::phy::kPageSelect, 0},
                                                            {igb::phy::kPowerManagement, 0},
                                                            {igb::phy::kPortControl, igb::phy::kPortControlAutoMdix},
                                                            {igb::phy::kGigabitControl, igb::phy::kGigabitFull},
                                                            {igb::phy::kControl, 0x1200}}};
  for (const auto& [number, value] : values) {
    const auto command = igb::MDIC::DATA(value) | igb::MDIC::REGADD(number) | igb::MDIC::PHYADD(igb::phy::kAddress);
    write_register(client, igb::MDIC::offset(), (command | igb::MDIC::WRITE).bits());
    static_cast<void>(read_register(client, igb::STATUS::offset()));
    fixture.clock->advance(100us);
  }
  fixture.clock->advance(1s);
  EXPECT_NE(read_register(client, igb::STATUS::offset()) & igb::STATUS::Value(igb::STATUS::LU).raw(), 0u);
}

std::uint32_t read_config(VfioUserClient& client, std::uint32_t offset, unsigned width) {
  std::uint32_t value = 0;
  const auto bytes = std::as_writable_bytes(std::span(&value, 1)).first(width);
  EXPECT_EQ(client.region_read(vfio_user::kConfigRegion, offset, bytes), 0);
  return value;
}

void write_config(VfioUserClient& client, std::uint32_t offset, unsigned width, std::uint32_t value) {
  EXPECT_EQ(client.region_write(vfio_user::kConfigRegion, offset, std::as_bytes(std::span(&value, 1)).first(width)), 0);
}

}  // namespace pollux::test
