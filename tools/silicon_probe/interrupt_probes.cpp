// SPDX-License-Identifier: BSD-3-Clause
// Interrupt causes and masks.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "silicon_probe/groups.hpp"
#include "silicon_probe/raw_port.hpp"

namespace pollux::silicon {
namespace {

constexpr unsigned kSiliconVectors = 25;

Result<void> ask_causes(ProbePorts& ports, Answer& answer) {
  const reg::Registers& regs = ports.port.regs();
  const Bar& bar = regs.bar();
  constexpr std::uint32_t kNewIms = 0x1508;
  constexpr std::uint32_t kNewIcr = 0x1500;
  regs.write<reg::IMS>(reg::IMS::LSC);
  answer.equal_hex("I-ICRPLACE", "IMS at its old address after LSC was written there", regs.read<reg::IMS>().raw(),
                   reg::IMS::Value(0).with(reg::IMS::LSC).raw());
  answer.note_hex("I-ICRPLACE", "IMS at its new address after that write", bar.read32(kNewIms));
  regs.write<reg::IMC>(reg::IMC::Value(~0U));
  regs.write<reg::IMS>(reg::IMS::TIME_SYNC);
  answer.note("I-TIMESYNC", "IMS.TIME_SYNC can be set", regs.read<reg::IMS>().has(reg::IMS::TIME_SYNC));
  regs.write<reg::IMC>(reg::IMC::Value(~0U));
  regs.read_and_clear<reg::ICR>();
  regs.write<reg::ICS>(reg::ICS::RXO);
  answer.note_hex("I-ICRPLACE", "ICR at its new address after ICS.RXO was written at the old one", bar.read32(kNewIcr));
  regs.write<reg::ICS>(reg::ICS::RXO);
  answer.yes_no("I-ICRPLACE", "ICR.RXO reads as set at the old address",
                regs.read_and_clear<reg::ICR>().has(reg::ICR::RXO), true);
  return {};
}

Result<void> ask_extended(ProbePorts& ports, Answer& answer) {
  const reg::Registers& regs = ports.port.regs();
  regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE);
  regs.write<reg::EIAC>(reg::EIAC::VECTORS(1));
  regs.write<reg::EIAC>(reg::EIAC::VECTORS(2));
  answer.note_hex("I-EIACSET", "EIAC after 1 and then 2 were written", regs.read<reg::EIAC>().raw());
  regs.write<reg::EIAC>({});
  answer.note_hex("I-EIACSET", "EIAC after 0 was written", regs.read<reg::EIAC>().raw());
  regs.write<reg::EIAM>(reg::EIAM::VECTORS(1));
  answer.equal_hex("I-EIAM", "EIAM after 1 was written", regs.read<reg::EIAM>().raw(), 1);
  regs.write<reg::EIAM>({});
  answer.equal("I-VECTORS", "vectors of the MSI-X capability", ports.port.device().interrupt_vectors(),
               kSiliconVectors);
  return {};
}

/// The vector whose event is signalled within 100 ms; -1 if none is.
int signalled(std::span<const int> events) {
  std::array<pollfd, kSiliconVectors> queries{};
  const std::size_t count = std::min<std::size_t>(events.size(), queries.size());
  for (std::size_t i = 0; i < count; ++i) queries[i] = {.fd = events[i], .events = POLLIN, .revents = 0};
  if (::poll(queries.data(), count, 100) <= 0) return -1;
  int first = -1;
  for (std::size_t i = 0; i < count; ++i) {
    if (queries[i].revents == 0) continue;
    std::uint64_t taken = 0;
    static_cast<void>(!::read(events[i], &taken, sizeof taken));
    if (first < 0) first = static_cast<int>(i);
  }
  return first;
}

int vector_of(RawPort& port, std::span<const int> events, reg::ICS::Setting cause) {
  const reg::Registers& regs = port.regs();
  regs.write<reg::EICR>(reg::EICR::Value(~0U));
  regs.read_and_clear<reg::ICR>();
  regs.write<reg::IMS>(reg::IMS::Value(cause.bits()));
  regs.write<reg::EIMS>(reg::EIMS::Value(7));
  regs.write<reg::ICS>(cause);
  regs.flush();
  port.sleep(milliseconds(1));
  const int vector = signalled(events);
  regs.write<reg::IMC>(reg::IMC::Value(~0U));
  regs.write<reg::EIMC>(reg::EIMC::Value(~0U));
  return vector;
}

Result<void> ask_other_vector(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  const unsigned vectors = port.device().interrupt_vectors();
  if (vectors < 3) return fail(ErrorCode::not_supported, "this backend has no interrupt vectors");
  const auto events = port.device().enable_interrupts(vectors);
  if (!events) return tl::unexpected<Error>(events.error());
  port.regs().write<reg::GPIE>(reg::GPIE::MSIX_MODE);
  port.regs().write<reg::IVAR_MISC>(reg::IVAR_MISC::OTHER(1) | reg::IVAR_MISC::OTHER_VALID |
                                    reg::IVAR_MISC::TCP_TIMER(2) | reg::IVAR_MISC::TCP_TIMER_VALID);
  answer.note("I-IVARMISC", "vector of ICR.LSC with OTHER = 1 and TCP_TIMER = 2",
              std::to_string(vector_of(port, *events, reg::ICS::LSC)));
  answer.note("I-IVARMISC", "vector of ICR.DRSTA", std::to_string(vector_of(port, *events, reg::ICS::DRSTA)));
  auto off = port.device().enable_interrupts(0);
  return off ? Result<void>() : Result<void>(tl::unexpected<Error>(off.error()));
}

Result<void> ask_masked_vector(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  if (port.device().interrupt_vectors() < 2)
    return fail(ErrorCode::not_supported, "this backend has no interrupt vectors");
  const auto events = port.device().enable_interrupts(2);
  if (!events) return tl::unexpected<Error>(events.error());
  regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE);
  regs.write<reg::EIMC>(reg::EIMC::Value(~0U));
  regs.write<reg::EICS>(reg::EICS::VECTORS(2));
  regs.flush();
  port.sleep(milliseconds(1));
  answer.yes_no("I-EIMSLATCH", "a masked vector sends its message", signalled(*events) == 1, false);
  regs.write<reg::EIMS>(reg::EIMS::VECTORS(2));
  regs.flush();
  port.sleep(milliseconds(1));
  answer.yes_no("I-EIMSLATCH", "it sends it when it is unmasked", signalled(*events) == 1, true);
  regs.write<reg::EIMC>(reg::EIMC::Value(~0U));
  auto off = port.device().enable_interrupts(0);
  return off ? Result<void>() : Result<void>(tl::unexpected<Error>(off.error()));
}

constexpr std::array<std::string_view, 2> kCauseTags{"I-ICRPLACE", "I-TIMESYNC"};
constexpr std::array<std::string_view, 3> kExtendedTags{"I-EIACSET", "I-EIAM", "I-VECTORS"};
constexpr std::array<std::string_view, 1> kVectorTags{"I-IVARMISC"};
constexpr std::array<std::string_view, 1> kMaskedTags{"I-EIMSLATCH"};
constexpr std::array kInterruptProbes{
    Probe{"causes", "At which addresses are ICR and IMS?", kCauseTags, false, false, ask_causes},
    Probe{"extended_causes", "What do EIAC and EIAM hold, and how many vectors are there?", kExtendedTags, false, false,
          ask_extended},
    Probe{"other_vector", "Which vectors do the fields of IVAR_MISC select?", kVectorTags, false, true,
          ask_other_vector},
    Probe{"masked_vector", "Is the cause of a masked vector remembered?", kMaskedTags, false, true, ask_masked_vector},
};

}  // namespace

std::span<const Probe> interrupt_probes() { return kInterruptProbes; }

}  // namespace pollux::silicon
