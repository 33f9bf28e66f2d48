// SPDX-License-Identifier: BSD-3-Clause
#include "net/handover/kept_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace pollux::handover {

struct KeptFile::Front {
  struct Record {
    std::uint64_t bytes;
    std::array<char, kMaxMessage> text;
  };
  std::uint32_t active;
  std::array<Record, 2> records;
};

namespace {

std::uint32_t active_of(const std::uint32_t& active) noexcept { return __atomic_load_n(&active, __ATOMIC_ACQUIRE) & 1; }

}  // namespace

Result<FileDescriptor> KeptFile::make(const std::string& name, std::uint64_t bytes) {
  FileDescriptor file(::memfd_create("pollux", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file && ::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0 &&
      ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
    return file;
  return fail_errno(ErrorCode::no_memory, fmt::format("{}: cannot make memory that is kept", name), errno);
}

Result<KeptFile> KeptFile::map(const std::string& name, int file, std::uint64_t bytes) {
  static_assert(sizeof(Front) <= kFirst);
  struct stat found {};
  // Without that seal another process could take the pages away.
  if ((::fcntl(file, F_GET_SEALS) & F_SEAL_SHRINK) == 0 || ::fstat(file, &found) != 0 ||
      static_cast<std::uint64_t>(found.st_size) < bytes) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: what was kept is not its memory", name),
                "nothing is to be done: the port starts anew");
  }
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED)
    return fail_errno(ErrorCode::no_memory, fmt::format("{}: cannot map memory that is kept", name), errno);
  static_cast<void>(::madvise(mapped, bytes, MADV_DONTFORK));
  return KeptFile(static_cast<Front*>(mapped), bytes);
}

KeptFile::~KeptFile() {
  if (front_ != nullptr) ::munmap(front_, bytes_);
}

std::byte* KeptFile::rest() const noexcept { return reinterpret_cast<std::byte*>(front_) + kFirst; }

void KeptFile::write_record(std::string_view text) noexcept {
  const std::uint32_t next = 1 - active_of(front_->active);
  Front::Record& record = front_->records[next];
  record.bytes = text.size() <= record.text.size() ? text.size() : 0;
  text.copy(record.text.data(), record.bytes);
  __atomic_store_n(&front_->active, next, __ATOMIC_RELEASE);
}

Result<Json> KeptFile::record() const {
  const Front::Record& record = front_->records[active_of(front_->active)];
  const std::uint64_t bytes = record.bytes;  // read once
  return parse({record.text.data(), bytes <= record.text.size() ? bytes : 0});
}

}  // namespace pollux::handover
