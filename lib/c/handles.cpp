// SPDX-License-Identifier: BSD-3-Clause
#include "c/handles.hpp"

#include <fmt/format.h>

#include <array>

namespace pollux::c {
namespace {

/// The codes of pollux.h from 1 on.
constexpr std::array kCodes{
    ErrorCode::invalid_argument,  ErrorCode::bad_state,      ErrorCode::not_found,        ErrorCode::not_supported,
    ErrorCode::permission_denied, ErrorCode::busy,           ErrorCode::no_memory,        ErrorCode::timeout,
    ErrorCode::io_error,          ErrorCode::device_removed, ErrorCode::device_fault,     ErrorCode::no_iommu,
    ErrorCode::module_not_loaded, ErrorCode::not_bound,      ErrorCode::group_not_viable, ErrorCode::group_in_use,
    ErrorCode::memlock_too_small, ErrorCode::mapping_limit,  ErrorCode::in_use_by_host};
static_assert(kCodes.size() == POLLUX_IN_USE_BY_HOST && kCodes[POLLUX_NO_IOMMU - 1] == ErrorCode::no_iommu);

pollux_code code_of(ErrorCode code) noexcept {
  const auto* const found = std::ranges::find(kCodes, code);
  return found == kCodes.end() ? POLLUX_IO_ERROR : static_cast<pollux_code>(found - kCodes.begin() + 1);
}

/// Appends to a message of limited length. A text that does not fit ends with "...", after a whole character.
class Message {
 public:
  explicit Message(char (&room)[sizeof pollux_error::message]) noexcept : room_(room) {}

  void add(std::string_view text) noexcept {
    constexpr std::size_t kRoom = sizeof pollux_error::message - 1;
    const std::size_t fits = std::min(text.size(), kRoom - length_);
    std::memcpy(room_ + length_, text.data(), fits);
    length_ += fits;
    room_[length_] = '\0';
    if (fits == text.size()) return;
    constexpr std::string_view kMore = "...";
    std::size_t end = kRoom - kMore.size();
    while (end != 0 && (static_cast<unsigned char>(room_[end]) & 0xC0) == 0x80) --end;
    std::memcpy(room_ + end, kMore.data(), kMore.size());
    room_[end + kMore.size()] = '\0';
    length_ = kRoom;
  }

 private:
  char* room_;
  std::size_t length_ = 0;
};

}  // namespace

pollux_code note_success(pollux_error* error) noexcept {
  if (error != nullptr) {
    error->code = POLLUX_OK;
    error->message[0] = '\0';
  }
  return POLLUX_OK;
}

pollux_code note(pollux_error* error, ErrorCode code, std::string_view what, std::string_view hint) noexcept {
  const pollux_code number = code_of(code);
  if (error != nullptr) {
    error->code = number;
    error->message[0] = '\0';
    Message message(error->message);
    message.add(what);
    if (!hint.empty()) {
      message.add(": ");
      message.add(hint);
    }
  }
  return number;
}

pollux_code note_exception(pollux_error* error) noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return note(error, ErrorCode::no_memory, "the program has no memory left", "give it more");
  } catch (const std::exception& exception) {
    return note(error, ErrorCode::io_error, exception.what(), "report this as a fault of the library");
  } catch (...) {
    return note(error, ErrorCode::io_error, "an unknown exception", "report this as a fault of the library");
  }
}

Result<void> need(const void* object, const char* name) {
  if (object != nullptr) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("`{}` is NULL", name),
              "pass what the call that opened it has returned, and check that for NULL");
}

Result<void> check_size(const void* options, std::size_t size, std::size_t least, std::size_t known, const char* name) {
  if (size < least) {
    return fail(ErrorCode::invalid_argument, fmt::format("the size of {} is {}", name, size),
                fmt::format("set .size = sizeof({})", name));
  }
  const auto* const bytes = static_cast<const unsigned char*>(options);
  if (size <= known || std::all_of(bytes + known, bytes + size, [](unsigned char byte) { return byte == 0; }))
    return {};
  return fail(ErrorCode::not_supported, fmt::format("{} has members set that this library does not know", name),
              fmt::format("use a library as new as the header: this one is {}", POLLUX_VERSION));
}

}  // namespace pollux::c

using namespace pollux::c;

const char* pollux_code_name(pollux_code code) {
  if (code == POLLUX_OK) return "ok";
  const auto index = static_cast<std::size_t>(code) - 1;
  return index < kCodes.size() ? pollux::to_string(kCodes[index]).data() : "unknown";
}

const char* pollux_version() { return POLLUX_VERSION; }

void pollux_text_free(char* text) { delete[] text; }
