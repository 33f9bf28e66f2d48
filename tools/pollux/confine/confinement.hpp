// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <vector>

namespace pollux::tool {

/// What a server still needs when it begins to serve. Paths that do not exist are left out.
struct Confinement {
  std::vector<unsigned> capabilities = {};          ///< capabilities(7), of those that it has
  bool connects = false;                            ///< to Unix sockets
  bool opens_interfaces = false;                    ///< as `xdp:` ports do: BPF, and sockets that these need
  std::vector<std::filesystem::path> read = {};     ///< files that it reads, also below a folder
  std::vector<std::filesystem::path> listed = {};   ///< folders that it lists, also those below them
  std::vector<std::filesystem::path> removed = {};  ///< files that it removes: their folders
};

}  // namespace pollux::tool
