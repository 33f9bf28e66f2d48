// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/pci/names.hpp"

#include <array>
#include <csetjmp>

extern "C" {
#include <pci/pci.h>
}

// libpci ends the process when it meets an error, out of memory or a damaged list of names, and forbids a handler of
// ours to return. So the handler jumps back to the call that asked, which is a plain C frame but for ours in
// `Fence::lookup`, where nothing lives that has a destructor. The handler gets no pointer of ours, hence the
// thread-local one; it is set only during a lookup. pci_init is never called: names do not need it, and it touches
// hardware.
namespace pollux::pci {
namespace {

thread_local std::jmp_buf* way_out = nullptr;

extern "C" {
// The GNU spelling makes it part of the function's type, as libpci's declaration has it.
__attribute__((noreturn)) void leave_libpci(char* /*message*/, ...) { std::longjmp(*way_out, 1); }
void ignore_message(char* /*message*/, ...) {}
}

// The machine's list alone: no cache in somebody's home directory, no hwdb, no network.
constexpr int kListOnly = PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB;

using NameBuffer = std::array<char, 256>;

struct Question {
  int kind;
  int first;
  int second;
};

/// False after libpci gave up.
bool ask(pci_access* access, const Question& question, NameBuffer& buffer, const char*& name) {
  std::jmp_buf here;
  way_out = &here;
  if (setjmp(here) != 0) {  // NOLINT: the only way out of libpci
    way_out = nullptr;
    return false;
  }
  name = pci_lookup_name(access, buffer.data(), static_cast<int>(buffer.size()), question.kind | kListOnly,
                         question.first, question.second);
  way_out = nullptr;
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

  std::string lookup(const Question& question) {
    if (broken_) return {};
    NameBuffer buffer{};
    const char* name = nullptr;
    broken_ = !ask(access_, question, buffer, name);
    return broken_ || name == nullptr ? std::string() : std::string(name);
  }

 private:
  std::string list_;  ///< libpci keeps a pointer to it
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

}  // namespace pollux::pci
