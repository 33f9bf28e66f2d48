// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/dispatcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ports/xdp/bpf_calls.hpp"
#include "ports/xdp/bpf_code.hpp"
#include "ports/xdp/type_info.hpp"

namespace pollux::xdp {
namespace {

constexpr const char* kName = "xdp_dispatcher";
/// What a function returns that no program has replaced: the next one is called.
constexpr std::uint32_t kNotReplaced = 31;

struct Function {
  std::uint32_t at = 0;  // the instruction at which it begins
  std::uint32_t type = 0;
};

struct DispatcherCode {
  std::vector<bpf_insn> code;
  std::vector<Function> functions;  // the first is the program, the others those that are replaced
};

DispatcherCode code_of(const DispatcherConfig& config, const FileDescriptor& map) {
  BpfCode code;
  std::vector<BpfCode::Label> functions;
  const auto end = code.label();
  code.copy(BPF_REG_6, BPF_REG_1);
  code.load_values(BPF_REG_1, map.get());  // so that the map can be found
  for (std::size_t i = 0; i < config.count; ++i) {
    functions.push_back(code.label());
    code.copy(BPF_REG_1, BPF_REG_6);
    code.call_own(functions.back());
    code.move(BPF_REG_1, 1);
    code.change32_by(BPF_LSH, BPF_REG_1, BPF_REG_0);
    code.change32(BPF_AND, BPF_REG_1, config.chain_actions[i]);
    code.jump_if(BPF_JEQ, BPF_REG_1, 0, end);
  }
  code.move(BPF_REG_0, XDP_PASS);
  code.place(end);
  code.exit();
  DispatcherCode made{.code = {}, .functions = {{0, TypeInfo::id_of(config.count)}}};
  for (std::size_t i = 0; i < config.count; ++i) {
    code.place(functions[i]);
    made.functions.push_back({code.size(), TypeInfo::id_of(i)});
    // Changes nothing. Linux 6.13 lets a program that may move a frame's data only replace a function that may do so.
    code.move(BPF_REG_2, 0);
    code.call(BPF_FUNC_xdp_adjust_tail);
    code.move(BPF_REG_0, kNotReplaced);
    code.exit();
  }
  made.code = std::move(code).finish();
  return made;
}

FileDescriptor load(const bpf_attr& attributes, const FileDescriptor& types, std::span<const bpf_insn> code,
                    std::span<const Function> functions, const char* name) {
  bpf_attr all = attributes;
  all.prog_btf_fd = static_cast<std::uint32_t>(types.get());
  all.func_info = reinterpret_cast<std::uintptr_t>(functions.data());
  all.func_info_cnt = static_cast<std::uint32_t>(functions.size());
  all.func_info_rec_size = sizeof(Function);
  return load_program(all, code, name, "BSD");
}

FileDescriptor load_dispatcher(const DispatcherConfig& config) {
  FileDescriptor map = create_map(BPF_MAP_TYPE_ARRAY, config.bytes(), 1, BPF_F_RDONLY_PROG, "xdp_disp.rodata");
  bpf_attr freeze{};
  freeze.map_fd = static_cast<std::uint32_t>(map.get());
  if (!map || write_value(map, &config) != 0 || bpf(BPF_MAP_FREEZE, freeze) != 0) return {};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < config.count; ++i) names.push_back(fmt::format("prog{}", i));
  names.emplace_back(kName);
  const FileDescriptor types = TypeInfo(names).load();
  if (!types) return {};
  const DispatcherCode made = code_of(config, map);
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.expected_attach_type = BPF_XDP;  // as that of libxdp: components go from one to the other
  attributes.prog_flags = config.frags != 0 ? kHasFrags : 0;
  return load(attributes, types, made.code, made.functions, kName);
}

FileDescriptor load_component(std::span<const bpf_insn> code, const Dispatcher& dispatcher, std::size_t place) {
  const std::vector<std::string> names{kOwnName};
  const FileDescriptor types = TypeInfo(names).load();
  if (!types) return {};
  const Function whole{0, TypeInfo::id_of(0)};
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_EXT;
  attributes.attach_prog_fd = static_cast<std::uint32_t>(dispatcher.program.get());
  attributes.attach_btf_id = TypeInfo::id_of(place);
  return load(attributes, types, code, {&whole, 1}, kOwnName);
}

/// Returns 0 or errno.
int add(Component& component, const Dispatcher& dispatcher, std::size_t place) {
  if (!component.program) {
    component.program = load_component(component.code, dispatcher, place);
    // Without the privilege for it nothing would have been loaded before: the kernel has no such programs.
    if (!component.program) return errno == EPERM ? EOPNOTSUPP : errno;
  }
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(component.program.get());
  attributes.link_create.target_fd = static_cast<std::uint32_t>(dispatcher.program.get());
  attributes.link_create.target_btf_id = TypeInfo::id_of(place);
  component.link = FileDescriptor(bpf(BPF_LINK_CREATE, attributes));
  return component.link ? 0 : errno;
}

}  // namespace

tl::expected<Dispatcher, int> make_dispatcher(std::vector<Component> components, std::uint8_t version) {
  if (components.size() > kMaxComponents) return tl::unexpected(E2BIG);
  Dispatcher made;
  made.config.version = version;
  made.config.count = static_cast<std::uint8_t>(components.size());
  made.config.frags = 1;
  for (std::size_t i = 0; i < components.size(); ++i) {
    made.config.chain_actions[i] = components[i].chain_actions | 1U << kNotReplaced;
    made.config.priorities[i] = components[i].priority;
    made.config.flags[i] = components[i].flags;
    if ((components[i].flags & kHasFrags) == 0) made.config.frags = 0;
  }
  made.program = load_dispatcher(made.config);
  if (!made.program && errno == EINVAL && made.config.frags != 0) {
    made.config.frags = 0;
    made.program = load_dispatcher(made.config);
  }
  if (!made.program) return tl::unexpected(errno);
  made.components = std::move(components);
  for (std::size_t i = 0; i < made.components.size(); ++i) {
    if (const int error = add(made.components[i], made, i); error != 0) return tl::unexpected(error);
  }
  made.id = info_of(made.program).id;
  return made;
}

tl::expected<Dispatcher, int> read_dispatcher(std::uint32_t id) {
  Dispatcher read{.program = program_by_id(id), .id = id, .config = {}, .components = {}};
  if (!read.program) return tl::unexpected(errno);
  const ProgramInfo about = info_of(read.program);
  if (about.name != kName || about.maps.size() != 1) return tl::unexpected(EBUSY);
  const FileDescriptor map = map_by_id(about.maps.front());
  std::array<std::byte, 256> value{};
  if (const std::uint32_t bytes = info_of_map(map).value_size; bytes < 124 || bytes > value.size()) {
    return tl::unexpected(EBUSY);
  }
  if (const int error = read_value(map, value.data()); error != 0) return tl::unexpected(error);
  std::memcpy(&read.config, value.data(), sizeof read.config);
  const DispatcherConfig& config = read.config;
  const bool is_known = config.magic == DispatcherConfig().magic &&
                        (config.version == kDispatcherVersion || config.version == kDispatcherVersion + 1) &&
                        config.count <= kMaxComponents && (config.version == 2 || config.device_bound == 0);
  if (!is_known) return tl::unexpected(EBUSY);
  return read;
}

}  // namespace pollux::xdp
