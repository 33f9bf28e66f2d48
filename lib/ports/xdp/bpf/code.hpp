// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace pollux::xdp {

/// Writes a BPF program instruction by instruction. Linux, Documentation/bpf/standardization/instruction-set.rst.
/// Registers are BPF_REG_0 to BPF_REG_10, sizes BPF_B, BPF_H, BPF_W and BPF_DW, operations BPF_ADD, BPF_JEQ and so on.
class BpfCode {
 public:
  /// A place to jump to, which may come later. The verifier demands that each instruction can be reached.
  enum class Label : std::size_t {};

  [[nodiscard]] Label label() {
    places_.push_back(0);
    return Label{places_.size() - 1};
  }
  void place(Label label) { places_[static_cast<std::size_t>(label)] = code_.size(); }

  void load(unsigned size, unsigned to, unsigned from, int offset) {
    emit(BPF_LDX | BPF_MEM | size, to, from, offset, 0);
  }
  void store(unsigned size, unsigned to, int offset, unsigned from) {
    emit(BPF_STX | BPF_MEM | size, to, from, offset, 0);
  }
  void store_zero(unsigned to, int offset) { emit(BPF_ST | BPF_MEM | BPF_DW, to, 0, offset, 0); }
  void move(unsigned to, std::uint32_t value) { emit(BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, value); }
  void copy(unsigned to, unsigned from) { emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  /// Of 64 bits; the value has the sign of its bit 31.
  void change(unsigned operation, unsigned to, std::uint32_t value) {
    emit(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
  }
  void change_by(unsigned operation, unsigned to, unsigned from) {
    emit(BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
  }
  /// Of 32 bits; the others become 0.
  void change32(unsigned operation, unsigned to, std::uint32_t value) {
    emit(BPF_ALU | operation | BPF_K, to, 0, 0, value);
  }
  void change32_by(unsigned operation, unsigned to, unsigned from) {
    emit(BPF_ALU | operation | BPF_X, to, from, 0, 0);
  }
  void load_constant(unsigned to, std::uint64_t value) { emit_wide(to, 0, value); }
  void load_map(unsigned to, int map) { emit_wide(to, BPF_PSEUDO_MAP_FD, static_cast<std::uint32_t>(map)); }
  /// The address of the first value of an array (Linux 5.2).
  void load_values(unsigned to, int map) { emit_wide(to, BPF_PSEUDO_MAP_VALUE, static_cast<std::uint32_t>(map)); }
  void atomic_add(unsigned to, unsigned from) { emit(BPF_STX | BPF_XADD | BPF_DW, to, from, 0, 0); }

  void jump(Label label) { emit_jump(BPF_JMP | BPF_JA, 0, 0, 0, label); }
  /// Compares the lower 32 bits (Linux 5.1).
  void jump_if(unsigned condition, unsigned left, std::uint32_t right, Label label) {
    emit_jump(BPF_JMP32 | condition | BPF_K, left, 0, right, label);
  }
  void jump_if_register(unsigned condition, unsigned left, unsigned right, Label label) {
    emit_jump(BPF_JMP | condition | BPF_X, left, right, 0, label);
  }
  void call(unsigned function) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, function); }
  /// A function of the kernel by its number in the kernel's BTF (Linux 5.13).
  void call_kernel(std::uint32_t function) { emit(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function); }
  void exit() { emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

  /// Instructions so far.
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(code_.size()); }

  /// The program, with the distances of its jumps.
  [[nodiscard]] std::vector<bpf_insn> finish() && {
    const auto distance = [this](std::size_t at, Label label) {
      return static_cast<std::ptrdiff_t>(places_[static_cast<std::size_t>(label)] - at) - 1;
    };
    for (const auto& [at, label] : jumps_) code_[at].off = static_cast<std::int16_t>(distance(at, label));
    return std::move(code_);
  }

 private:
  void emit(unsigned code, unsigned to, unsigned from, int offset, std::uint32_t value) {
    bpf_insn made{};
    made.code = static_cast<std::uint8_t>(code);
    made.dst_reg = to & 0xF;
    made.src_reg = from & 0xF;
    made.off = static_cast<std::int16_t>(offset);
    made.imm = static_cast<std::int32_t>(value);
    code_.push_back(made);
  }
  /// BPF_LD and BPF_IMM, which are 0, and BPF_DW: the only instruction of two.
  void emit_wide(unsigned to, unsigned kind, std::uint64_t value) {
    emit(BPF_DW, to, kind, 0, static_cast<std::uint32_t>(value));
    emit(0, 0, 0, 0, static_cast<std::uint32_t>(value >> 32));
  }
  void emit_jump(unsigned code, unsigned to, unsigned from, std::uint32_t value, Label label) {
    jumps_.emplace_back(code_.size(), label);
    emit(code, to, from, 0, value);
  }

  std::vector<bpf_insn> code_;
  std::vector<std::size_t> places_;
  std::vector<std::pair<std::size_t, Label>> jumps_;
};

}  // namespace pollux::xdp
