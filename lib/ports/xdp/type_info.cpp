// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/type_info.hpp"

#include <linux/btf.h>

#include <cstring>

#include "ports/xdp/bpf_calls.hpp"

namespace pollux::xdp {
namespace {

enum Type : std::uint32_t { kContext = 1, kPointer, kInt, kPrototype, kFirstFunction };

}  // namespace

TypeInfo::TypeInfo(std::span<const std::string> functions) {
  type("xdp_md", BTF_KIND_STRUCT, 0, 24);  // the kernel looks at the name alone
  type("", BTF_KIND_PTR, 0, kContext);
  type("int", BTF_KIND_INT, 0, 4);
  types_.push_back(BTF_INT_SIGNED << 24 | 32);
  type("", BTF_KIND_FUNC_PROTO, 1, kInt);
  types_.insert(types_.end(), {text("ctx"), kPointer});
  for (const std::string& name : functions) type(name, BTF_KIND_FUNC, BTF_FUNC_GLOBAL, kPrototype);
}

std::uint32_t TypeInfo::id_of(std::size_t function) noexcept {
  return kFirstFunction + static_cast<std::uint32_t>(function);
}

std::uint32_t TypeInfo::text(const std::string& word) {
  if (word.empty()) return 0;
  const auto at = static_cast<std::uint32_t>(texts_.size());
  texts_ += word + '\0';
  return at;
}

void TypeInfo::type(const std::string& name, std::uint32_t kind, std::uint32_t low, std::uint32_t what) {
  types_.insert(types_.end(), {text(name), kind << 24 | low, what});
}

FileDescriptor TypeInfo::load() const {
  btf_header head{};
  head.magic = BTF_MAGIC;
  head.version = BTF_VERSION;
  head.hdr_len = sizeof head;
  head.type_len = static_cast<std::uint32_t>(types_.size() * sizeof(std::uint32_t));
  head.str_off = head.type_len;
  head.str_len = static_cast<std::uint32_t>(texts_.size());
  std::vector<std::byte> bytes(sizeof head + head.type_len + head.str_len);
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, types_.data(), head.type_len);
  std::memcpy(bytes.data() + sizeof head + head.str_off, texts_.data(), texts_.size());
  bpf_attr attributes{};
  attributes.btf = reinterpret_cast<std::uintptr_t>(bytes.data());
  attributes.btf_size = static_cast<std::uint32_t>(bytes.size());
  return FileDescriptor(bpf(BPF_BTF_LOAD, attributes));
}

}  // namespace pollux::xdp
