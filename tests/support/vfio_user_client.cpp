// SPDX-License-Identifier: BSD-3-Clause
#include "support/vfio_user_client.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "mem/context_state.hpp"

namespace pollux::test {

using namespace vfio_user;

namespace {

/// Calls of `pump` until a reply counts as missing.
constexpr int kMaxPumps = 10000;
constexpr std::uint32_t kCommandRegister = 4;
constexpr std::uint32_t kBusMaster = 4;

}  // namespace

VfioUserClient::VfioUserClient(const std::string& path, std::function<void()> pump)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), pump_(std::move(pump)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
}

bool VfioUserClient::send_raw(std::span<const std::byte> bytes, std::span<const int> descriptors) {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(64 * sizeof(int))> control{};
  for (int i = 0; i < kMaxPumps && !bytes.empty(); ++i) {
    iovec data{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
      cmsghdr* const part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
      std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
    }
    const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN) return false;
    if (count < 0) pump_();
    if (count <= 0) continue;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    descriptors = {};
  }
  return bytes.empty();
}

bool VfioUserClient::send(Command command, std::span<const std::byte> payload, std::span<const int> descriptors,
                          std::uint32_t flags) {
  Header header;
  header.id = ++id_;
  header.command = command;
  header.size = static_cast<std::uint32_t>(sizeof header + payload.size());
  header.flags = flags;
  Bytes bytes = packed(header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return send_raw(bytes, descriptors);
}

std::optional<VfioUserClient::Reply> VfioUserClient::receive() {
  Reply reply;
  Bytes bytes;
  std::size_t wanted = sizeof(Header);
  for (int i = 0; i < kMaxPumps; ++i) {
    const std::size_t had = bytes.size();
    bytes.resize(wanted);
    const ssize_t count = ::recv(socket_.get(), bytes.data() + had, wanted - had, MSG_DONTWAIT);
    bytes.resize(had + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0 || (count < 0 && errno != EAGAIN)) return std::nullopt;
    if (bytes.size() == sizeof(Header)) {
      std::memcpy(&reply.header, bytes.data(), sizeof reply.header);
      wanted = reply.header.size;
    }
    if (bytes.size() == wanted && wanted >= sizeof(Header)) {
      reply.payload.assign(bytes.begin() + sizeof(Header), bytes.end());
      return reply;
    }
    if (count < 0) pump_();
  }
  return std::nullopt;
}

std::optional<VfioUserClient::Reply> VfioUserClient::call(Command command, std::span<const std::byte> payload,
                                                          std::span<const int> descriptors) {
  if (!send(command, payload, descriptors)) return std::nullopt;
  auto reply = receive();
  if (reply) {
    EXPECT_EQ(reply->header.id, id_);
    EXPECT_EQ(reply->header.command, command);
    EXPECT_EQ(reply->header.flags & Header::kType, Header::kReply);
  }
  return reply;
}

int VfioUserClient::error_of(Command command, std::span<const std::byte> payload, std::span<const int> descriptors) {
  const auto reply = call(command, payload, descriptors);
  return reply ? reply->error() : -1;
}

bool VfioUserClient::negotiate() {
  const auto reply = call(Command::version, packed(Version{0, 0}, '{', '}', '\0'));
  if (!reply || reply->error() != 0 || reply->payload.size() < sizeof(Version)) return false;
  Version version;
  std::memcpy(&version, reply->payload.data(), sizeof version);
  return version.major == 0 && version.minor == 0;
}

int VfioUserClient::region_read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> bytes) {
  const auto count = static_cast<std::uint32_t>(bytes.size());
  const auto reply = call(Command::region_read, packed(RegionAccess{offset, region, count}));
  if (!reply) return -1;
  if (reply->error() != 0) return reply->error();
  if (reply->payload.size() != sizeof(RegionAccess) + count) return -1;
  std::memcpy(bytes.data(), reply->payload.data() + sizeof(RegionAccess), count);
  return 0;
}

int VfioUserClient::region_write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes) {
  Bytes payload = packed(RegionAccess{offset, region, static_cast<std::uint32_t>(bytes.size())});
  payload.insert(payload.end(), bytes.begin(), bytes.end());
  return error_of(Command::region_write, payload);
}

void VfioUserClient::post_write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes) {
  Bytes payload = packed(RegionAccess{offset, region, static_cast<std::uint32_t>(bytes.size())});
  payload.insert(payload.end(), bytes.begin(), bytes.end());
  send(Command::region_write, payload, {}, Header::kNoReply);
}

int VfioUserClient::map(std::uint64_t address, std::uint64_t size, int descriptor, std::uint64_t offset,
                        std::uint32_t flags) {
  const std::array descriptors{descriptor};
  return error_of(Command::dma_map, packed(DmaMap{sizeof(DmaMap), flags, offset, address, size}),
                  std::span(descriptors).first(descriptor >= 0 ? 1 : 0));
}

int VfioUserClient::unmap(std::uint64_t address, std::uint64_t size) {
  return error_of(Command::dma_unmap, packed(DmaUnmap{sizeof(DmaUnmap), 0, address, size}));
}

bool VfioUserClient::closed() {
  std::byte byte;
  for (int i = 0; i < kMaxPumps; ++i) {
    const ssize_t count = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    if (count == 0 || (count < 0 && errno != EAGAIN)) return true;
    if (count > 0 || i == 10) return false;
    pump_();
  }
  return false;
}

class VfioUserDevice::Window final : public RemoteRegisters {
 public:
  Window(VfioUserClient& client, unsigned region) : client_(client), region_(region) {}
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override { return read_narrow(offset, 4); }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override { write_narrow(offset, 4, value); }
  [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
    std::uint32_t value = 0;
    const auto bytes = std::as_writable_bytes(std::span(&value, 1)).first(width);
    return client_.region_read(region_, offset, bytes) == 0 ? value : ~std::uint32_t{0};
  }
  void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    client_.post_write(region_, offset, std::as_bytes(std::span(&value, 1)).first(width));
  }
  void flush() noexcept override { client_.pump(); }

 private:
  VfioUserClient& client_;
  unsigned region_;
};

/// The offset of a byte in the Context's memory file is its IOVA.
class VfioUserDevice::ClientDomain final : public DmaDomain {
 public:
  ClientDomain(Context& context, VfioUserClient& client)
      : memory_(context.state()->memory_descriptor(kPageSize)), client_(client) {}
  [[nodiscard]] std::string_view name() const override { return "vfio-user client"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, (std::uint64_t{1} << 40) - 1}}; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    const int error = client_.map(segment.iova, segment.size, memory_, segment.iova);
    if (error == 0) return {};
    return fail_errno(ErrorCode::io_error, fmt::format("{:#x} cannot be mapped", segment.iova), error);
  }
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override {
    const int error = client_.unmap(segment.iova, segment.size);
    if (error == 0) return {};
    return fail_errno(ErrorCode::io_error, fmt::format("{:#x} cannot be unmapped", segment.iova), error);
  }

 private:
  int memory_;
  VfioUserClient& client_;
};

VfioUserDevice::VfioUserDevice(Context& context, const std::string& path, std::function<void()> pump)
    : context_(context), client_(path, std::move(pump)), domain_(std::make_shared<ClientDomain>(context, client_)) {
  EXPECT_TRUE(client_.negotiate());
  const auto attached = context_.attach(domain_);
  EXPECT_TRUE(attached) << attached.error().message();
}

VfioUserDevice::~VfioUserDevice() {
  EXPECT_TRUE(set_bus_master(false));
  context_.detach(*domain_);
}

DmaDomain& VfioUserDevice::dma_domain() { return *domain_; }

PciIdentity VfioUserDevice::identity() const {
  auto& self = const_cast<VfioUserDevice&>(*this);
  return {.vendor = static_cast<std::uint16_t>(self.read_config(0x00, 2).value_or(0)),
          .device = static_cast<std::uint16_t>(self.read_config(0x02, 2).value_or(0)),
          .subsystem_vendor = static_cast<std::uint16_t>(self.read_config(0x2C, 2).value_or(0)),
          .subsystem_device = static_cast<std::uint16_t>(self.read_config(0x2E, 2).value_or(0)),
          .revision = static_cast<std::uint8_t>(self.read_config(0x08, 1).value_or(0))};
}

Result<std::uint32_t> VfioUserDevice::read_config(std::uint32_t offset, unsigned width) {
  std::uint32_t value = 0;
  const auto bytes = std::as_writable_bytes(std::span(&value, 1)).first(width);
  const int error = client_.region_read(kConfigRegion, offset, bytes);
  if (error != 0) return fail_errno(ErrorCode::io_error, "configuration space cannot be read", error);
  return value;
}

Result<void> VfioUserDevice::write_config(std::uint32_t offset, unsigned width, std::uint32_t value) {
  const int error = client_.region_write(kConfigRegion, offset, std::as_bytes(std::span(&value, 1)).first(width));
  if (error != 0) return fail_errno(ErrorCode::io_error, "configuration space cannot be written", error);
  return {};
}

Result<Bar> VfioUserDevice::bar(unsigned index) {
  const auto reply =
      client_.call(Command::device_get_region_info, packed(RegionInfo{sizeof(RegionInfo), 0, index, 0, 0, 0}));
  RegionInfo info;
  if (reply && reply->payload.size() == sizeof info) std::memcpy(&info, reply->payload.data(), sizeof info);
  if (info.size == 0 || index >= windows_.size())
    return fail(ErrorCode::invalid_argument, fmt::format("{} has no base address register {}", name_, index));
  if (windows_[index] == nullptr) windows_[index] = std::make_unique<Window>(client_, index);
  return Bar(*windows_[index], info.size);
}

Result<void> VfioUserDevice::set_bus_master(bool enabled) {
  const auto command = read_config(kCommandRegister, 2);
  if (!command) return tl::unexpected(command.error());
  return write_config(kCommandRegister, 2, enabled ? *command | kBusMaster : *command & ~kBusMaster);
}

Result<void> VfioUserDevice::reset() {
  const int error = client_.error_of(Command::device_reset, {});
  if (error != 0) return fail_errno(ErrorCode::io_error, "the card cannot be reset", error);
  return {};
}

unsigned VfioUserDevice::interrupt_vectors() const {
  const auto reply = client_.call(Command::device_get_irq_info, packed(IrqInfo{sizeof(IrqInfo), 0, kMsix, 0}));
  IrqInfo info;
  if (reply && reply->payload.size() == sizeof info) std::memcpy(&info, reply->payload.data(), sizeof info);
  return info.count;
}

// One vector for each message, as QEMU does.
Result<std::span<const int>> VfioUserDevice::enable_interrupts(unsigned count) {
  events_.clear();
  event_numbers_.clear();
  SetIrqs request{sizeof(SetIrqs), SetIrqs::kDataNone | SetIrqs::kTrigger, kMsix, 0, 0};
  int error = client_.error_of(Command::device_set_irqs, packed(request));
  for (unsigned vector = 0; vector < count && error == 0; ++vector) {
    events_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    event_numbers_.push_back(events_.back().get());
    request = {sizeof(SetIrqs), SetIrqs::kDataEventfd | SetIrqs::kTrigger, kMsix, vector, 1};
    error = client_.error_of(Command::device_set_irqs, packed(request), std::span(event_numbers_).last(1));
  }
  if (error != 0) return fail_errno(ErrorCode::io_error, "interrupts cannot be enabled", error);
  return std::span<const int>(event_numbers_);
}

}  // namespace pollux::test
