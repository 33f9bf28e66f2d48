// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/session.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace pollux::vfio_user {

// The header is received alone. A larger read could also return the next message, and its descriptors with it.
bool Connection::receive() {
  if (closed()) return false;
  if (std::exchange(whole_, false)) {
    received_ = 0;
    descriptors_.clear();
  }
  if (received_ < sizeof header_) {
    received_ += read(std::as_writable_bytes(std::span(&header_, 1)).subspan(received_), true);
    if (received_ < sizeof header_ || !accept_header()) return false;
  }
  const std::size_t have = received_ - sizeof header_;
  if (have < payload_.size()) received_ += read(std::span(payload_).subspan(have), false);
  whole_ = !closed() && received_ == header_.size;
  return whole_;
}

bool Connection::accept_header() {
  if ((header_.flags & Header::kType) != Header::kCommand) {
    close("it sent a reply to a command that it did not get");
  } else if (header_.size < sizeof header_ || header_.size - sizeof header_ > kMaxPayload) {
    close("it sent a message of invalid size");
  } else {
    payload_.resize(header_.size - sizeof header_);
  }
  return !closed();
}

namespace {

/// Memory (memfd, tmpfs, hugetlbfs: files that have seals) or an eventfd, which a command may need. No file system is
/// asked, since that of the client may not answer.
bool is_expected(const FileDescriptor& descriptor) {
  return ::fcntl(descriptor.get(), F_GET_SEALS) >= 0 || is_eventfd(descriptor.get());
}

/// As many as a message can have: what has no room is closed by the kernel, in this thread. Linux, include/net/scm.h.
constexpr std::size_t kRoom = 253;

}  // namespace

std::size_t Connection::read(std::span<std::byte> bytes, bool with_descriptors) {
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kRoom * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  descriptors_.reserve(descriptors_.size() + kRoom);  // so that none is lost for lack of memory
  const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) close("the socket failed");
    return 0;
  }
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t descriptors = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < descriptors; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof number, sizeof number);
      descriptors_.emplace_back(number);
    }
    if (!with_descriptors) close("it sent descriptors inside a message");
  }
  if (!std::ranges::all_of(descriptors_, is_expected)) {
    close_elsewhere(std::exchange(descriptors_, {}), closes_);
    close("it sent a file that is neither memory (memfd, tmpfs, hugetlbfs) nor an eventfd");
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || descriptors_.size() > kMaxDescriptors) {
    close("it sent too many descriptors with a message");
  }
  if (count == 0) close("it closed the connection");
  return static_cast<std::size_t>(count);
}

void Connection::reply(std::span<const std::byte> payload) {
  Header header = header_;
  header.size = static_cast<std::uint32_t>(sizeof header + payload.size());
  header.flags = Header::kReply;
  header.error = 0;
  send(header, payload);
}

void Connection::reply_error(int error) {
  Header header = header_;
  header.size = sizeof header;
  header.flags = Header::kReply | Header::kError;
  header.error = static_cast<std::uint32_t>(error);
  send(header, {});
}

void Connection::send(const Header& header, std::span<const std::byte> payload) {
  if (closed()) return;
  const auto head = std::as_bytes(std::span(&header, 1));
  std::array<iovec, 2> data{iovec{const_cast<std::byte*>(head.data()), head.size()},
                            iovec{const_cast<std::byte*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = data.data();
  message.msg_iovlen = data.size();
  const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return close("the socket failed");
  const auto sent = static_cast<std::size_t>(count < 0 ? 0 : count);
  if (sent < head.size()) {
    unsent_.assign(head.begin() + static_cast<std::ptrdiff_t>(sent), head.end());
    unsent_.insert(unsent_.end(), payload.begin(), payload.end());
  } else {
    const auto rest = payload.subspan(sent - head.size());
    unsent_.assign(rest.begin(), rest.end());
  }
}

void Connection::send_unsent() {
  if (closed() || unsent_.empty()) return;
  const ssize_t count = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return close("the socket failed");
  if (count > 0) unsent_.erase(unsent_.begin(), unsent_.begin() + count);
}

namespace {

/// The server's capabilities. Those of the client do not change what the server does, so they are not read: the server
/// sends no commands and no descriptors, and a client chooses the size of each transfer itself.
constexpr std::string_view kCapabilities =
    R"({"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"max_dma_maps":2048,"pgsizes":4096,)"
    R"("write_multiple":true}})";
/// Bytes of a region that are written before the time is read again: one access, which may be a doorbell.
constexpr std::size_t kWriteStep = 4;

constexpr std::string_view kMemoryIsFull =
    "the client was refused memory, since it has 4 TiB or 2,048 ranges mapped: give its guest less memory";

static_assert(kMaxMappedBytes == std::uint64_t{4} << 40);
static_assert(kMaxDescriptors == 16 && kMaxTransfer == 1048576 && kMaxMappings == 2048 && kPageSize == 4096);

}  // namespace

Session::Session(PeerSocket socket, std::shared_ptr<const void> closes, Device& device, Regions& regions,
                 Interrupts& interrupts, const Clock& clock)
    : connection_(std::move(socket), std::move(closes)),
      device_(device),
      regions_(regions),
      interrupts_(interrupts),
      clock_(clock),
      memory_(device.dma_domain()),
      stalled_since_(clock.now()) {}

Session::~Session() {
  interrupts_.release();
  interrupts_.close(connection_.descriptors());
}

short Session::events() const noexcept { return connection_.has_unsent() ? POLLOUT : POLLIN; }

bool Session::work() {
  const Time now = clock_.now();
  turn_ends_ = now + kMaxTurn;
  const bool had_unsent = connection_.has_unsent();
  connection_.send_unsent();
  bool progress = had_unsent && !connection_.has_unsent();
  for (unsigned i = 0; i < kMaxCommands && has_time() && !connection_.has_unsent(); ++i) {
    const bool continues = !writes_.empty();
    if (!continues && !connection_.receive()) break;
    progress = true;
    if (!continues) reply_.clear();
    const int error = continues ? continue_writes() : process();
    interrupts_.close(connection_.descriptors());
    if (!writes_.empty()) break;
    if ((connection_.header().flags & Header::kNoReply) != 0) continue;
    error == 0 ? connection_.reply(reply_) : connection_.reply_error(error);
  }
  if (memory_.is_lost()) connection_.close("it took away memory that it had passed");
  update_stall(now, progress);
  return !connection_.closed();
}

// A client without a version has not shown yet that it speaks the protocol.
void Session::update_stall(Time now, bool progress) {
  if (has_version_ && !connection_.has_unsent() && !connection_.is_in_message()) {
    stalled_since_.reset();
  } else if (progress || !stalled_since_) {
    stalled_since_ = now;
  } else if (now >= deadline()) {
    connection_.close(connection_.has_unsent() ? "it does not take its replies" : "it stopped before a message's end");
  }
}

int Session::process() {
  const auto payload = connection_.payload();
  const Command command = connection_.header().command;
  if (!has_version_ && command != Command::version) return EINVAL;
  const bool may_have_descriptors = command == Command::dma_map || command == Command::device_set_irqs;
  if (!may_have_descriptors && !connection_.descriptors().empty()) return EINVAL;
  switch (command) {
    case Command::version: return version(payload);
    case Command::dma_map: return dma_map(payload);
    case Command::dma_unmap: return dma_unmap(payload);
    case Command::device_get_info: return device_info(payload);
    case Command::device_get_region_info: return region_info(payload);
    case Command::device_get_irq_info: return irq_info(payload);
    case Command::device_set_irqs: return set_irqs(payload);
    case Command::region_read: return region_read(payload);
    case Command::region_write: return region_write(payload);
    case Command::region_write_multi: return region_write_multi(payload);
    case Command::device_reset: return payload.empty() ? reset() : EINVAL;
    default: return ENOTSUP;
  }
}

int Session::version(std::span<const std::byte> payload) {
  const auto proposed = take<Version>(payload);
  if (!proposed || has_version_) return EINVAL;
  if (!payload.empty() && payload.back() != std::byte{0}) return EINVAL;
  if (proposed->major != 0) {
    connection_.close("it speaks another version of the protocol");
    return EINVAL;
  }
  has_version_ = true;
  put(Version{0, 0});
  const auto capabilities = std::as_bytes(std::span(kCapabilities));
  reply_.insert(reply_.end(), capabilities.begin(), capabilities.end());
  reply_.push_back(std::byte{0});
  return 0;
}

int Session::dma_map(std::span<const std::byte> payload) {
  const auto request = take<DmaMap>(payload);
  if (!request || !payload.empty()) return EINVAL;
  const int error = memory_.map(*request, connection_.descriptors());
  if (memory_.is_full() && !std::exchange(was_full_, true)) notice_ = kMemoryIsFull;
  return error;
}

int Session::dma_unmap(std::span<const std::byte> payload) {
  const auto request = take<DmaUnmap>(payload);
  if (!request || !payload.empty()) return EINVAL;
  put(*request);
  return memory_.unmap(*request);
}

int Session::device_info(std::span<const std::byte> payload) {
  const auto request = take<DeviceInfo>(payload);
  if (!request || request->argsz < sizeof *request) return EINVAL;
  put(DeviceInfo{sizeof(DeviceInfo), DeviceInfo::kReset | DeviceInfo::kPci, kRegions, kIrqs});
  return 0;
}

int Session::region_info(std::span<const std::byte> payload) {
  const auto request = take<RegionInfo>(payload);
  if (!request || request->argsz < sizeof *request || request->index >= kRegions) return EINVAL;
  RegionInfo info;
  info.argsz = sizeof info;
  info.index = request->index;
  info.size = regions_.size(request->index);
  info.flags = info.size != 0 ? RegionInfo::kRead | RegionInfo::kWrite : 0;
  put(info);
  return 0;
}

int Session::irq_info(std::span<const std::byte> payload) {
  const auto request = take<IrqInfo>(payload);
  if (!request || request->argsz < sizeof *request || request->index >= kIrqs) return EINVAL;
  put(IrqInfo{sizeof(IrqInfo), Interrupts::flags(request->index), request->index, interrupts_.count(request->index)});
  return 0;
}

int Session::set_irqs(std::span<const std::byte> payload) {
  const auto request = take<SetIrqs>(payload);
  return request ? interrupts_.set(*request, payload, connection_.descriptors()) : EINVAL;
}

int Session::region_read(std::span<const std::byte> payload) {
  const auto request = take<RegionAccess>(payload);
  if (!request || !payload.empty() || request->count > kMaxTransfer) return EINVAL;
  if (request->count > regions_.size(request->region)) return EINVAL;
  put(*request);
  reply_.resize(sizeof *request + request->count);
  return regions_.read(request->region, request->offset, std::span(reply_).subspan(sizeof *request));
}

int Session::region_write(std::span<const std::byte> payload) {
  const auto request = take<RegionAccess>(payload);
  if (!request || payload.size() != request->count) return EINVAL;
  if (!regions_.has(request->region, request->offset, payload.size())) return EINVAL;
  put(*request);
  write_ = request;
  writes_ = payload;
  return continue_writes();
}

// Writes before an invalid one have been done, as if each had been a message.
int Session::region_write_multi(std::span<const std::byte> payload) {
  const auto count = take<std::uint64_t>(payload);
  if (!count || payload.size() % sizeof(SingleWrite) != 0 || payload.size() / sizeof(SingleWrite) != *count)
    return EINVAL;
  put(*count);
  write_.reset();
  writes_ = payload;
  return continue_writes();
}

int Session::continue_writes() {
  while (!writes_.empty() && has_time()) {
    const int error = write_some();
    if (error == 0) continue;
    writes_ = {};
    return error;
  }
  return 0;
}

int Session::write_some() {
  if (write_) {
    const std::span<const std::byte> part =
        writes_.first(std::min<std::size_t>(writes_.size(), kWriteStep - write_->offset % kWriteStep));
    writes_ = writes_.subspan(part.size());
    const std::uint64_t offset = std::exchange(write_->offset, write_->offset + part.size());
    return regions_.write(write_->region, offset, part);
  }
  const auto write = take<SingleWrite>(writes_);
  if (write->count > sizeof write->data) return EINVAL;
  return regions_.write(write->region, write->offset, std::as_bytes(std::span(&write->data, 1)).first(write->count));
}

int Session::reset() { return device_.reset() ? 0 : EIO; }

}  // namespace pollux::vfio_user
