// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <vector>

#include "silicon_probe/groups.hpp"

namespace pollux::silicon {
namespace {

std::vector<Probe> joined_probes() {
  std::vector<Probe> all;
  for (const auto group : {reset_probes(), register_probes(), interrupt_probes(), queue_probes(), transmit_probes(),
                           receive_probes(), length_probes(), packet_probes(), header_probes(), overrun_probes()}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

constexpr std::array kUnasked{
    Unasked{"I-SERDES", "other hardware", "needs a port with SerDes"},
    Unasked{"I-SCVPC", "other hardware", "needs a port with SerDes"},
    Unasked{"I-VFHALT", "other setup", "needs virtual functions; the tests in the guest run them on QEMU's card"},
    Unasked{"I-VFQUEUE", "other setup", "needs virtual functions"},
    Unasked{"I-VFMAILBOX", "other setup", "needs virtual functions"},
    Unasked{"I-VFMPRC", "other setup", "needs virtual functions"},
    Unasked{"I-M-POOLS", "other setup", "needs virtual functions"},
    Unasked{"I-M-MAILBOX", "other setup", "needs virtual functions"},
    Unasked{"I-M-VFVECTOR", "other setup", "needs virtual functions"},
    Unasked{"I-M-VFRESET", "other setup", "needs virtual functions"},
    Unasked{"I-M-PARTNER", "other setup", "needs a link partner that does not negotiate"},
    Unasked{"I-NOSNOOP", "analyser", "only an analyser on the PCI Express link shows the no-snoop attribute"},
    Unasked{"I-NULLBUFFER", "harmful", "the card might write to address 0"},
    Unasked{"I-EIAC", "harmful", "the datasheet forbids the access"},
    Unasked{"I-M-RESETWRITES", "harmful", "accesses during a reset may hang the bus"},
    Unasked{"I-M-REFUSED", "harmful", "refused accesses are bus errors, which a machine may answer with a halt"},
    Unasked{"I-STICK", "too long", "a counter needs 2^32 frames: 48 minutes at the highest rate"},
    Unasked{"I-TXSTOP", "other setup",
            "needs a link partner that stops the queue by pause frames in the middle of a burst"},
    Unasked{"I-TXRATE", "no probe", "a rate needs a measurement of time"},
    Unasked{"I-M-TXRATE", "no probe", "a rate needs a measurement of time"},
    Unasked{"I-FTQF", "no probe", "no program of the project uses these filters yet"},
    Unasked{"I-TXSEGMENT", "no probe", "the driver splits longer buffers"},
    Unasked{"I-TXCONTEXT", "no probe", "the probes send no offload requests; tests/interop/offloads_test.py does"},
    Unasked{"I-TXHEADERS", "no probe", "the driver computes in software what cards might do differently"},
    Unasked{"I-TXSUM", "no probe", "the driver clears the fields"},
    Unasked{"I-TSOLENGTH", "no probe", "the driver clears the field"},
    Unasked{"I-TSOMAX", "no probe", "the driver keeps to the smallest of the limits"},
    Unasked{"I-HEADWB", "no probe", "the driver does not use it"},
    Unasked{"I-NOFCS", "no probe",
            "the conformance suite sends such frames (`TransmitOffloads.FramesMayBringTheirOwnCheckSequence`)"},
    Unasked{"I-TXTUNNEL", "no probe",
            "the driver's tests compare such frames with scapy's (`tests/interop/offloads_test.py`)"},
    Unasked{"I-TXVLAN", "no probe", "the driver does not rely on it"},
    Unasked{"I-M-BADCONTEXT", "harmful", "the card may hang"},
    Unasked{"I-M-COLLISION", "other setup", "needs a hub"},
    Unasked{"I-CABLE", "no probe", "a cable's length is not known to a program; `pollux link` shows what the PHY says"},
    Unasked{"I-MEDIA", "other hardware", "needs a port with another medium"},
    Unasked{"I-SYSTIM", "no probe", "the driver does not rely on a latch"},
    Unasked{"I-RXSATR", "no probe",
            "it needs a sender of PTP messages; the conformance suite compares the times "
            "(`Clocks.StampSentAndReceivedMessages`)"},
    Unasked{"I-LATENCY", "other hardware", "needs an I210, and a partner that stamps at the wire"},
    Unasked{"I-SPI", "harmful", "the probe would write the EEPROM"},
    Unasked{"I-SRIOV", "no probe", "there are no functions unless a program asks for them"},
    Unasked{"I-WAKE", "no probe", "the machine would have to sleep"},
    Unasked{"I-M-WAKE", "no probe", "the machine would have to sleep"},
    Unasked{"I-EXTVLAN", "no probe", "the mode is off unless a program asks for it"},
    Unasked{"I-PACKETBUFFER", "no probe", "the driver never exceeds the sizes after power-on"},
    Unasked{"I-POOLS", "no probe", "there are no pools unless a program asks for them"},
    Unasked{"I-M-SPI", "harmful", "the probe would write the EEPROM"},
    Unasked{"I-M-TCPFLAGS", "no probe", "the probes send no offload requests; tests/interop/offloads_test.py does"},
    Unasked{"I-M-IPSUM", "no probe", "the driver clears the field"},
    Unasked{"I-M-PIN", "no probe", "VFIO gives a program MSI-X vectors; the pin and MSI are not used"},
    Unasked{"I-M-CONFIG", "no question to a card", "lspci.txt in the archive has the configuration space"},
    Unasked{"I-M-SYSTIM", "no probe", "the driver reads whatever releases a stamp anywhere"},
    Unasked{"I-M-PTPTYPE", "no probe", "the driver does not use these types"},
    Unasked{"I-M-FRTIMER", "no probe", "no driver depends on it"},
    Unasked{"I-M-DIRTY", "no probe",
            "the registers that a machine's firmware leaves in the PHY are reset with it; the probe phy "
            "records some of them"},
    Unasked{"I-M-COMPLETION", "analyser", "only an analyser on the PCI Express link can delay a completion"},
    Unasked{"I-M-TXWB", "analyser", "a processor cannot tell whether the words of a descriptor arrive one by one"},
    Unasked{"I-SWFW", "no question to a card",
            "a rule for the driver; firmware's reaction to a violation is not documented"},
    Unasked{"I-ERRREPORT", "no question to a card", "a rule for the driver; lspci.txt in the archive shows the bits"},
    Unasked{"I-STATNAMES", "no question to a card", "two names for one address"},
    Unasked{"I-IPV6EX", "no question to a card", "an erratum that the driver avoids"},
};

}  // namespace

std::span<const Probe> probes() {
  static const std::vector<Probe> all = joined_probes();
  return all;
}

std::span<const Unasked> unasked() { return kUnasked; }

}  // namespace pollux::silicon
