// SPDX-License-Identifier: BSD-3-Clause
//! Sleeping until frames come, events, and what other programs ask.
mod common;

use common::{frame, pair};
use pollux::{Burst, Code, Context, EventKind, Poller, Port, TelemetryOptions};
use std::os::unix::io::{AsFd, AsRawFd, RawFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

#[repr(C)]
struct PollFd {
    descriptor: i32,
    events: i16,
    returned: i16,
}
extern "C" {
    fn poll(descriptors: *mut PollFd, count: u64, milliseconds: i32) -> i32;
}

fn is_readable(descriptor: RawFd, limit: i32) -> bool {
    let mut waiting = PollFd {
        descriptor,
        events: 1,
        returned: 0,
    };
    // SAFETY: there is one descriptor.
    unsafe { poll(&mut waiting, 1, limit) == 1 }
}

/// The two ends of a ring, which a thread can sleep on, in real time.
fn ring() -> (Context, Port, Port) {
    let context = Context::open().unwrap();
    let (a, b) = (
        context.open_port("ring:a:0").unwrap(),
        context.open_port("ring:a:1").unwrap(),
    );
    (context, a, b)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_thread_sleeps_until_a_frame_comes() {
    let (context, a, b) = ring();
    let (mut tx, mut rx, mut pool) = (a.tx(0).unwrap(), b.rx(0).unwrap(), a.pool(0).unwrap());
    let mut burst = Burst::<32>::new(&context.drop_counter("unread").unwrap());
    assert_eq!(rx.wait(&mut burst, Duration::from_millis(1)).unwrap(), 0);
    let (asleep, go) = channel();
    let sender = thread::spawn(move || {
        go.recv().unwrap();
        thread::sleep(Duration::from_millis(20));
        tx.send_one(frame(&mut pool, 7)).unwrap();
    });
    asleep.send(()).unwrap();
    let begun = Instant::now();
    assert_eq!(rx.wait(&mut burst, LONG).unwrap(), 1);
    assert!(begun.elapsed() < LONG);
    assert_eq!(burst[0][63], 7);
    sender.join().unwrap();
    // A burst without room is an error.
    let mut full = Burst::<1>::new(&context.drop_counter("unread").unwrap());
    full.push(burst.pop().unwrap()).unwrap();
    assert_eq!(rx.wait(&mut full, LONG).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn the_descriptor_serves_an_event_loop() {
    let (context, a, b) = ring();
    let (mut tx, mut rx, mut pool) = (a.tx(0).unwrap(), b.rx(0).unwrap(), a.pool(0).unwrap());
    let mut burst = Burst::<32>::new(&context.drop_counter("unread").unwrap());
    assert_eq!(rx.receive(&mut burst), 0);
    while !rx.arm() {
        assert_eq!(rx.receive(&mut burst), 0); // the port has started since
    }
    assert_eq!(rx.as_fd().as_raw_fd(), rx.as_raw_fd());
    assert!(!is_readable(rx.as_raw_fd(), 0));
    tx.send_one(frame(&mut pool, 1)).unwrap();
    assert!(is_readable(rx.as_raw_fd(), 20_000));
    rx.disarm();
    assert_eq!(rx.receive(&mut burst), 1);
    assert!(context.as_fd().as_raw_fd() >= 0);
}

#[test]
fn a_poller_calls_closures() {
    let mut pair = pair();
    let mut poller = Poller::open(&pair.context).unwrap();
    let (seen, numbers) = channel();
    let handler = move |burst: &mut Burst<64>| {
        for frame in burst.iter().take(1) {
            seen.send(frame[63]).unwrap();
        }
        burst.drain().take(1).for_each(drop);
    };
    let key = poller.add(pair.right.rx(0).unwrap(), 0, &pair.unread, handler).unwrap();
    assert_eq!(pair.right.rx(0).unwrap_err().code, Code::Busy);
    assert_eq!(pair.left.rx(0).unwrap().index(), 0);
    let mut tx = pair.left.tx(0).unwrap();
    for number in 0..3 {
        tx.send_one(pair.frame(number)).unwrap();
    }
    pair.pass();
    assert_eq!(poller.run_once(Duration::ZERO).unwrap(), 3);
    assert_eq!(numbers.try_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(pair.unread.count(), 2, "what the closure left is counted");
    let rx = poller.remove(key).unwrap();
    assert_eq!(poller.remove(key).unwrap_err().code, Code::NotFound);
    let refused = poller.add(rx, 1025, &pair.unread, |_| ()).unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    assert!(pair.right.rx(0).is_ok(), "the queue has come back");
    assert_eq!(poller.run_once(Duration::ZERO).unwrap(), 0);
}

#[test]
fn a_panic_of_a_closure_goes_on_in_run_once() {
    let mut pair = pair();
    let mut poller = Poller::open(&pair.context).unwrap();
    let mut calls = 0;
    let handler = move |_: &mut Burst<64>| {
        calls += 1;
        assert_ne!(calls, 1, "the first call");
    };
    poller.add(pair.right.rx(0).unwrap(), 8, &pair.unread, handler).unwrap();
    let mut tx = pair.left.tx(0).unwrap();
    for round in 0..2 {
        tx.send_one(pair.frame(round)).unwrap();
        pair.pass();
        let outcome = catch_unwind(AssertUnwindSafe(|| poller.run_once(Duration::ZERO)));
        match outcome {
            Ok(frames) => assert_eq!((round, frames.unwrap()), (1, 1)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().unwrap();
                assert!(round == 0 && text.contains("the first call"), "{text}");
            }
        }
        assert_eq!(pair.unread.count(), u64::from(round) + 1);
    }
    drop(poller);
    assert!(pair.right.rx(0).is_ok());
}

#[test]
fn a_waker_ends_the_sleep_of_a_poller() {
    let (_context, _a, b) = ring();
    let mut poller = Poller::open(&_context).unwrap();
    poller
        .add(b.rx(0).unwrap(), 0, &_context.drop_counter("unread").unwrap(), |_| ())
        .unwrap();
    let waker = poller.waker();
    waker.wake();
    let begun = Instant::now();
    assert_eq!(poller.run_once(Duration::from_millis(900)).unwrap(), 0);
    assert!(begun.elapsed() < Duration::from_millis(900), "woken before it slept");
    drop(poller);
    thread::spawn(move || waker.wake()).join().unwrap(); // it outlives the poller
}

#[test]
fn events_come_through_a_channel() {
    let context = Context::options().virtual_time().open().unwrap();
    let left = context.open_port("sim:0").unwrap();
    let first = left.events().unwrap();
    let events = left.events().unwrap();
    assert!(first.recv().is_err(), "a later call ends it");
    let right = context.open_port("sim:1").unwrap();
    left.wait_for_link(Duration::from_secs(10)).unwrap();
    context.sleep(Duration::from_secs(2));
    context.run_due().unwrap();
    left.request("port.stop", None).unwrap();
    let seen: Vec<_> = events.try_iter().map(|event| (event.kind, event.text)).collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        seen[0].0 == EventKind::LinkUp && seen[0].1.starts_with("link up, 1000 Mb/s"),
        "{seen:?}"
    );
    assert_eq!(seen[1], (EventKind::LinkDown, "link down".into()));
    drop(events); // nobody asks any more
    left.request("port.start", None).unwrap();
    left.request("port.stop", None).unwrap();
    right.close().unwrap();
    let last = left.events().unwrap();
    left.close().unwrap();
    assert!(last.recv().is_err(), "the port's end is that of its events");
}

#[test]
fn telemetry_has_a_socket_while_it_is_open() {
    let folder = std::env::temp_dir().join(format!("pollux-rust-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let socket = folder.join("here.sock");
    let options = TelemetryOptions {
        socket: Some(socket.to_str().unwrap().into()),
        program: Some("waiting".into()),
        read_only: true,
        ..Default::default()
    };
    let context = Context::open().unwrap();
    let telemetry = context.open_telemetry(&options).unwrap();
    assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
    assert!(context.open_telemetry(&options).is_err(), "the path is taken");
    drop(context);
    drop(telemetry);
    assert!(!socket.exists());
    std::fs::remove_dir_all(&folder).unwrap();
}
