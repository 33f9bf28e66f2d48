/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts the frames of a port in a loop of libuv, and prints what came in each second.
 *
 *     watch_uv_c tap:demo0          until Ctrl-C
 */
#include <inttypes.h>
#include <pollux/pollux.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { kBurst = 32, kSecond = 1000 };

static const char kUsage[] =
    "usage: watch_uv_c PORT\n"
    "\n"
    "Counts the frames of a port, such as tap:demo0, in a loop of libuv, drops them, and prints what came in each\n"
    "second. Ctrl-C ends it.\n";

struct watch {
  pollux_context* context;
  pollux_rx* rx;
  pollux_drop_counter* seen; /* frames that were counted and dropped */
  uint64_t bytes;
  uint64_t printed;
  pollux_error error;
  uv_poll_t frames;
  uv_poll_t control;
  uv_timer_t second;
  uv_signal_t interrupted;
};

static void stop(uv_loop_t* loop) { uv_stop(loop); }

/* Takes what has come until the queue is armed, which looks for frames once more. The loop then waits for its
 * descriptor. */
static void take(struct watch* watch) {
  pollux_frame frames[kBurst];
  do {
    for (uint32_t count; (count = pollux_rx_burst(watch->rx, frames, kBurst)) != 0;) {
      for (uint32_t i = 0; i < count; ++i) watch->bytes += pollux_frame_bytes(&frames[i]);
      pollux_drop(watch->seen, NULL, frames, count);
    }
  } while (!pollux_rx_arm(watch->rx));
}

static void on_frames(uv_poll_t* handle, int status, int events) {
  (void)status, (void)events;
  struct watch* watch = handle->data;
  pollux_rx_disarm(watch->rx);
  take(watch);
}

/* The context has work: statistics, a change of the link, the end of a device. */
static void on_control(uv_poll_t* handle, int status, int events) {
  (void)status, (void)events;
  struct watch* watch = handle->data;
  if (pollux_context_run_due(watch->context, NULL, &watch->error) != POLLUX_OK) stop(handle->loop);
}

static void on_second(uv_timer_t* timer) {
  struct watch* watch = timer->data;
  uint64_t frames = pollux_drop_count(watch->seen);
  printf("%" PRIu64 " frames, %" PRIu64 " bytes in all\n", frames - watch->printed, watch->bytes);
  watch->printed = frames;
  if (fflush(stdout) != 0) stop(timer->loop);
}

static void on_interrupt(uv_signal_t* handle, int number) {
  (void)number;
  stop(handle->loop);
}

static int run(struct watch* watch, uv_loop_t* loop) {
  if (uv_poll_init(loop, &watch->frames, pollux_rx_event_fd(watch->rx)) != 0 ||
      uv_poll_init(loop, &watch->control, pollux_context_event_fd(watch->context)) != 0) {
    fprintf(stderr, "watch_uv_c: the port cannot wake a program\n");
    return 1;
  }
  uv_timer_init(loop, &watch->second);
  uv_signal_init(loop, &watch->interrupted);
  watch->frames.data = watch->control.data = watch->second.data = watch;
  uv_poll_start(&watch->frames, UV_READABLE, on_frames);
  uv_poll_start(&watch->control, UV_READABLE, on_control);
  uv_timer_start(&watch->second, on_second, kSecond, kSecond);
  uv_signal_start(&watch->interrupted, on_interrupt, SIGINT);
  take(watch);
  uv_run(loop, UV_RUN_DEFAULT);
  uv_close((uv_handle_t*)&watch->frames, NULL);
  uv_close((uv_handle_t*)&watch->control, NULL);
  uv_close((uv_handle_t*)&watch->second, NULL);
  uv_close((uv_handle_t*)&watch->interrupted, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  if (watch->error.code != POLLUX_OK) fprintf(stderr, "watch_uv_c: %s\n", watch->error.message);
  return watch->error.code == POLLUX_OK ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
    return printf("%s", kUsage) < 0 || fflush(stdout) != 0;
  if (argc != 2) return fprintf(stderr, "%s", kUsage), 2;
  struct watch watch = {0};
  pollux_port* port = NULL;
  int status = 1;
  watch.context = pollux_context_open(NULL, &watch.error);
  if (watch.context != NULL) watch.seen = pollux_drop_counter_open(watch.context, "watched", &watch.error);
  if (watch.seen != NULL) port = pollux_port_open(watch.context, argv[1], NULL, &watch.error);
  if (port != NULL) {
    watch.rx = pollux_port_rx(port, 0);
    status = run(&watch, uv_default_loop());
    uv_loop_close(uv_default_loop());
  } else {
    fprintf(stderr, "watch_uv_c: %s\n", watch.error.message);
  }
  if (pollux_port_close(port, &watch.error) != POLLUX_OK) fprintf(stderr, "watch_uv_c: %s\n", watch.error.message);
  pollux_context_close(watch.context);
  return status;
}
