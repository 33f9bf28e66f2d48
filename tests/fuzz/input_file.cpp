// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/input_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/require.hpp"

namespace pollux::test {

InputFile::InputFile(const std::uint8_t* data, std::size_t size) : descriptor_(::memfd_create("input", MFD_CLOEXEC)) {
  require(descriptor_ >= 0, "a memfd can be created");
  require(::write(descriptor_, data, size) == static_cast<ssize_t>(size), "a memfd accepts the input");
  require(::lseek(descriptor_, 0, SEEK_SET) == 0, "a memfd can be rewound");
}

InputFile::~InputFile() { ::close(descriptor_); }

}  // namespace pollux::test
