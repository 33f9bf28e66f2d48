// SPDX-License-Identifier: BSD-3-Clause
#include "host/names.hpp"

#include <array>
#include <csetjmp>

extern "C" {
#include <pci/pci.h>
}

// libpci exits the process on an error (no memory, or a damaged list of names), and its error handler must not return.
// So the handler uses longjmp to return to `lookup_name`. All frames in between are C code, and `lookup_name` has no
// objects with destructors. libpci passes no user pointer to the handler, so the jump buffer is thread-local; it is set
// only during a lookup. pci_init is not called: names do not need it, and it accesses hardware.
namespace pollux::host {
namespace {

thread_local std::jmp_buf* escape = nullptr;

extern "C" {
// With the GNU attribute, noreturn is a part of the function's type, as in libpci's declaration.
__attribute__((noreturn)) void leave_libpci(char* /*message*/, ...) { std::longjmp(*escape, 1); }
void ignore_message(char* /*message*/, ...) {}
}

// Use only the machine's list: no cache in the home directory, no hwdb, no network.
constexpr int kListOnly = PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB;

using NameBuffer = std::array<char, 256>;

struct Lookup {
  int kind;
  int first;
  int second;
};

/// Returns false if libpci reported an error.
bool lookup_name(pci_access* access, const Lookup& request, NameBuffer& buffer, const char*& name) {
  std::jmp_buf here;
  escape = &here;
  if (setjmp(here) != 0) {  // NOLINT: libpci's error handler must not return
    escape = nullptr;
    return false;
  }
  name = pci_lookup_name(access, buffer.data(), static_cast<int>(buffer.size()), request.kind | kListOnly,
                         request.first, request.second);
  escape = nullptr;
  return true;
}

}  // namespace

class Names::Library {
 public:
  explicit Library(const std::filesystem::path& pci_ids) : list_(pci_ids.string()), access_(pci_alloc()) {
    access_->error = leave_libpci;
    access_->warning = ignore_message;
    access_->debug = ignore_message;
    access_->id_lookup_mode = 0;
    if (!list_.empty()) pci_set_name_list_path(access_, list_.data(), 0);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { pci_cleanup(access_); }

  std::string lookup(const Lookup& request) {
    if (broken_) return {};
    NameBuffer buffer{};
    const char* name = nullptr;
    broken_ = !lookup_name(access_, request, buffer, name);
    return broken_ || name == nullptr ? std::string() : std::string(name);
  }

 private:
  std::string list_;  // libpci keeps a pointer to its text
  pci_access* access_;
  bool broken_ = false;
};

Names::Names(const std::filesystem::path& pci_ids) : library_(std::make_unique<Library>(pci_ids)) {}
Names::Names(Names&&) noexcept = default;
Names& Names::operator=(Names&&) noexcept = default;
Names::~Names() = default;

std::string Names::vendor(std::uint16_t vendor_id) { return library_->lookup({PCI_LOOKUP_VENDOR, vendor_id, 0}); }

std::string Names::device(std::uint16_t vendor_id, std::uint16_t device_id) {
  return library_->lookup({PCI_LOOKUP_DEVICE, vendor_id, device_id});
}

std::string Names::device_class(std::uint32_t class_code) {
  return library_->lookup({PCI_LOOKUP_CLASS, static_cast<int>((class_code >> 8U) & 0xffffU), 0});
}

void Names::name(pci::DeviceInfo& info) {
  info.vendor_name = vendor(info.vendor);
  info.device_name = device(info.vendor, info.device);
  info.class_name = device_class(info.class_code);
}

}  // namespace pollux::host
