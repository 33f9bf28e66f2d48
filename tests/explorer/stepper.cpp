// SPDX-License-Identifier: BSD-3-Clause
#include "explorer/stepper.hpp"

#include <ucontext.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <utility>

namespace pollux::test {

#if defined(__x86_64__)

namespace {

struct Stepping {
  std::function<bool(const SteppedThread&)> between;
  std::span<const std::byte> memory;
  std::uintptr_t stack = 0;  // the code's part of the stack lies below
};
Stepping stepping;

std::uint64_t mixed(std::uint64_t digest, std::uint64_t word) { return (digest ^ word) * 0x100000001B3; }

std::uint64_t digest_of(const mcontext_t& thread) {
  constexpr greg_t kArithmeticFlags = 0x8D5;
  constexpr std::uintptr_t kRedZone = 128;
  std::uint64_t digest = 0xCBF29CE484222325;
  for (int i = REG_R8; i <= REG_RIP; ++i) digest = mixed(digest, static_cast<std::uint64_t>(thread.gregs[i]));
  digest = mixed(digest, static_cast<std::uint64_t>(thread.gregs[REG_EFL] & kArithmeticFlags));
  for (const _libc_xmmreg& vector : thread.fpregs->_xmm) {
    for (const std::uint32_t word : vector.element) digest = mixed(digest, word);
  }
  const auto top = static_cast<std::uintptr_t>(thread.gregs[REG_RSP]);
  for (std::uintptr_t at = top - kRedZone; at < stepping.stack; at += sizeof(std::uint64_t)) {
    digest = mixed(digest, *reinterpret_cast<const volatile std::uint64_t*>(at));
  }
  return digest;
}

bool points_there(const mcontext_t& thread) {
  const auto first = reinterpret_cast<std::uintptr_t>(stepping.memory.data());
  for (int i = REG_R8; i <= REG_RCX; ++i) {
    if (static_cast<std::uintptr_t>(thread.gregs[i]) - first < stepping.memory.size()) return true;
  }
  return false;
}

// What earlier calls have left there would be part of the digests.
__attribute__((noinline)) void clear_stack() {
  std::array<volatile std::byte, 4096> below;
  for (volatile std::byte& byte : below) byte = std::byte{0};
}

constexpr greg_t kTrapFlag = 0x100;

void on_trap(int /*signal*/, siginfo_t* /*info*/, void* context) {
  mcontext_t& thread = static_cast<ucontext_t*>(context)->uc_mcontext;
  if (!stepping.between({digest_of(thread), points_there(thread)})) thread.gregs[REG_EFL] &= ~kTrapFlag;
}

}  // namespace

void step_through(const std::function<void()>& code, std::span<const std::byte> memory,
                  std::function<bool(const SteppedThread&)> between) {
  // A stack of its own, so that the handler leaves nothing below the code's.
  alignas(16) static std::array<std::byte, std::size_t{1} << 18> handler_stack;
  const stack_t stack{.ss_sp = handler_stack.data(), .ss_flags = 0, .ss_size = handler_stack.size()};
  stack_t earlier_stack = {};
  sigaltstack(&stack, &earlier_stack);
  struct sigaction action = {};
  struct sigaction earlier = {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGTRAP, &action, &earlier);
  stepping = {std::move(between), memory};
  clear_stack();
  // Above lie the callers' registers: digests with these would differ for no reason.
  __asm__ volatile("mov %%rsp, %0" : "=r"(stepping.stack));
  __asm__ volatile(
      "pushfq\n orq $0x100, (%%rsp)\n popfq\n"
      "xor %%eax, %%eax\n xor %%ebx, %%ebx\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n xor %%esi, %%esi\n xor %%edi, "
      "%%edi\n"
      "xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n xor %%r10d, %%r10d\n xor %%r11d, %%r11d\n"
      "xor %%r12d, %%r12d\n xor %%r13d, %%r13d\n xor %%r14d, %%r14d\n xor %%r15d, %%r15d\n"
      "pxor %%xmm0, %%xmm0\n pxor %%xmm1, %%xmm1\n pxor %%xmm2, %%xmm2\n pxor %%xmm3, %%xmm3\n"
      "pxor %%xmm4, %%xmm4\n pxor %%xmm5, %%xmm5\n pxor %%xmm6, %%xmm6\n pxor %%xmm7, %%xmm7\n"
      "pxor %%xmm8, %%xmm8\n pxor %%xmm9, %%xmm9\n pxor %%xmm10, %%xmm10\n pxor %%xmm11, %%xmm11\n"
      "pxor %%xmm12, %%xmm12\n pxor %%xmm13, %%xmm13\n pxor %%xmm14, %%xmm14\n pxor %%xmm15, %%xmm15\n" ::
          : "memory", "cc", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
            "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
            "xmm12", "xmm13", "xmm14", "xmm15");
  code();
  __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
  sigaction(SIGTRAP, &earlier, nullptr);
  sigaltstack(&earlier_stack, nullptr);
}

#else

void step_through(const std::function<void()>& code, std::span<const std::byte> /*memory*/,
                  std::function<bool(const SteppedThread&)> /*between*/) {
  code();
}

#endif

}  // namespace pollux::test
