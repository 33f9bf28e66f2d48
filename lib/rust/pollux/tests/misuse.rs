// SPDX-License-Identifier: BSD-3-Clause
//! What the types allow, and should not be done: errors and panics, never undefined behaviour.
mod common;

use common::{frame, pair, pair_with, Pair};
use pollux::{Burst, Code, Context, DropCounter, Frame, Poller, Pool, PoolOptions, Port, RxQueue, TxQueue};
use std::os::unix::io::AsRawFd;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}

/// Does not compile for a type that is Sync: two implementations fit it.
macro_rules! is_not_sync {
    ($type:ty) => {{
        trait Ambiguous<T> {
            fn check() {}
        }
        struct Any;
        struct IfSync;
        impl<T: ?Sized> Ambiguous<Any> for T {}
        impl<T: ?Sized + Sync> Ambiguous<IfSync> for T {}
        <$type as Ambiguous<_>>::check();
    }};
}

#[test]
fn queues_and_pools_move_between_threads_but_are_of_one() {
    is_send::<(RxQueue, TxQueue, Pool, Poller, Frame, Burst<32>)>();
    is_sync::<(Context, Port, DropCounter, Frame, Burst<32>)>();
    is_not_sync!(RxQueue);
    is_not_sync!(TxQueue);
    is_not_sync!(Pool);
    is_not_sync!(Poller);
    let mut pair = pair();
    let (mut rx, mut tx) = (pair.right.rx(0).unwrap(), pair.left.tx(0).unwrap());
    let (mut pool, context) = (pair.left.pool(0).unwrap(), pair.context.clone());
    let sender = thread::spawn(move || {
        tx.send_one(frame(&mut pool, 1)).unwrap();
        (tx, pool.alloc(20).unwrap())
    });
    let (_tx, short) = sender.join().unwrap();
    assert_eq!(short.len(), 20);
    context.sleep(Duration::from_millis(1));
    let mut burst = pair.burst();
    let received = thread::spawn(move || (rx.receive(&mut burst), burst)).join().unwrap();
    assert_eq!((received.0, received.1[0][63]), (1, 1));
    drop(pair.frame(2));
}

#[test]
fn a_queue_is_taken_once() {
    let pair = pair();
    let rx = pair.left.rx(0).unwrap();
    let _tx = pair.left.tx(0).unwrap();
    let error = pair.left.rx(0).unwrap_err();
    assert_eq!(error.code, Code::Busy);
    assert_eq!(error.message, "receive queue 0 is in use: drop the other one first");
    assert_eq!(pair.left.tx(0).unwrap_err().code, Code::Busy);
    drop(rx);
    assert_eq!(pair.left.rx(0).unwrap().index(), 0);
    assert_eq!(pair.left.rx(1).unwrap_err().code, Code::NotFound);
    assert_eq!(pair.left.tx(u16::MAX).unwrap_err().code, Code::NotFound);
    assert_eq!(pair.left.pool(7).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn a_port_stays_open_for_its_queues() {
    let mut pair = pair();
    let mut rx = pair.right.rx(0).unwrap();
    let context = pair.context.clone();
    pair.left.tx(0).unwrap().send_one(frame(&mut pair.pool, 1)).unwrap();
    pair.pass();
    assert_eq!(pair.right.close().unwrap_err().code, Code::Busy);
    let mut burst = Burst::<32>::new(&pair.unread);
    assert_eq!(rx.receive(&mut burst), 1);
    assert_eq!(context.open_port("sim:1").unwrap_err().code, Code::Busy);
    drop(rx);
    let again = context.open_port("sim:1").unwrap();
    again.close().unwrap();
}

#[test]
fn frames_outlive_all_else() {
    let mut pair = pair();
    let mut received = pair.burst();
    let mut made = pair.frame(1);
    pair.left.tx(0).unwrap().send_one(frame(&mut pair.pool, 9)).unwrap();
    pair.pass();
    pair.right.rx(0).unwrap().receive(&mut received);
    let cloned = made.try_clone(&mut pair.pool).unwrap();
    let other = Context::options().log(|_, _| ()).open().unwrap();
    let lone = other.open_pool(&PoolOptions::default()).unwrap().alloc(9).unwrap();
    drop(other);
    let mut kept: Vec<Frame> = received.drain().collect();
    drop((pair, received));
    kept.extend([made, cloned, lone]);
    assert_eq!(
        kept.iter().map(|frame| frame.len()).collect::<Vec<_>>(),
        [64, 64, 64, 9]
    );
    assert_eq!((kept[0][63], kept[1][63], kept[2][63]), (9, 1, 1));
    thread::spawn(move || drop(kept)).join().unwrap();
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let context = Context::options().virtual_time().open().unwrap();
    let code = |result: Result<Port, pollux::Error>| {
        let error = result.unwrap_err();
        assert!(error.message.contains(": "), "{error}");
        error.code
    };
    assert_eq!(code(context.open_port("sim:\0")), Code::InvalidArgument);
    assert_eq!(code(context.open_port("nonsense:0")), Code::InvalidArgument);
    assert_eq!(code(context.open_port_with("sim:0", "{")), Code::InvalidArgument);
    assert_eq!(
        code(context.open_port_with("sim:0", "{\"mtu\":1}\0")),
        Code::InvalidArgument
    );
    let port = context.open_port("sim:0").unwrap();
    let wrong = port.change(r#"{"mtu":1}"#).unwrap_err();
    assert_eq!(wrong.code, Code::InvalidArgument);
    assert!(wrong.message.contains("mtu"), "{wrong}");
    assert_eq!(common::number(&port.settings().unwrap().replace(' ', ""), "mtu"), 1500);
    assert!(port.request("port.nonsense", None).is_err());
    assert!(context.request("ports\0", None).is_err());
    assert!(context.request("ports", Some("[")).is_err());
    assert!(context.wire_counters(9).is_err());
    assert!(context.drop_counter("a\0").is_err());
    let options = PoolOptions {
        data_room: 1,
        ..Default::default()
    };
    assert_eq!(context.open_pool(&options).unwrap_err().code, Code::InvalidArgument);
    let error = port.wait_for_link(Duration::ZERO).unwrap_err();
    assert_eq!(error.code, Code::Timeout);
}

#[test]
fn a_queue_that_was_removed_is_empty() {
    let mut pair = pair_with(r#"{"rx":[{},{}],"tx":[{},{}]}"#);
    let (mut rx, mut tx) = (pair.left.rx(1).unwrap(), pair.left.tx(1).unwrap());
    let mut burst = pair.burst();
    let resize = |port: &Port, settings| {
        port.request("port.stop", None).unwrap();
        port.change(settings).unwrap();
        port.request("port.start", None).unwrap();
    };
    resize(&pair.left, r#"{"rx":[{}],"tx":[{}]}"#);
    assert_eq!(rx.receive(&mut burst), 0);
    let sent = frame(&mut pair.pool, 1);
    assert!(tx.send_one(sent).is_err());
    let _ = rx.arm();
    rx.disarm();
    drop((rx, tx));
    assert_eq!(pair.left.rx(1).unwrap_err().code, Code::NotFound);
    resize(&pair.left, r#"{"rx":[{},{}],"tx":[{},{}]}"#);
    assert!(pair.left.rx(1).is_ok());
}

#[test]
fn a_port_is_changed_while_another_thread_polls() {
    let context = Context::options().virtual_time().open().unwrap();
    let (left, _right) = (context.open_port("sim:0").unwrap(), context.open_port("sim:1").unwrap());
    let (mut rx, mut tx) = (left.rx(0).unwrap(), left.tx(0).unwrap());
    let (mut pool, unread) = (left.pool(0).unwrap(), context.drop_counter("test_unread").unwrap());
    let end = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = end.clone();
    let poller = thread::spawn(move || {
        let (mut burst, mut sent) = (Burst::<8>::new(&unread), 0);
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let _ = pool.alloc_burst(&mut burst, 4, 64);
            sent += tx.send(&mut burst);
            burst.drop_frames();
            rx.receive(&mut burst);
            burst.free();
        }
        sent
    });
    for round in 0..30 {
        let ring = if round % 2 == 0 { 256 } else { 512 };
        left.change(&format!(r#"{{"rx":[{{"ring":{ring}}}],"tx":[{{"ring":{ring}}}]}}"#))
            .unwrap();
        if round % 10 == 0 {
            left.request("port.stop", None).unwrap();
            left.request("port.start", None).unwrap();
        }
    }
    end.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_ne!(poller.join().unwrap(), 0);
}

#[test]
fn two_threads_count_under_one_name() {
    const EACH: u64 = 20_000;
    let pair = pair();
    let begin = Arc::new(Barrier::new(2));
    let count = |begin: Arc<Barrier>, counter: DropCounter, mut pool: Pool| {
        let mut burst = Burst::<4>::new(&counter);
        begin.wait();
        for _ in 0..EACH {
            assert!(pool.alloc_burst(&mut burst, 1, 60));
            burst.drop_frames();
        }
    };
    let (other, its_pool) = (
        pair.context.drop_counter("test_unread").unwrap(),
        pair.left.pool(0).unwrap(),
    );
    let its_begin = begin.clone();
    let thread = thread::spawn(move || count(its_begin, other, its_pool));
    count(begin, pair.unread.clone(), pair.left.pool(0).unwrap());
    thread.join().unwrap();
    assert_eq!(pair.unread.count(), 2 * EACH);
}

#[test]
fn a_frame_of_another_context_is_a_counted_drop() {
    let mut pair = pair();
    let stranger = Context::open().unwrap();
    let mut pool = stranger.open_pool(&PoolOptions::default()).unwrap();
    let mut burst = pair.burst();
    burst.push(frame(&mut pool, 1)).unwrap();
    drop((pool, stranger));
    let mut tx = pair.left.tx(0).unwrap();
    let unreachable = |port: &Port| common::number(&port.request("port.stats", None).unwrap(), "tx_unreachable");
    assert_eq!((tx.send(&mut burst), burst.len()), (1, 0));
    assert_eq!(unreachable(&pair.left), 1);

    let other = Context::options().virtual_time().open().unwrap();
    let mut foreign = other.open_pool(&PoolOptions::default()).unwrap();
    let others = other.drop_counter("other").unwrap();
    tx.send_one(frame(&mut foreign, 3)).unwrap();
    let mut mine = pair.frame(4);
    assert!(mine.try_clone(&mut foreign).is_none());
    mine.chain(frame(&mut foreign, 5)).unwrap();
    tx.send_one(mine).unwrap();
    assert_eq!(unreachable(&pair.left), 3);
    // Exchanged in place, and freed into a pool of the wrong Context.
    let mut theirs = Burst::<4>::new(&others);
    assert!(foreign.alloc_burst(&mut theirs, 2, 64));
    for number in 0..3 {
        burst.push(pair.frame(number)).unwrap();
    }
    std::mem::swap(&mut burst[1], &mut theirs[0]);
    assert_eq!(tx.send(&mut burst), 3);
    assert_eq!(unreachable(&pair.left), 4);
    foreign.free(&mut theirs);
    // Received into a burst of the other Context, and sent from there.
    pair.pass();
    let mut rx = pair.right.rx(0).unwrap();
    assert_eq!(rx.receive(&mut theirs), 2);
    assert_eq!((theirs[0][63], theirs[1][63]), (0, 2));
    assert_eq!(pair.right.tx(0).unwrap().send(&mut theirs), 2);
    assert!(foreign.alloc_burst(&mut theirs, 4, 64));
    theirs.drop_frames();
    assert_eq!(others.count(), 4);
    let mut pool = pair.left.pool(0).unwrap();
    assert!(pool.alloc_burst(&mut theirs, 1, 64) && foreign.alloc_burst(&mut theirs, 1, 64));
    foreign.free(&mut theirs);
    // Nothing has entered the wrong pool: each still has its own frames, and all of them.
    drop((theirs, burst));
    let mut all = Vec::new();
    while let Some(mut frame) = foreign.alloc(64) {
        frame.fill(9);
        all.push(frame);
    }
    assert_eq!(all.len(), 8192);
}

#[test]
fn the_log_callback_may_not_call_back() {
    let Pair {
        context, left, right, ..
    } = pair();
    let results = Arc::new(Mutex::new(Vec::new()));
    let (noted, kept) = (results.clone(), Mutex::new(Some((context.clone(), left))));
    // A control thread and virtual time: the library warns.
    let options = Context::options().virtual_time().control_thread();
    let other = options.log(move |level, message| {
        // The last handle of a port ends here, in the middle of a call of the library.
        if let Some((context, port)) = kept.lock().unwrap().take() {
            let mut noted = noted.lock().unwrap();
            noted.push(context.run_due().map(drop));
            noted.push(context.open_port("sim:3").map(drop));
            noted.push(port.change("{}"));
            noted.push(port.rx(0).map(drop));
            context.sleep(Duration::from_secs(1));
        }
        panic!("a panic in the log callback: {level:?}, {message}");
    });
    drop(other.open().unwrap());
    let results = results.lock().unwrap();
    assert_eq!(results.len(), 4);
    for result in results.iter() {
        assert_eq!(result.as_ref().unwrap_err().code, Code::BadState);
    }
    right.close().unwrap();
    // The port is closed by another thread.
    let opened = (0..500).find_map(|_| {
        thread::sleep(Duration::from_millis(10));
        context.open_port("sim:0").ok()
    });
    assert!(opened.is_some());
}

mod process {
    extern "C" {
        pub fn fork() -> i32;
        pub fn waitpid(child: i32, status: *mut i32, options: i32) -> i32;
        pub fn _exit(status: i32) -> !;
    }
}

/// What a child finds of what its parent has opened: the number of the first expectation that does not hold.
fn use_in_child(parts: (Pair, RxQueue, TxQueue, Burst<32>, Frame, Poller)) -> i32 {
    let (mut pair, mut rx, mut tx, mut burst, mut one, mut poller) = parts;
    let refused = |result: Result<(), pollux::Error>| matches!(result, Err(error) if error.code == Code::BadState);
    let expectations = [
        refused(Context::open().map(|_| ())),
        refused(pair.context.run_due().map(|_| ())),
        refused(pair.context.open_port("sim:5").map(|_| ())),
        refused(pair.left.change("{}")),
        refused(pair.left.pool(0).map(|_| ())),
        refused(pair.left.request("port.stats", None).map(|_| ())),
        refused(rx.wait(&mut burst, Duration::ZERO).map(|_| ())),
        refused(poller.run_once(Duration::ZERO).map(|_| ())),
        rx.receive(&mut burst) == 0 && !rx.arm(),
        tx.send(&mut burst) == 0,
        burst.bytes_mut().fold(0, |count, _| count + 1) == 0,
        burst.len() == 2 && burst.iter().all(|frame| frame.is_empty()),
        one.bytes() == 0 && one.buffers().count() == 0 && one.copy_to(0, &mut [0; 9]) == 0,
        one.try_mut().unwrap().is_empty() && one.append(1).is_none() && !one.strip(1) && !one.trim(1),
        one.metadata().port.is_none() && one.try_clone(&mut pair.pool).is_none(),
        pair.pool.alloc(60).is_none() && !pair.pool.alloc_burst(&mut burst, 1, 60),
    ];
    burst.free();
    drop(tx.send_one(one));
    drop((pair, rx, tx, burst, poller));
    expectations
        .iter()
        .position(|holds| !holds)
        .map_or(0, |at| at as i32 + 1)
}

#[test]
fn a_forked_child_gets_errors_and_harms_nothing() {
    let mut pair = pair();
    let (mut rx, tx) = (pair.right.rx(0).unwrap(), pair.left.tx(0).unwrap());
    let poller = Poller::open(&pair.context).unwrap();
    let mut burst = pair.burst();
    burst.push(pair.frame(1)).unwrap();
    burst.push(pair.frame(2)).unwrap();
    let one = pair.frame(3);
    let _descriptor = rx.as_raw_fd();
    // SAFETY: the child does what the library allows, and exits.
    let status = unsafe {
        let child = process::fork();
        if child == 0 {
            process::_exit(use_in_child((pair, rx, tx, burst, one, poller)));
        }
        let mut status = -1;
        assert_eq!(process::waitpid(child, &mut status, 0), child);
        status
    };
    assert_eq!(status, 0, "expectation {} of the child", status >> 8);
    let mut tx = tx;
    assert_eq!((burst[0][63], burst[1][63], one[63]), (1, 2, 3));
    tx.send_one(one).unwrap();
    assert_eq!(tx.send(&mut burst), 2);
    pair.pass();
    assert_eq!(rx.receive(&mut burst), 3);
    drop(poller);
}
