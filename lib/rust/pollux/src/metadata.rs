// SPDX-License-Identifier: BSD-3-Clause
//! What a port says of a received frame, and what it is asked to do with one to send.
use crate::{guard, Frame};
use pollux_sys as sys;
use std::mem::size_of;

/// What a port says of a checksum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Checksum {
    /// Nothing.
    Unknown,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
    /// The frame comes from software that has not computed it.
    Partial,
}

/// What a port says of a received frame.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metadata {
    /// The card's hash of addresses and ports.
    pub rss_hash: Option<u32>,
    /// Tag control information of the tag that the card has stripped.
    pub vlan: Option<u16>,
    /// That tag was behind an outer one, which the frame still has.
    pub vlan_is_inner: bool,
    /// The card reports an error in it; only with the setting `keep_bad_frames`.
    pub is_bad: bool,
    /// Bits of [`packet_type`].
    pub packet_type: u32,
    /// Of the IPv4 header.
    pub ip_checksum: Checksum,
    /// Of TCP, UDP or SCTP.
    pub l4_checksum: Checksum,
    /// The index of the port that received it (`port.info`); `None`: software made the frame.
    pub port: Option<u16>,
    /// When it came, in nanoseconds of the card's clock.
    pub timestamp: Option<u64>,
}

/// Bits of [`Metadata::packet_type`].
#[allow(missing_docs)]
pub mod packet_type {
    pub use pollux_sys::{
        POLLUX_IPV4 as IPV4, POLLUX_IPV4_OPTIONS as IPV4_OPTIONS, POLLUX_IPV6 as IPV6,
        POLLUX_IPV6_EXTENSIONS as IPV6_EXTENSIONS, POLLUX_SCTP as SCTP, POLLUX_TCP as TCP, POLLUX_UDP as UDP,
    };
}

/// What the port that sends a frame is asked to do with it. Lengths are those of consecutive headers:
/// outer_l2, outer_l3, l2 (in a tunnel, with its own header), l3, l4.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Offload {
    /// Bits of [`offload`].
    pub flags: u32,
    /// Tag control information to insert.
    pub vlan: u16,
    /// The same of an outer tag.
    pub outer_vlan: u16,
    /// Bytes of the Ethernet header.
    pub l2: u16,
    /// Bytes of the IP header.
    pub l3: u16,
    /// Bytes of a tunnel's Ethernet header.
    pub outer_l2: u16,
    /// Bytes of a tunnel's IP header.
    pub outer_l3: u16,
    /// Bytes of the TCP or UDP header.
    pub l4: u16,
    /// Bytes of payload of each segment.
    pub segment_size: u16,
}

/// Bits of [`Offload::flags`]; what a port can do is in its "port.offloads".
#[allow(missing_docs)]
pub mod offload {
    pub use pollux_sys::{
        POLLUX_OFFLOAD_INSERT_OUTER_VLAN as INSERT_OUTER_VLAN, POLLUX_OFFLOAD_INSERT_VLAN as INSERT_VLAN,
        POLLUX_OFFLOAD_IPV4_CHECKSUM as IPV4_CHECKSUM, POLLUX_OFFLOAD_OUTER_IPV4_CHECKSUM as OUTER_IPV4_CHECKSUM,
        POLLUX_OFFLOAD_OUTER_UDP_CHECKSUM as OUTER_UDP_CHECKSUM, POLLUX_OFFLOAD_SCTP_CHECKSUM as SCTP_CHECKSUM,
        POLLUX_OFFLOAD_TCP_CHECKSUM as TCP_CHECKSUM, POLLUX_OFFLOAD_TCP_SEGMENTATION as TCP_SEGMENTATION,
        POLLUX_OFFLOAD_TIMESTAMP as TIMESTAMP, POLLUX_OFFLOAD_UDP_CHECKSUM as UDP_CHECKSUM,
        POLLUX_OFFLOAD_UDP_SEGMENTATION as UDP_SEGMENTATION, POLLUX_OFFLOAD_WITHOUT_FCS as WITHOUT_FCS,
    };
}

impl Offload {
    fn raw(&self) -> sys::pollux_offload {
        sys::pollux_offload {
            size: size_of::<sys::pollux_offload>(),
            flags: self.flags,
            vlan: self.vlan,
            outer_vlan: self.outer_vlan,
            l2: self.l2,
            l3: self.l3,
            outer_l2: self.outer_l2,
            outer_l3: self.outer_l3,
            l4: self.l4,
            segment_size: self.segment_size,
        }
    }
}

fn checksum(number: u8) -> Checksum {
    match u32::from(number) {
        sys::POLLUX_CHECKSUM_GOOD => Checksum::Good,
        sys::POLLUX_CHECKSUM_BAD => Checksum::Bad,
        sys::POLLUX_CHECKSUM_PARTIAL => Checksum::Partial,
        _ => Checksum::Unknown,
    }
}

impl Frame {
    /// What the port that received the frame says of it.
    pub fn metadata(&self) -> Metadata {
        const SOFTWARE: u16 = 4095;
        let mut said = sys::pollux_metadata {
            size: size_of::<sys::pollux_metadata>(),
            flags: 0,
            packet_type: 0,
            rss_hash: 0,
            vlan: 0,
            port: SOFTWARE,
            ip_checksum: 0,
            l4_checksum: 0,
            reserved: [0; 6],
            timestamp: 0,
        };
        if !guard::is_forked() {
            // SAFETY: the frame is owned.
            unsafe { sys::pollux_frame_metadata(self.raw(), &mut said) };
        }
        let has = |flag: u32| said.flags & flag != 0;
        Metadata {
            rss_hash: has(sys::POLLUX_HAS_RSS_HASH).then_some(said.rss_hash),
            vlan: has(sys::POLLUX_HAS_VLAN).then_some(said.vlan),
            vlan_is_inner: has(sys::POLLUX_VLAN_IS_INNER),
            is_bad: has(sys::POLLUX_BAD_FRAME),
            packet_type: said.packet_type,
            ip_checksum: checksum(said.ip_checksum),
            l4_checksum: checksum(said.l4_checksum),
            port: (said.port != SOFTWARE).then_some(said.port),
            timestamp: (said.timestamp != 0).then_some(said.timestamp),
        }
    }

    /// Sets the request; flags of 0 ask for nothing. The sums of pseudo-headers must be in the checksum fields
    /// ([`Frame::request_checksums`] writes them). A port drops a frame whose request it cannot do, and counts it.
    pub fn set_offload(&mut self, offload: &Offload) {
        if !guard::is_forked() {
            // SAFETY: the frame is owned.
            unsafe { sys::pollux_frame_set_offload(self.raw_mut(), &offload.raw()) };
        }
    }
    /// Requests checksums and writes what they need; works on every port, since it computes what a card cannot. False,
    /// with nothing changed: the request does not fit the frame, or others share its bytes.
    #[must_use]
    pub fn request_checksums(&mut self, offload: &Offload) -> bool {
        // SAFETY: the frame is owned.
        !guard::is_forked() && unsafe { sys::pollux_frame_request_checksums(self.raw_mut(), &offload.raw()) }
    }
}
