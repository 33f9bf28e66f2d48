/* SPDX-License-Identifier: BSD-3-Clause */
/* Forwards frames between two ports in an event loop of its own (epoll): it sleeps while none come.
 *
 *     forward_c sim:0 sim:2        until Ctrl-C
 */
#define _POSIX_C_SOURCE 200809L /* sigprocmask, which -std=c11 hides */
#include <pollux/pollux.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { kPorts = 2, kBurst = 32, kTurns = 8, kControl = kPorts, kSignal };

/* One direction: from the receive queue of a port to the transmit queue of the other one. */
struct direction {
  pollux_rx* rx;
  pollux_tx* tx;
  uint64_t frames;
};

static pollux_drop_counter* tx_full; /* the other port took none: it is slower, or has no link */

/* Forwards what has come; true if more may wait. */
static bool forward(struct direction* way) {
  pollux_frame frames[kBurst];
  for (int turn = 0; turn < kTurns; ++turn) {
    uint32_t count = pollux_rx_burst(way->rx, frames, kBurst);
    uint32_t sent = pollux_tx_burst(way->tx, frames, count);
    way->frames += sent;
    pollux_drop(tx_full, NULL, frames + sent, count - sent);
    if (count == 0) return false;
  }
  return true;
}

static int watch(int epoll, int descriptor, uint32_t number) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

/* Until a signal comes. An idle queue is armed, which looks for frames once more, so that none is left behind. */
static int loop(pollux_context* context, struct direction ways[kPorts], int epoll, pollux_error* error) {
  for (;;) {
    bool busy = false;
    for (int i = 0; i < kPorts; ++i) busy = forward(&ways[i]) || busy;
    for (int i = 0; i < kPorts && !busy; ++i) busy = !pollux_rx_arm(ways[i].rx);
    struct epoll_event ready[kPorts + 2];
    int count = epoll_wait(epoll, ready, kPorts + 2, busy ? 0 : 1000);
    for (int i = 0; i < kPorts; ++i) pollux_rx_disarm(ways[i].rx);
    if (pollux_context_run_due(context, NULL, error) != POLLUX_OK) return 1;
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.u32 == kSignal) return 0;
    }
  }
}

int main(int argc, char** argv) {
  if (argc != 1 + kPorts) return fprintf(stderr, "usage: forward_c PORT PORT\n"), 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);

  pollux_error error;
  int status = 1;
  pollux_port* ports[kPorts] = {NULL, NULL};
  pollux_context* context = pollux_context_open(NULL, &error);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int signal = signalfd(-1, &signals, SFD_CLOEXEC);
  if (epoll < 0 || signal < 0) return perror("forward_c"), 1;
  if (context != NULL) tx_full = pollux_drop_counter_open(context, "forward_tx_full", &error);
  if (tx_full != NULL) ports[0] = pollux_port_open(context, argv[1], NULL, &error);
  if (ports[0] != NULL) ports[1] = pollux_port_open(context, argv[2], NULL, &error);
  if (ports[1] != NULL) {
    struct direction ways[kPorts];
    bool can_sleep = true;
    for (int i = 0; i < kPorts; ++i) {
      ways[i] = (struct direction){pollux_port_rx(ports[i], 0), pollux_port_tx(ports[1 - i], 0), 0};
      if (watch(epoll, pollux_rx_event_fd(ways[i].rx), (uint32_t)i) != 0) can_sleep = false;
    }
    if (!can_sleep || watch(epoll, pollux_context_event_fd(context), kControl) != 0 ||
        watch(epoll, signal, kSignal) != 0) {
      fprintf(stderr, "forward_c: a port cannot wake a program; l2fwd polls it\n");
    } else {
      printf("forwarding between %s and %s; Ctrl-C ends it\n", argv[1], argv[2]);
      fflush(stdout);
      status = loop(context, ways, epoll, &error);
      for (int i = 0; i < kPorts; ++i)
        printf("from %s: %llu frames\n", argv[1 + i], (unsigned long long)ways[i].frames);
      printf("dropped, %s: %llu\n", "forward_tx_full", (unsigned long long)pollux_drop_count(tx_full));
      if (status != 0) fprintf(stderr, "forward_c: %s\n", error.message);
    }
  } else {
    fprintf(stderr, "forward_c: %s\n", error.message);
  }
  for (int i = 0; i < kPorts; ++i) {
    if (pollux_port_close(ports[i], &error) != POLLUX_OK) fprintf(stderr, "forward_c: %s\n", error.message);
  }
  pollux_context_close(context);
  close(signal);
  close(epoll);
  return fflush(stdout) == 0 ? status : 1;
}
