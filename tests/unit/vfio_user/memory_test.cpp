// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/memfd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "pollux/device/device_model.hpp"
#include "servers/vfio_user/client_memory.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace vfio_user;
constexpr std::uint64_t kPage = 4096;

/// The server's card, as it sees memory.
std::byte* at(ServerFixture& fixture, std::uint64_t address, std::size_t length) {
  return dynamic_cast<ModelDma&>(fixture.server().device().dma_domain()).translate(address, length);
}

TEST(VfioUserMemory, IsReachedByTheCardAtTheClientsAddress) {
  ServerFixture fixture;
  auto client = fixture.client();
  const FileDescriptor file = memory_file(4 * kPage);
  ASSERT_EQ(client->map(0x100000, 2 * kPage, file.get(), kPage), 0);
  std::byte* const seen = at(fixture, 0x100000 + 16, 4);
  ASSERT_NE(seen, nullptr);
  std::memcpy(seen, "card", 4);
  std::array<char, 4> written{};
  ASSERT_EQ(::pread(file.get(), written.data(), written.size(), kPage + 16), 4);
  EXPECT_EQ(std::string_view(written.data(), 4), "card");
  EXPECT_EQ(at(fixture, 0x100000 - 1, 1), nullptr);
  EXPECT_EQ(at(fixture, 0x100000 + 2 * kPage - 2, 4), nullptr);
  ASSERT_EQ(client->unmap(0x100000, 2 * kPage), 0);
  EXPECT_EQ(at(fixture, 0x100000 + 16, 4), nullptr);
}

TEST(VfioUserMemory, RejectsOverlapsAndRangesThatAreNotMapped) {
  ServerFixture fixture;
  auto client = fixture.client();
  const FileDescriptor file = memory_file(16 * kPage);
  ASSERT_EQ(client->map(4 * kPage, 4 * kPage, file.get(), 0), 0);
  for (const auto& [page, pages] : {std::pair{4U, 4U}, {3U, 2U}, {7U, 1U}, {2U, 8U}, {5U, 1U}}) {
    EXPECT_EQ(client->map(page * kPage, pages * kPage, file.get(), 0), EEXIST) << page << ' ' << pages;
    EXPECT_EQ(client->map(page * kPage, pages * kPage, -1, 0), EEXIST) << page << ' ' << pages;
  }
  EXPECT_EQ(client->map(3 * kPage, kPage, file.get(), 0), 0);
  EXPECT_EQ(client->map(8 * kPage, kPage, file.get(), 0), 0);
  EXPECT_EQ(client->unmap(4 * kPage, 2 * kPage), ENOENT);
  EXPECT_EQ(client->unmap(5 * kPage, 3 * kPage), ENOENT);
  EXPECT_EQ(client->unmap(4 * kPage, 4 * kPage), 0);
  EXPECT_EQ(client->unmap(4 * kPage, 4 * kPage), ENOENT);
}

TEST(VfioUserMemory, MayBeReadOnly) {
  ServerFixture fixture;
  auto client = fixture.client();
  const FileDescriptor file = memory_file(2 * kPage);
  ASSERT_EQ(::pwrite(file.get(), "client", 6, kPage), 6);
  // The file itself may be read-only, too.
  const FileDescriptor reader(::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(client->map(4 * kPage, kPage, reader.get(), kPage, DmaMap::kReadable), 0);
  auto& card = dynamic_cast<ModelDma&>(fixture.server().device().dma_domain());
  const std::byte* const seen = card.translate_for_read(4 * kPage, 6);
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(std::memcmp(seen, "client", 6), 0);
  EXPECT_EQ(card.translate(4 * kPage, 6), nullptr) << "a write would end the server";
  EXPECT_EQ(client->unmap(4 * kPage, kPage), 0);
  EXPECT_EQ(card.translate_for_read(4 * kPage, 6), nullptr);
}

TEST(VfioUserMemory, CannotBeReachedWithoutADescriptorOrAPermissionToRead) {
  ServerFixture fixture;
  auto client = fixture.client();
  const FileDescriptor file = memory_file(kPage);
  EXPECT_EQ(client->map(kPage, kPage, -1, 0), 0);
  EXPECT_EQ(client->map(2 * kPage, kPage, file.get(), 0, DmaMap::kWritable), 0);
  EXPECT_EQ(at(fixture, kPage, 4), nullptr);
  EXPECT_EQ(at(fixture, 2 * kPage, 4), nullptr);
  EXPECT_EQ(client->unmap(kPage, kPage), 0);
  EXPECT_EQ(client->unmap(2 * kPage, kPage), 0);
}

TEST(VfioUserMemory, RejectsInvalidRequests) {
  ServerFixture fixture;
  auto client = fixture.client();
  const FileDescriptor file = memory_file(2 * kPage);
  const auto map = [&](DmaMap request) {
    const std::array descriptors{file.get()};
    return client->error_of(Command::dma_map, packed(request), descriptors);
  };
  EXPECT_EQ(map({8, 3, 0, kPage, kPage}), EINVAL);
  EXPECT_EQ(map({32, 0, 0, kPage, kPage}), EINVAL);
  EXPECT_EQ(map({32, 7, 0, kPage, kPage}), EINVAL);
  EXPECT_EQ(map({32, 3, 0, kPage, 0}), EINVAL);
  EXPECT_EQ(map({32, 3, 0, kPage + 1, kPage}), EINVAL);
  EXPECT_EQ(map({32, 3, 0, kPage, 100}), EINVAL);
  EXPECT_EQ(map({32, 3, 1, kPage, kPage}), EINVAL);
  EXPECT_EQ(map({32, 3, 0, ~std::uint64_t{0} - kPage + 1, 2 * kPage}), EINVAL) << "wraps";
  EXPECT_EQ(map({32, 3, kPage, kPage, 2 * kPage}), EINVAL) << "beyond the file's end";
  EXPECT_EQ(map({32, 3, ~std::uint64_t{0} - kPage + 1, kPage, kPage}), EINVAL) << "beyond the file's end";
  const std::array twice{file.get(), file.get()};
  EXPECT_EQ(client->error_of(Command::dma_map, packed(DmaMap{32, 3, 0, kPage, kPage}), twice), EINVAL);
  EXPECT_EQ(client->error_of(Command::dma_unmap, packed(DmaUnmap{24, 1, kPage, kPage})), EINVAL);
  EXPECT_EQ(client->error_of(Command::dma_unmap, packed(DmaUnmap{24, DmaUnmap::kAll, kPage, kPage})), EINVAL);
  EXPECT_EQ(map({32, 3, 0, kPage, kPage}), 0);
}

TEST(VfioUserMemory, AcceptsOnlyFilesInMemory) {
  ServerFixture fixture;
  auto client = fixture.client();
  const FileDescriptor event(::eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(client->map(kPage, kPage, event.get(), 0), EINVAL);
  // A file that may only be read cannot be mapped for writing.
  const FileDescriptor file = memory_file(kPage);
  const FileDescriptor reader(::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(client->map(kPage, kPage, reader.get(), 0), EACCES);
}

TEST(VfioUserMemory, ItsLossEndsThatClientAlone) {
  const BusErrorGuard guard;
  ServerFixture fixture({"sim:0", "sim:1"});
  auto client = fixture.client();
  auto other = fixture.client(1);
  const FileDescriptor file = memory_file(4 * kPage);
  ASSERT_EQ(client->map(0, 4 * kPage, file.get(), 0), 0);
  std::memcpy(at(fixture, kPage, 4), "card", 4);
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  auto* const taken = reinterpret_cast<volatile char*>(at(fixture, kPage, 4));
  EXPECT_EQ(taken[0], 0);
  taken[1] = 'x';
  EXPECT_EQ(taken[1], 'x');
  EXPECT_TRUE(client->closed());
  EXPECT_TRUE(fixture.has_logged("took away memory"));
  EXPECT_EQ(read_config(*other, 0, 4), 0x10C98086u);
  EXPECT_TRUE(fixture.servers[1]->has_client());
}

std::size_t mappings_of_this_process() {
  std::ifstream maps("/proc/self/maps");
  return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

// A process may have some 65,530 mappings. Beyond them a handler that replaces single pages has to give up.
TEST(VfioUserMemory, ItsLossCostsNoMappings) {
  const BusErrorGuard guard;
  ServerFixture fixture;
  auto client = fixture.client();
  constexpr std::uint64_t kBytes = 16384 * kPage;
  const FileDescriptor file = memory_file(kBytes);
  ASSERT_EQ(client->map(0, kBytes, file.get(), 0), 0);
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  const std::size_t before = mappings_of_this_process();
  for (std::uint64_t page = 0; page < kBytes / kPage; page += 2) {
    const auto* const taken = reinterpret_cast<const volatile char*>(at(fixture, page * kPage, 1));
    ASSERT_EQ(*taken, 0);
  }
  EXPECT_LE(mappings_of_this_process(), before + 2);
}

TEST(VfioUserMemory, OfOthersEndsTheProcessIfItIsLost) {
  EXPECT_EXIT(
      {
        const BusErrorGuard guard;
        const FileDescriptor file = memory_file(kPage);
        void* const memory = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        if (::ftruncate(file.get(), 0) == 0) *static_cast<volatile char*>(memory) = 'x';
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGBUS), "");
}

// QEMU maps RAM in huge pages by ranges that begin and end within them.
TEST(VfioUserMemory, MayBePartsOfHugePages) {
  ServerFixture fixture;
  auto client = fixture.client();
  constexpr std::uint64_t kHuge = std::uint64_t{2} << 20;
  const FileDescriptor file(::memfd_create("pollux test", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB));
  if (!file) GTEST_SKIP() << "this kernel has no huge pages of 2 MiB";
  ASSERT_EQ(::ftruncate(file.get(), kHuge * 2), 0);
  const std::size_t before = mappings_of_this_process();
  EXPECT_EQ(client->map(kHuge, kHuge + kPage, file.get(), kPage), 0);
  EXPECT_NE(at(fixture, kHuge, kHuge + kPage), nullptr);
  EXPECT_EQ(client->unmap(kHuge, kHuge + kPage), 0);
  EXPECT_EQ(mappings_of_this_process(), before);
}

TEST(VfioUserMemory, HasABoundedNumberOfMappings) {
  ServerFixture fixture;
  auto client = fixture.client();
  for (unsigned i = 0; i < kMaxMappings; ++i) ASSERT_EQ(client->map(2 * i * kPage, kPage, -1, 0), 0) << i;
  EXPECT_EQ(client->map(2 * kMaxMappings * kPage, kPage, -1, 0), ENOSPC);
  EXPECT_EQ(client->error_of(Command::dma_unmap, packed(DmaUnmap{24, DmaUnmap::kAll, 0, 0})), 0);
  EXPECT_EQ(client->map(2 * kMaxMappings * kPage, kPage, -1, 0), 0);
}

TEST(VfioUserMemory, OfOneClientLeavesAddressSpaceToOthers) {
  ServerFixture fixture({"sim:0", "sim:1"});
  auto client = fixture.client(0);
  auto neighbour = fixture.client(1);
  const std::uint64_t part = kMaxMappedBytes / 4;
  const FileDescriptor file(::memfd_create("pollux test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(part)), 0);
  for (std::uint64_t i = 1; i <= 4; ++i) ASSERT_EQ(client->map(i * part, part, file.get(), 0), 0) << i;
  EXPECT_EQ(client->map(5 * part, kPage, file.get(), 0), ENOSPC);
  EXPECT_EQ(client->map(5 * part, part, file.get(), 0), ENOSPC);
  EXPECT_TRUE(fixture.has_logged("4 TiB"));
  EXPECT_EQ(std::ranges::count_if(fixture.log, [](const auto& line) { return line.find("4 TiB") != line.npos; }), 1);
  EXPECT_EQ(neighbour->map(part, part, file.get(), 0), 0) << "each client has its own share";
  EXPECT_EQ(client->unmap(2 * part, part), 0);
  EXPECT_EQ(client->map(5 * part, part, file.get(), 0), 0) << "what it has unmapped counts no more";
  EXPECT_EQ(read_config(*neighbour, 0, 4), 0x10C98086u);
}

TEST(VfioUserMemory, IsUnmappedWhenTheClientHasGone) {
  ServerFixture fixture;
  auto client = fixture.client();
  const FileDescriptor file = memory_file(kPage);
  ASSERT_EQ(client->map(kPage, kPage, file.get(), 0), 0);
  ASSERT_NE(at(fixture, kPage, 4), nullptr);
  client.reset();
  fixture.pump();
  EXPECT_FALSE(fixture.server().has_client());
  EXPECT_EQ(at(fixture, kPage, 4), nullptr);
}

}  // namespace
}  // namespace pollux::test
