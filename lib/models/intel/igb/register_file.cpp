// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/register_file.hpp"

#include "hw/intel/igb/limits.hpp"

namespace pollux::models::igb {

RegisterFile::RegisterFile() : words_(hw::kRegisterBytes / 4), read_hooks_(1), write_hooks_(1) {
  for (const RegisterInfo& info : hw::kRegisters) add_register(info);
}

void RegisterFile::add_register(const RegisterInfo& info) {
  for (std::uint32_t i = 0; i < info.stride.count; ++i) {
    Word& word = words_[info.at(i) / 4];
    word.target = static_cast<std::uint16_t>(info.at(i) / 4);
    word.index = static_cast<std::uint16_t>(i);
    registers_.push_back(word.target);
    word.access = info.access;
    word.known = true;
  }
  for (std::uint32_t i = 0; i < info.alias.count; ++i) {
    Word& word = words_[(info.alias.offset + i * info.alias.bytes) / 4];
    word.target = static_cast<std::uint16_t>(info.at(i) / 4);
    word.known = true;
  }
}

RegisterFile::Word* RegisterFile::find(std::uint32_t offset) {
  if (offset / 4 < words_.size() && offset % 4 == 0 && words_[offset / 4].known) {
    return &words_[words_[offset / 4].target];
  }
  ++unknown_accesses_;
  return nullptr;
}

std::uint32_t RegisterFile::read(std::uint32_t offset) {
  Word* const word = find(offset);
  if (word == nullptr) return 0;
  if (word->read_hook != 0) return read_hooks_[word->read_hook](word->index);
  if (word->access == Access::wo) return 0;
  const std::uint32_t value = word->value;
  if (clears_on_read(word->access)) word->value = 0;
  return value;
}

void RegisterFile::write(std::uint32_t offset, std::uint32_t value) {
  Word* const word = find(offset);
  if (word == nullptr) return;
  if (word->write_hook != 0) return write_hooks_[word->write_hook](word->index, value);
  switch (word->access) {
    case Access::rw:
    case Access::rw_rc:
    case Access::wo: word->value = value; return;
    case Access::w1c:
    case Access::rc_w1c: word->value &= ~value; return;
    case Access::ro:
    case Access::rc: return;
  }
}

void RegisterFile::clear() {
  for (const std::uint16_t number : registers_) words_[number].value = 0;
}

}  // namespace pollux::models::igb
