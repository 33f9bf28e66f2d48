// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/checks.hpp"

#include <array>
#include <utility>

namespace pollux::tool::doctor {
namespace {

constexpr std::array kChecks{
    Check{"mounts", Scope::machine, "ports are found and bound through sysfs", &check_mounts},
    Check{"iommu", Scope::machine, "it confines the card's DMA to the memory of the program that drives it",
          &check_iommu},
    Check{"modules", Scope::machine, "the kernel hands a card to a program through them", &check_modules},
    Check{"access-modes", Scope::machine, "a program opens a port through one of them", &check_access_modes},
    Check{"huge-pages", Scope::machine, "with small pages, translating addresses costs time for each frame",
          &check_huge_pages},
    Check{"memlock", Scope::machine, "the kernel pins all memory for DMA and counts it against this limit",
          &check_memlock},
    Check{"cpu-frequency", Scope::machine, "a core that changes its frequency answers late and measures differently",
          &check_governor},
    Check{"cpu-isolation", Scope::machine, "a core that also runs other tasks loses frames while it runs them",
          &check_isolation},
    Check{"card", Scope::machine, "Pollux needs a driver of its own for the card", &check_card},
    Check{"host-use", Scope::port, "binding the port takes its interface from the kernel", &check_host_use},
    Check{"give-back", Scope::port, "`pollux unbind` restores the driver, link, addresses and routes, and nothing else",
          &check_give_back},
    Check{"group", Scope::port, "the IOMMU cannot separate these devices, so VFIO takes all of them or none",
          &check_group},
    Check{"driver", Scope::port, "a program can open only a port that is bound to vfio-pci", &check_driver},
    Check{"permissions", Scope::port, "the program's user has to open these device files", &check_permissions},
    Check{"in-use", Scope::port, "one process at a time can have a port", &check_holder},
    Check{"firmware", Scope::port, "firmware of the card may use the port, too", &check_firmware},
    Check{"pcie", Scope::port, "a slower slot limits the frame rate", &check_pcie},
    Check{"aspm", Scope::port, "a link that sleeps answers late, and some cards hang with it", &check_aspm},
    Check{"numa", Scope::port, "memory and cores of another node are slower to reach for the card", &check_numa},
    Check{"link", Scope::port, "without a link no frame is sent or received", &check_link},
};

}  // namespace

Remedy Remedy::of_steps(std::vector<Invocation> steps, bool safe) {
  std::string line;
  for (const Invocation& step : steps) line += (line.empty() ? "" : " && ") + shell_text(step);
  return {std::move(line), true, safe ? std::move(steps) : std::vector<Invocation>()};
}

std::span<const Check> all_checks() { return kChecks; }

const char* to_string(State state) {
  switch (state) {
    case State::ok: return "ok";
    case State::warning: return "warning";
    case State::error: return "error";
    case State::unknown: return "unknown";
  }
  return "unknown";
}

}  // namespace pollux::tool::doctor
